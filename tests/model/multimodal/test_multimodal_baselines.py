"""VBPR, MMGCN and SLMRec: the contract, small cases worked out by hand, and fast forms against plain ones."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.small import OPTIONS, with_features

from recbole_diffusion.testing import Built, ModelContract
from recbole_diffusion.trainer.moved_weights import SharedIds, _axes

SMALL = {
    name: OPTIONS[name] for name in ("modalities", "embedding_size", "train_batch_size", "learning_rate")
}


@pytest.fixture
def checkerboard(checkerboard):
    return with_features(checkerboard)


class TestVBPR(ModelContract):
    model = "VBPR"
    options = SMALL
    epochs = 10


class TestVBPROfThePaper(ModelContract):
    model = "VBPR"
    options = {**SMALL, "biases": True, "penalty": "squared", "reg_weight": 1e-3, "n_negatives": 2}
    epochs = 10


class TestMMGCN(ModelContract):
    model = "MMGCN"
    options = {**SMALL, "projection_size": 5, "learning_rate": 0.02}
    epochs = 10


class TestMMGCNAdded(ModelContract):
    model = "MMGCN"
    options = {**SMALL, "combination": "added", "train_ids": False, "n_negatives": 2, "learning_rate": 0.02}
    epochs = 10


class TestSLMRec(ModelContract):
    model = "SLMRec"
    options = SMALL
    epochs = 10


class TestSLMRecWithDroppedAndMaskedChannels(ModelContract):
    model = "SLMRec"
    options = {**SMALL, "ssl_task": "fd+fm", "precompute": False, "mask_repeats": True}
    epochs = 10


@pytest.fixture
def built(checkerboard):
    return lambda model, **more: Built(model, checkerboard.name, {**checkerboard.overrides, **SMALL, **more})


@pytest.fixture
def tiny(write_parts):
    """Return a model on users a, b, c and items x, y, z with features of one modality."""

    def build(model, features, pairs="ax ay bx cz", **options):
        cells = [tuple(pair) for pair in pairs.split()]
        data = write_parts("tiny", train=cells, valid=cells[:1], test=cells[:1])
        np.save(data.folder / "tiny.look.npy", np.array(features, np.float32))
        (data.folder / "tiny.look.tokens").write_text("x\ny\nz\n")
        given = {"modalities": ["look"], "allow_overlap": True, "topk": [1], "valid_metric": "Recall@1"}
        return Built(model, "tiny", {**data.overrides, **given, "constant_features": "allow", **options})

    return build


def ids(built, field, tokens):
    return [int(built.dataset.token2id(field, token)) for token in tokens]


# VBPR


@pytest.fixture
def vbpr(tiny):
    """Width 1: p = 2, t = 1 of all users, q = 3 of all items, W = (1, -1); f of x is (4, 1)."""

    def build(**options):
        made = tiny("VBPR", [[4, 1], [2, 5], [1, 1]], embedding_size=1, **options)
        made.model.users.data[1:] = torch.tensor([2.0, 1.0])
        made.model.items.data[1:] = 3.0
        made.model.projections[0].linear.weight.data = torch.tensor([[1.0, -1.0]])
        return made

    return build


def test_vbpr_adds_the_product_of_tastes_and_projected_features(vbpr):
    made = vbpr()
    (a,), (x, y) = ids(made, "user_id", "a"), ids(made, "item_id", "xy")
    scores = made.model.eval().full_sort_predict(made.users([a])).view(-1)
    assert (float(scores[x]), float(scores[y])) == (9.0, 3.0)  # 2 * 3 + 1 * (4 - 1), and 6 - 3


def test_the_gradient_of_vbpr_s_tastes_is_the_gap_of_projected_features(vbpr, monkeypatch):
    made = vbpr(reg_weight=0.0)
    model, (a,), (x, y) = made.model, ids(made, "user_id", "a"), ids(made, "item_id", "xy")
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.vbpr.uniform_negatives", lambda *_: torch.tensor([y])
    )
    torch.stack(
        model.calculate_loss({model.USER_ID: torch.tensor([a]), model.ITEM_ID: torch.tensor([x])})
    ).sum().backward()
    # x_ui - x_uj = 9 - 3; d/dt = sigma(-6) (W f_j - W f_i) = sigma(-6) (-3 - 3)
    assert float(model.users.grad[a, 1]) == pytest.approx(-6 / (1 + math.exp(6)), rel=1e-5)
    assert float(model.users.grad[a, 0]) == 0


def test_vbpr_s_biases_are_one_of_the_item_and_one_of_its_features(tiny):
    made = tiny("VBPR", [[4, 1], [2, 5], [1, 1]], embedding_size=1, biases=True)
    model = made.model
    (a,), (x, y) = ids(made, "user_id", "a"), ids(made, "item_id", "xy")
    model.users.data.zero_()
    model.item_bias.data[x] = 0.5
    model.projections[0].linear.weight.data = torch.tensor([[7.0, 7.0], [2.0, 0.25]])
    scores = model.eval().full_sort_predict(made.users([a])).view(-1)
    assert (float(scores[x]), float(scores[y])) == (8.75, 5.25)  # 0.5 + 8 + 0.25, and 4 + 1.25


@pytest.mark.parametrize("penalty", ["norm", "squared"])
def test_vbpr_s_penalty_is_on_the_vectors_of_the_batch(vbpr, monkeypatch, penalty):
    made = vbpr(reg_weight=0.5, penalty=penalty)
    model, (a,), (x, y) = made.model, ids(made, "user_id", "a"), ids(made, "item_id", "xy")
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.vbpr.uniform_negatives", lambda *_: torch.tensor([y, y])
    )
    batch = {model.USER_ID: torch.tensor([a, a]), model.ITEM_ID: torch.tensor([x, x])}
    found = float(model.calculate_loss(batch)[1])
    # User (2, 1), item (3, 3), negative (3, -3), each twice.
    squares = (2 * 5, 2 * 18, 2 * 18)
    expected = sum(map(math.sqrt, squares)) / 2 if penalty == "norm" else sum(squares) / 4
    assert found == pytest.approx(0.5 * expected)


# MMGCN


def plain_mmgcn(built):
    """Return vectors by dense matrices over all nodes, propagating after the product with W."""
    model = built.model
    R = torch.zeros(model.n_users, model.n_items)
    rows = built.train._dataset.inter_feat
    R[rows["user_id"], rows["item_id"]] = 1.0
    square = torch.cat(
        [torch.cat([torch.zeros(len(R), len(R)), R], 1), torch.zeros(R.shape[1], sum(R.shape))]
    )
    square[len(R) :, : len(R)] = R.T
    A = square / square.sum(1, keepdim=True).clamp_min(1)
    assert torch.allclose(A.sum(1), (square.sum(1) > 0).float())
    results = []
    for network, modality in zip(model.networks, built.dataset.modalities.values(), strict=True):
        f = torch.zeros(model.n_items, modality.width)
        f[1:] = torch.from_numpy(modality.values[modality.rows].astype(np.float32))
        if network.projection is not None:
            f = network.projection.linear(f)
        X = F.normalize(torch.cat([network.tastes, f]), dim=1)
        for W, S, G in zip(network.conv, network.own, network.out, strict=True):
            h = F.leaky_relu(A @ (X @ W.weight.T))
            y = F.leaky_relu(S(X)) + model.ids
            X = F.leaky_relu(G(torch.cat([h, y], 1)) if network.joined else G(h) + y)
        results.append(X)
    return torch.stack(results).mean(0).split([model.n_users, model.n_items])


@pytest.mark.parametrize("combination", ["joined", "added"])
def test_mmgcn_is_the_plain_propagation_over_all_nodes(built, combination):
    one = built("MMGCN", projection_size=5, combination=combination)  # picture 12 is projected, words 7 not
    assert [network.projection is None for network in one.model.networks] == [False, True]
    found, expected = one.model.vectors(), plain_mmgcn(one)
    for mine, plain in zip(found, expected, strict=True):
        assert torch.allclose(mine[1:], plain[1:], atol=1e-6)


def test_vectors_of_some_users_and_items_of_mmgcn_are_theirs_among_all(built):
    model, some = built("MMGCN").model, (torch.tensor([2, 7]), torch.tensor([9, 3, 30]))
    for found, whole, ids in zip(model.vectors(some), model.vectors(), some, strict=True):
        assert torch.allclose(found, whole[ids], atol=1e-6)


def test_a_layer_of_mmgcn_on_a_star_is_the_means_of_its_points(tiny):
    """User a has x and y, user b and item z only each other; identity weights, no own part."""
    made = tiny(
        "MMGCN", [[3, 4], [0, 2], [5, 12]], "ax ay bz", n_layers=1, embedding_size=2, combination="added"
    )
    model, network = made.model, made.model.networks[0]
    (a, b), (x, y, z) = ids(made, "user_id", "ab"), ids(made, "item_id", "xyz")
    for layer in (network.conv[0], network.out[0]):
        layer.weight.data = torch.eye(2)
    network.out[0].bias.data.zero_()
    for part in (network.own[0].weight, network.own[0].bias, model.ids):
        part.data.zero_()
    network.tastes.data[a], network.tastes.data[b] = torch.tensor([0.0, -2.0]), torch.tensor([1.0, 0.0])
    users, items = model.vectors()
    assert users[a].tolist() == pytest.approx([0.3, 0.9])  # mean of (0.6, 0.8) and (0, 1)
    assert users[b].tolist() == pytest.approx([5 / 13, 12 / 13])
    assert items[x].tolist() == items[y].tolist() == pytest.approx([0.0, -1e-4])  # twice the slope 0.01
    assert items[z].tolist() == pytest.approx([1.0, 0.0])


def test_mmgcn_s_means_of_fixed_features_are_those_of_its_graph(built):
    model = built("MMGCN").model
    for network in model.networks:
        assert torch.equal(network.means, model.graph.users(network.features))
        assert torch.allclose(network.features[1:].norm(dim=1), torch.ones(model.n_items - 1))


def test_mmgcn_s_penalty_is_of_the_ids_and_tastes_and_may_have_no_weights(built, monkeypatch):
    one = built("MMGCN", reg_weight=2.0)
    model, users, items = one.model, torch.tensor([1, 2]), torch.tensor([4, 9])
    monkeypatch.setattr(
        "recbole_diffusion.model.multimodal.mmgcn.uniform_negatives", lambda *_: torch.tensor([7, 8])
    )
    penalty = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items})[1]
    of_items = model.ids[model.n_users :][[4, 9, 7, 8]].square().mean()
    tastes = sum(network.tastes.square().mean() for network in model.networks)
    assert float(penalty) == pytest.approx(2 * float(model.ids[[1, 2]].square().mean() + of_items + tastes))
    frozen = built("MMGCN", train_ids=False).model
    fixed = {name for name, value in frozen.named_parameters() if not value.requires_grad}
    assert fixed == {"ids", "networks.0.tastes", "networks.1.tastes"} <= frozen.state_dict().keys()


# SLMRec


def test_slmrec_s_main_loss_of_two_orthonormal_pairs_is_worked_out_by_hand(built, monkeypatch):
    model = built("SLMRec", ssl_task="none").model
    batch = {model.USER_ID: torch.tensor([1, 2]), model.ITEM_ID: torch.tensor([3, 4])}
    for rows, expected in ((3 * torch.eye(2), 0.0067153), (torch.ones(2, 2), math.log(2))):
        monkeypatch.setattr(model, "fused", lambda *_, rows=rows: (rows, rows))
        assert float(model.calculate_loss(batch)[0]) == pytest.approx(expected, abs=1e-7)


def test_a_repeated_item_is_its_own_negative_unless_it_is_masked(built, monkeypatch):
    rows = torch.eye(3)[[0, 1, 1]]
    for masked in (False, True):
        model = built("SLMRec", ssl_task="none", mask_repeats=masked).model
        monkeypatch.setattr(model, "fused", lambda *_: (rows, rows))
        batch = {model.USER_ID: torch.tensor([1, 2, 3]), model.ITEM_ID: torch.tensor([3, 4, 4])}
        # exp(-5) of each other item; unmasked, the repeat counts like the positive itself.
        of_repeats = (1 if masked else 2) + math.exp(-5)
        expected = (math.log(1 + 2 * math.exp(-5)) + 2 * math.log(of_repeats)) / 3
        assert float(model.calculate_loss(batch)[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("task", ["fac", "fm"])
def test_precomputed_features_give_the_losses_vectors_and_gradients_of_the_plain_form(built, task):
    fast, plain = (built("SLMRec", ssl_task=task, precompute=one).model.double() for one in (True, False))
    plain.load_state_dict(fast.state_dict())
    fast.propagate_features()  # again, in float64
    assert plain.spread_items is None
    batch = {fast.USER_ID: torch.tensor([1, 2, 5, 5]), fast.ITEM_ID: torch.tensor([4, 9, 11, 4])}
    found = []
    for model in (fast, plain):
        torch.manual_seed(4)
        losses = model.calculate_loss(batch)
        gradients = torch.autograd.grad(torch.stack(losses).sum(), list(model.parameters()))
        found.append([*losses, *gradients, *(table[1:] for table in model.vectors())])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_masked_channel_of_slmrec_is_one_without_item_vectors(built, monkeypatch):
    """Of the words: as if their features and their bias were zeros."""
    model = built("SLMRec", ssl_task="fm").model
    channels = model.of_channels(own=True)
    monkeypatch.setattr(torch, "randint", lambda *_: torch.tensor([2]))
    masked = model.fused(*model._masked(*channels))
    linear = model.projections[1].linear
    linear.weight.data.zero_()
    linear.bias.data.zero_()
    for one, other in zip(masked, model.vectors(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_slmrec_s_granular_task_contrasts_ids_with_each_modality_in_turn(built):
    model = built("SLMRec", ssl_temperature=0.5).model.double()
    ids, picture, words = (torch.randn(3, 16, dtype=torch.float64) for _ in range(3))
    x1, x2 = model.coarse[0](ids), model.coarse[1](model.between(model.coarse[0](ids)))
    assert x2.shape == (3, 8)
    expected = 0.0
    for x, y in ((x1, model.fine[0](picture)), (x2, model.fine[1](words))):
        for row in range(3):
            weights = [math.exp(float(x[row] @ other) / 0.5) for other in y]
            expected -= math.log(weights[row] / sum(weights)) / 3
    assert float(model._granular([ids, picture, words])) == pytest.approx(expected)


def test_dropped_channels_without_dropout_are_the_channels(built):
    model = built("SLMRec", ssl_task="fd", dropout_prob=0.0).model
    some = torch.tensor([1, 2]), torch.tensor([4, 9, 11])
    for dropped, plain in zip(model.of_channels(some, dropped=True), model.of_channels(some), strict=True):
        assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(dropped, plain, strict=True))
    model.options.__dict__["dropout_prob"] = 0.5
    users, _ = model.of_channels(some, dropped=True)
    assert not torch.allclose(users[0], model.of_channels(some)[0][0], atol=1e-3)


def test_two_views_agree_by_cross_entropy_of_users_and_of_items(built):
    model = built("SLMRec", ssl_task="fd", ssl_temperature=0.5).model
    pairs = 2 * torch.eye(2), torch.ones(2, 2)
    found = float(model._agreement(pairs, pairs))
    assert found == pytest.approx(math.log(1 + math.exp(-2)) + math.log(2))


# Today's data


@pytest.mark.parametrize(
    ("model", "of_users", "of_items", "of_both"),
    [
        ("VBPR", {"users"}, {"items"}, set()),
        ("MMGCN", {"networks.0.tastes", "networks.1.tastes"}, set(), {"ids"}),
        ("SLMRec", {"encoder.users"}, {"encoder.items"}, set()),
        ("BM3", {"encoder.users"}, {"encoder.items", "projections.0.table", "projections.1.table"}, set()),
    ],
)
def test_a_run_on_other_users_and_items_finds_the_weights_of_each(built, model, of_users, of_items, of_both):
    one = built(
        model, **({"train_features": True} if model == "BM3" else {"n_layers": 2} if model != "VBPR" else {})
    )
    state, train = one.model.state_dict(), one.train._dataset
    users, items = (
        SharedIds(torch.arange(n), torch.arange(n), (n, n)) for n in (train.user_num, train.item_num)
    )
    found = {
        name: axes[0]
        for name, axes in _axes(one.config, train, state, (users, items), Path("x")).items()
        if any(axes)
    }
    assert {name for name, kind in found.items() if kind is users} == of_users
    assert {name for name, kind in found.items() if kind is items} == of_items
    assert found.keys() - of_users - of_items == of_both
