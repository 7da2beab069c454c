"""DRGNN and CausalDiffRec: the contract, weights and losses by hand, identities against dense forms."""

import math

import numpy as np
import pytest
import torch
from support.small import built_of_rows
from torch import nn

from recbole_diffusion.model.graph.causaldiffrec import (
    EditGenerator,
    divergence,
    policy_loss,
    reconstruction,
)
from recbole_diffusion.sampler.uniform import uniform_negatives
from recbole_diffusion.testing import Built, ModelContract, make_checkerboard

SMALL = {"embedding_size": 16, "train_batch_size": 256, "learning_rate": 0.02, "eval_step": 1}


class TestDRGNN(ModelContract):
    model = "DRGNN"
    options = {**SMALL, "edge_start": 1, "edge_every": 2, "stopping_step": 30}


class TestCausalDiffRec(ModelContract):
    model = "CausalDiffRec"
    options = {**SMALL, "hidden_size": 16, "features": "trained", "steps": 10, "dropout_prob": 0.1}
    epochs = 15


# One user with two items, of degrees 1 and 4; the others make the degree.
R = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1], [0, 1, 0, 1]])


def drgnn(tmp_path, **options):
    """Return a model on R with its users and items by their places in R."""
    built, _, items = built_of_rows(tmp_path, "DRGNN", R, embedding_size=2, **options)
    users = built.dataset.token2id("user_id", [f"u{k}" for k in range(len(R))])
    return built.model, users, items


def weights_of(model, user):
    """Return w of a user's edges by item."""
    mine = model.of_user == int(user)
    items = model.of_item[mine].tolist()
    return dict(zip(items, model.neighbour_weights()[mine].tolist(), strict=True))


def test_a_user_s_weights_by_hand(tmp_path):
    """Degree 2, items of degrees 1 and 4, cosines 1 and 0, alpha 0.5: f = (0.2431, 1)."""
    model, users, items = drgnn(tmp_path, alpha=0.5)
    model.encoder.users.data[users[0]] = torch.tensor([2.0, 0.0])
    model.encoder.items.data[items[0]] = torch.tensor([3.0, 0.0])
    model.encoder.items.data[items[1]] = torch.tensor([0.0, 0.1])
    found = weights_of(model, users[0])
    assert found[items[0]] == pytest.approx(0.3911, abs=1e-4)
    assert found[items[1]] == pytest.approx(1.6089, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0001, 0.04, 1e9])
def test_the_weights_of_each_user_have_the_mean_one(tmp_path, alpha):
    model, users, items = drgnn(tmp_path, alpha=alpha)
    weights = model.neighbour_weights()
    for user, degree in zip(users, R.sum(1), strict=True):
        assert weights[model.of_user == int(user)].sum().item() == pytest.approx(degree, rel=1e-5)
    of_items = model.neighbour_weights(of_items=True)
    for item, degree in zip(items, R.sum(0), strict=True):
        assert of_items[model.of_item == int(item)].sum().item() == pytest.approx(degree, rel=1e-5)
    if alpha > 1e6:
        assert torch.allclose(weights, torch.ones_like(weights))


def test_a_user_at_the_place_of_a_drawn_item_is_joined_to_it_and_not_to_its_own(tmp_path):
    model, users, items = drgnn(tmp_path)
    model.encoder.items.data[items] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    model.encoder.users.data[users[0]] = torch.tensor([-1.0, 0.1])  # at item 2
    model.encoder.users.data[users[1]] = torch.tensor([-1.0, 0.1])  # at item 2, which it has
    drawn = torch.as_tensor(items)
    nearest = model.nearest_items(drawn)
    assert nearest[users[0]] == items[2]
    assert nearest[users[1]] in (items[0], items[3])
    # Of its own items alone there is none.
    assert model.nearest_items(drawn[:2])[users[0]] == 0


def test_edges_are_chosen_in_their_epochs_and_kept_between(tmp_path):
    """A model that begins with the weights of another run has none before its own first ones."""
    model, users, items = drgnn(tmp_path, edge_start=2, edge_every=3)
    model.added[users[0]] = int(items[2])
    model.begin_epoch(0)
    assert not model.added.any()
    assert len(model.of_user) == R.sum()
    found = {epoch: (model.begin_epoch(epoch), model.added.clone())[1] for epoch in range(1, 6)}
    assert not found[1].any()
    assert found[2].any()
    assert torch.equal(found[2], found[3])
    assert torch.equal(found[2], found[4])
    assert len(model.of_user) == R.sum() + int((model.added > 0).sum())


def test_features_that_stay_are_not_trained(tmp_path):
    for features in ("fixed", "trained"):
        model = built_of_rows(tmp_path / features, "CausalDiffRec", R, features=features)[0].model.train()
        pairs = {name: torch.tensor([1, 2]) for name in ("user_id", "item_id")}
        sum(model.calculate_loss(pairs)).backward()
        assert (model.X.grad is None) == (features == "fixed")


def test_an_added_edge_has_its_share_of_the_user_s_distribution(tmp_path):
    """Old edges (1 - c) f / m', the new one c d f_j / m'; in sum d."""
    c, alpha, edge = 0.25, 0.3, 2
    model, users, items = drgnn(tmp_path, alpha=alpha, edge_weight=c)
    model.added[users[0]] = int(items[edge])
    model._join()
    unit = torch.nn.functional.normalize
    cosines = (unit(model.encoder.users)[users[0]] @ unit(model.encoder.items).T).detach()
    f = {
        k: math.exp(-float(cosines[items[k]]) / (alpha * math.sqrt(2 * R[:, k].sum()))) for k in (0, 1, edge)
    }
    m = (1 - c) * (f[0] + f[1]) / 2 + c * f[edge]
    found = weights_of(model, users[0])
    expected = {0: (1 - c) * f[0] / m, 1: (1 - c) * f[1] / m, edge: c * 2 * f[edge] / m}
    assert found == pytest.approx({int(items[k]): weight for k, weight in expected.items()}, rel=1e-5)


def test_without_reweighting_the_vectors_are_lightgcn_s(tmp_path):
    """alpha beyond all cosines; scoring propagates over the plain graph for any alpha."""
    model, _, _ = drgnn(tmp_path, alpha=1e9, edge_weight=0.0)
    model.graph.put(model.scale * model.neighbour_weights())
    plain = model.encoder.vectors()
    torch.testing.assert_close(model.encoder.vectors(graph=model.graph), plain)
    model.options.__dict__["alpha"] = 0.01
    torch.testing.assert_close(model.eval().vectors(), plain)


@pytest.mark.parametrize("receiver", [False, True])
@pytest.mark.parametrize("some", [None, ([1, 3], [2, 4]), ([2], [1])], ids=["all", "rows", "few"])
def test_weights_propagate_in_both_directions_with_their_gradient(tmp_path, receiver, some):
    """Against the dense square adjacency in float64, symmetric or not."""
    model = drgnn(tmp_path, alpha=0.2, n_layers=3)[0].double()
    values = model.scale * model.neighbour_weights()
    back = model.scale * model.neighbour_weights(of_items=True) if receiver else values
    model.graph.put(values, back if receiver else None)
    n, both = model.n_users, torch.cat([model.encoder.users, model.encoder.items])
    A = torch.zeros(len(both), len(both), dtype=torch.float64)
    A[model.of_user, n + model.of_item], A[n + model.of_item, model.of_user] = values, back
    assert torch.equal(A, A.T) != receiver
    expected = (both + A @ both + A @ A @ both + A @ A @ A @ both) / 4
    chosen = None if some is None else tuple(map(torch.tensor, some))
    rows = torch.arange(len(both)) if chosen is None else torch.cat([chosen[0], n + chosen[1]])
    found = torch.cat(model.encoder.vectors(chosen, graph=model.graph))
    torch.testing.assert_close(found, expected[rows])
    coefficients, tables = torch.randn_like(found), (model.encoder.users, model.encoder.items)
    of_found = torch.autograd.grad((found * coefficients).sum(), tables)
    of_dense = torch.autograd.grad((expected[rows] * coefficients).sum(), tables)
    torch.testing.assert_close(of_found, of_dense)


def test_the_loss_is_over_the_graph_that_the_options_ask_for(tmp_path):
    torch.manual_seed(0)
    pairs, found = {name: torch.tensor([1, 2, 3]) for name in ("user_id", "item_id")}, {}
    for name in ("user", "receiver"):
        model = drgnn(tmp_path / name, alpha=0.1, normalise_by=name, init_std=1.0)[0].train()
        torch.manual_seed(0)
        found[name] = model.calculate_loss(pairs)[0].item()
        weights = (
            model.neighbour_weights(of_items) * model.scale for of_items in (False, name == "receiver")
        )
        model.graph.put(*weights)
        u, v = model.encoder.vectors(graph=model.graph)
        torch.manual_seed(0)
        negatives = uniform_negatives(model.positives, pairs["user_id"])
        margin = (u[pairs["user_id"]] * (v[pairs["item_id"]] - v[negatives])).sum(1)
        assert found[name] == pytest.approx(nn.functional.softplus(-margin).mean().item(), rel=1e-5)
    assert found["user"] != pytest.approx(found["receiver"], rel=1e-3)


# CausalDiffRec.


def test_the_divergence_by_hand():
    """mu 1, sigma 1 from N(0, 1): one half a dimension; from itself nothing."""
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    assert divergence(ones, zeros, torch.zeros(6)).tolist() == [1.5, 1.5]
    prior = torch.tensor([1.0] * 3 + [0.7] * 3)
    torch.testing.assert_close(divergence(ones, zeros + 0.7, prior), torch.zeros(2))
    # sigma e from N(0, 1): -1 + (e^2) / 2 - 1/2 a dimension.
    expected = 3 * (math.e**2 / 2 - 1.5)
    assert divergence(zeros, ones, torch.zeros(6))[0].item() == pytest.approx(expected, rel=1e-6)


def test_the_reconstruction_of_all_pairs_is_the_weighted_cross_entropy():
    """Six nodes, the graph autoencoder's weight of an edge and factor."""
    torch.manual_seed(0)
    z = torch.randn(6, 3, dtype=torch.float64)
    A = torch.zeros(6, 6, dtype=torch.float64)
    for i, j in ((0, 3), (0, 4), (1, 4), (2, 5)):
        A[i, j] = A[j, i] = 1
    n2, E = 36, A.sum()
    dense = nn.functional.binary_cross_entropy_with_logits(z @ z.T, A, pos_weight=(n2 - E) / E)
    scores = z @ z.T
    found = reconstruction(scores[A == 1], scores[A == 0])
    torch.testing.assert_close(found, n2 / (2 * (n2 - E)) * dense)
    # A small batch may draw no pair without an edge: nothing of it, and no NaN.
    assert reconstruction(torch.zeros(1), torch.zeros(0)).item() == pytest.approx(math.log(2) / 2)


def test_the_generator_raises_the_drawn_edits_by_the_variance_of_the_risks():
    """Where one environment's draw raises its risk alone; equal risks change nothing."""
    torch.manual_seed(0)
    generator, drawing = EditGenerator(3, 4, 2), torch.tensor([1])
    pool, place = torch.tensor([[4, 5, 6]]), torch.tensor([[2]])

    def log_p():
        return torch.stack([generator.log_shares(k, drawing, pool).gather(1, place).mean() for k in (0, 1)])

    before = log_p().detach()
    policy_loss(torch.tensor([1.0, 1.0]).var(), log_p()).backward()
    assert all(not one.grad.any() for one in generator.parameters())
    generator.zero_grad()
    policy_loss(torch.tensor([2.0, 1.0]).var(), log_p()).backward()
    with torch.no_grad():
        for one in generator.parameters():
            one -= 0.1 * one.grad
    assert (log_p() > before).all()


def test_an_environment_is_the_observed_graph_with_the_drawn_cells_flipped(tmp_path):
    model = built_of_rows(tmp_path, "CausalDiffRec", R, edits=2)[0].model
    observed = set(model.positives.keys.tolist())
    environments = model._drawn_environments()
    assert len(environments) == 3
    for graph, pool, draws in environments:
        edits = set()
        for node in (*range(1, model.n_users), *range(model.n_users + 1, len(pool))):
            for place in draws[node].tolist():
                ends = sorted((node, int(pool[node, place])))
                edits.add(ends[0] * model.n_items + ends[1] - model.n_users)
        assert set(graph.keys.tolist()) == observed ^ edits
    assert model._drawn_environments() is environments
    model.begin_epoch(1)
    assert {id(one[0]) for one in model._drawn_environments()} & {id(one[0]) for one in environments} == set()


def test_the_autoencoder_propagates_over_the_graph_with_loops(tmp_path):
    """Against D^-1/2 (A + I) D^-1/2 as a dense matrix."""
    model = built_of_rows(tmp_path, "CausalDiffRec", R)[0].model
    n, split = model.n_users + model.n_items, model.n_users
    A = torch.eye(n)
    for key in model.positives.keys.tolist():
        user, item = divmod(key, model.n_items)
        A[user, split + item] = A[split + item, user] = 1
    scale = A.sum(1).rsqrt()
    A = scale[:, None] * A * scale
    hidden = torch.relu(A @ model.first(model.X))
    mean, log_std = model.encoded(model.observed, model.first(model.X))
    expected = (A @ hidden @ model.heads.weight.T).chunk(2, 1)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(log_std, expected[1].clamp(-10, 2))


def test_pairs_apart_are_nodes_that_no_edge_joins(tmp_path):
    model = built_of_rows(tmp_path, "CausalDiffRec", R)[0].model
    left, right, apart = model._pairs_apart(model.observed, 5000)
    joined = {divmod(key, model.n_items) for key in model.positives.keys.tolist()}
    pairs = list(zip(left.tolist(), right.tolist(), apart.tolist(), strict=True))
    for a, b, is_apart in pairs:
        assert is_apart == ((a, b - model.n_users) not in joined)
    nodes = set(range(model.n_users + model.n_items)) - {0, model.n_users}
    assert {a for a, _, _ in pairs} | {b for _, b, _ in pairs} == nodes


def test_scores_do_not_depend_on_held_out_rows(tmp_path):
    """The graph of encoder and LightGCN is the training graph."""
    scores = []
    for name in ("given", "exchanged"):
        data = make_checkerboard(tmp_path / name)
        if name == "exchanged":
            valid, test = (data.folder / f"checkerboard.{part}.inter" for part in ("valid", "test"))
            one, other = valid.read_text(), test.read_text()
            valid.write_text(other)
            test.write_text(one)
        model = Built("CausalDiffRec", data.name, {**data.overrides, "embedding_size": 8}).model.eval()
        scores.append(model.vectors()[0] @ model.vectors()[1].T)
    assert torch.equal(*scores)
