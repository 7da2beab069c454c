"""ICDAE, PRGAN, RatedNeuMF, RatedDiffRec and ItemRidge: the contract, and their formulas by hand."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows.options import RatedFitOptions
from recbole_diffusion.model.rows.prgan import Critic, Matcher
from recbole_diffusion.model.rows.ridge_fit import RatedFit
from recbole_diffusion.testing import Built, ModelContract, make_checkerboard
from recbole_diffusion.testing.checkerboard import write_parts


@pytest.fixture
def checkerboard(tmp_path):
    return make_checkerboard(tmp_path, rated=True)


OF_RATINGS = {"train_batch_size": 10, "valid_metric": "rated_ndcg@5"}


class TestICDAE(ModelContract):
    model = "ICDAE"
    options = {**OF_RATINGS, "embedding_size": 16, "learning_rate": 0.02}
    epochs = 20


class TestPRGAN(ModelContract):
    model = "PRGAN"
    options = {
        "valid_metric": "rated_ndcg@5",
        "embedding_size": 4,
        "set_size": 4,
        "dropout_prob": 0.0,
        "warmup_epochs": 0,
        "learning_rate": 0.03,
        "critic_learning_rate": 0.01,
        "train_batch_size": 500,
    }
    epochs = 20

    def judged(self):
        return self.judged_every(10)

    def test_learns_the_checkerboard(self, learned):
        """The losses of two players need not fall: what is asked for is that the liked items are found."""
        _, _, result = learned
        assert result["rated_unfiltered_ndcg@5"] > 0.9


class TestRatedNeuMF(ModelContract):
    model = "RatedNeuMF"
    options = {
        "valid_metric": "rated_ndcg@5",
        "mf_embedding_size": 8,
        "mlp_embedding_size": 8,
        "mlp_hidden_size": [16, 8],
        "learning_rate": 0.01,
        "train_batch_size": 100,
    }
    epochs = 15


class TestRatedDiffRec(ModelContract):
    model = "RatedDiffRec"
    options = {**OF_RATINGS, "dims_dnn": [32], "learning_rate": 0.01}
    epochs = 30


def build(tmp_path, model, cells, **options):
    """Return a model on a few ratings, and one by a user and of an item that have no other."""
    cells = [*cells, ("apart", "alone", 4)]  # RecBole refuses a user who knows every item
    data = write_parts(tmp_path, "cells", {"train": cells, "valid": cells[-1:], "test": cells[-1:]})
    overrides = {**data.overrides, "rating_scale": [1, 5], "allow_overlap": True, "topk": [1]}
    return Built(model, "cells", {**overrides, "valid_metric": "rated_ndcg@2", **options}).model


def fill(model, value):
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(value)


# ICDAE.


def test_icdae_s_gradient_at_zero_by_hand(tmp_path):
    """h is 1/2; each component of W'_i gets 2 (r^ - r) r^' h / 2 cells, in units of the highest rating."""
    model = build(
        tmp_path, "ICDAE", [("u", "a", 5), ("u", "b", 2)], dropout_prob=0.0, embedding_size=3
    ).train()
    fill(model, 0.0)
    model.calculate_loss({model.USER_ID: torch.tensor([1])}).backward()
    predicted, slope = 3 / 5, (5 - 1) * 0.25 / 5  # low + (high - low) sigmoid(0), and its derivative
    expected = torch.tensor([(predicted - 1.0) * slope / 2, (predicted - 0.4) * slope / 2])
    torch.testing.assert_close(model.output.grad[1:3], expected[:, None].expand(2, 3))
    torch.testing.assert_close(model.output_bias.grad[1:3], 2 * expected)


def test_icdae_s_hidden_layer_is_the_written_sum(tmp_path):
    cells = [("u", "a", 5), ("u", "b", 2), ("v", "a", 1), ("v", "c", 3), ("v", "b", 4)]
    for rho in (0.0, 0.5, 1.0):
        model = build(tmp_path / str(rho), "ICDAE", cells, activity_power=rho, embedding_size=4).eval()
        with torch.no_grad():
            model.V.normal_()
            model.bias.normal_()
        users = torch.tensor([1, 2])
        rows = model.ratings.gather(users)
        R = model.ratings.dense(2, rows.rows, rows.items, rows.ratings)
        n = torch.tensor([[2.0], [3.0]])
        h = torch.sigmoid(n**-rho * (R @ model.W) + model.V[users] + model.bias)
        expected = 1 + 4 * torch.sigmoid(h @ model.output.T + model.output_bias)
        torch.testing.assert_close(model.full_sort_predict({model.USER_ID: users}), expected)


def test_a_user_s_activity_takes_the_gradient_away_in_cdae_alone(tmp_path):
    """W from a user of 400 items with inputs that add up: none is left at rho 0, much at 1/2 and 1."""
    cells = [("u", f"i{k}", 5) for k in range(400)]
    slopes = {}
    for rho in (0.0, 0.5, 1.0):
        model = build(tmp_path / str(rho), "ICDAE", cells, activity_power=rho, embedding_size=2)
        fill(model, 0.0)
        with torch.no_grad():
            model.W.fill_(0.1)
            model.output.fill_(0.5)
        model.eval().calculate_loss({model.USER_ID: torch.tensor([1])}).backward()
        slopes[rho] = float(model.W.grad[1].abs().sum()) * 400**rho
    assert slopes[0.0] < 1e-8 < slopes[0.5] < slopes[1.0]
    # 40 sums of 0.1 at rho 0, 2 at 1/2, 0.1 at 1: the slopes of the sigmoid there.
    at = {rho: torch.sigmoid(torch.tensor(z)) for rho, z in ((0.5, 2.0), (1.0, 0.1))}
    assert float(at[0.5] * (1 - at[0.5])) == pytest.approx(0.1050, abs=1e-4)


def test_an_icdae_of_ones_with_the_same_items_twice_is_the_same_at_power_one(tmp_path):
    model = build(tmp_path, "ICDAE", [("u", "a", 5), ("u", "b", 2)], activity_power=1.0)
    items, values = torch.tensor([1, 2]), torch.tensor([1.0, 0.4])
    once = model.hidden(items, torch.tensor([0]), values, None)
    twice = model.hidden(items.repeat(2), torch.tensor([0]), values.repeat(2), None)
    torch.testing.assert_close(once, twice)


# PRGAN.


def test_prgan_s_critic_sees_columns_rows_and_squares():
    """k = 2, weights 1, no norm: m_j + y_j, m_1 + m_2 and y_1 + y_2, and their sum, in 15 numbers."""
    critic = Critic(2, 0.0, Matcher(1, 1, 1))
    critic.norms = torch.nn.ModuleList(torch.nn.Identity() for _ in critic.norms)
    for layer in critic.convolutions:
        torch.nn.init.ones_(layer.weight)
    seen = []
    critic.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    critic(torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0]]))
    assert seen[0].tolist() == [[11.0, 22.0] * 3 + [3.0, 30.0] * 3 + [33.0] * 3]


CELLS = [(f"u{u}", f"i{i}", 1 + (u + i) % 5) for u in range(6) for i in range(9) if (u * i) % 4 != 1]
CELLS += [("few", "i0", 3)]


def test_prgan_s_sets_have_the_pair_then_rated_then_unrated_items(tmp_path):
    model = build(tmp_path, "PRGAN", CELLS, set_size=5, positives=3, targets="rating")
    rows = model.ratings
    users = torch.repeat_interleave(torch.arange(model.n_users), torch.diff(rows.rated.offsets))
    items = rows.rated.items
    sets, real = model._sets(users.repeat(20), items.repeat(20))
    assert torch.equal(sets[:, 0], items.repeat(20))
    assert torch.equal(real[:, 0], rows.values.repeat(20))
    row_users = users.repeat(20)[:, None].expand_as(sets)
    is_rated = rows.rated.contains(row_users.reshape(-1), sets.reshape(-1)).view_as(sets)
    single = (rows.rated.counts(users) == 1).repeat(20)
    assert is_rated[~single, :3].all()
    assert not is_rated[single, 1:].any()
    assert not is_rated[:, 3:].any()
    assert (sets > 0).all()
    # Every rated item has its rating over the highest, every other 0.
    dense = rows.dense(model.n_users, users, items, rows.values)
    torch.testing.assert_close(real, dense[row_users, sets])
    # No set repeats its first item, and each other item of a user comes up.
    assert not (sets[:, 1:] == sets[:, :1]).any()
    own = row_users[:, 0] == users[0]
    assert set(sets[own, 1].tolist()) == set(items[users == users[0]].tolist())


def test_prgan_s_positives_are_rated_above_the_middle_and_low_rated_items_are_negatives(tmp_path):
    model = build(tmp_path, "PRGAN", CELLS, set_size=4, positives=2)
    rows = model.ratings
    users = torch.repeat_interleave(torch.arange(model.n_users), torch.diff(rows.rated.offsets)).repeat(30)
    items, values = rows.rated.items.repeat(30), rows.values.repeat(30)
    sets, real = model._sets(users, items)
    dense = rows.dense(model.n_users, users[: len(rows.values)], rows.rated.items, rows.values)
    liked = dense > 0.6  # above 3 of 1 to 5
    own = users[:, None].expand_as(sets)
    has = liked.sum(1)[users]
    assert torch.equal(real > 0, liked[own, sets])
    assert torch.equal(real.sum(1).long(), has.clamp(max=2))  # "few" has none
    assert (has == 0).any()
    assert torch.equal(sets[values > 0.6, 0], items[values > 0.6])
    drawn = values <= 0.6  # their pairs stand for any positive of the user
    some = drawn & (users == users[0])
    assert set(sets[some, 0].tolist()) == set(liked[users[0]].nonzero().flatten().tolist())
    assert (dense[own, sets][:, 2:] > 0).any()  # low-rated ones among the negatives
    with pytest.raises(UsageError, match="no training rating is above the middle of rating_scale"):
        build(
            tmp_path / "low",
            "PRGAN",
            [("u", "a", 2), ("v", "b", 5)],
            rating_scale=[1, 9],
            valid_metric="recall@1",
        )


def test_prgan_s_losses_are_those_of_a_wasserstein_game(tmp_path, monkeypatch):
    """With D the sum of the matches: the critic's loss is their difference, the generator's slope -1/B."""
    model = build(tmp_path, "PRGAN", CELLS, set_size=4, embedding_size=3)
    batch = {model.USER_ID: torch.tensor([1, 2]), model.ITEM_ID: torch.tensor([1, 1])}
    sets, real = torch.tensor([[1, 2, 3, 4], [1, 5, 6, 7]]), torch.rand(2, 4)
    monkeypatch.setattr(model, "_sets", lambda *_: (sets, real))
    monkeypatch.setattr(Critic, "forward", lambda self, condition, matches: 3.0 * matches.sum(1))
    made = model.generator(batch[model.USER_ID], sets)
    P, Q = model.generator.users.detach(), model.generator.items.detach()
    expected = [[(P[u] @ Q[i]).item() for i in row] for u, row in zip((1, 2), sets.tolist(), strict=True)]
    torch.testing.assert_close(made, torch.tensor(expected))
    assert model.critic_loss(batch).item() == pytest.approx(
        3 * (made.sum() - real.sum()).item() / 2, rel=1e-5
    )
    (loss,) = model.generator_loss(batch)
    loss.backward()
    # dL/dg = -3/2 in each cell, so that user 1 gets -3/2 times the sum of its items' vectors.
    torch.testing.assert_close(model.generator.users.grad[1], -1.5 * model.generator.items[sets[0]].sum(0))
    # The slope of 3 (sum) by four matches has length 6, so that the penalty is 25 times its weight.
    penalised = {"lipschitz": "gradient_penalty", "penalty_weight": 0.1}
    monkeypatch.setattr(model, "options", dataclasses.replace(model.options, **penalised))
    assert model.critic_loss(batch).item() == pytest.approx(
        3 * (made.sum() - real.sum()).item() / 2 + 2.5, rel=1e-5
    )


def test_prgan_s_critic_tells_nothing_from_itself_and_is_clipped_but_for_its_memory(tmp_path):
    model = build(tmp_path, "PRGAN", CELLS, set_size=4)
    condition, matches = torch.rand(3, 4), torch.rand(3, 4)
    critic = model.critic.eval()
    assert torch.equal(critic(condition, matches), critic(condition, matches.clone()))
    assert not torch.equal(critic(condition, matches), critic(matches, condition))
    with torch.no_grad():
        critic.memory.users.fill_(1.0)
    model.after_critic_step()
    inside = {name: value.abs().max().item() for name, value in critic.named_parameters()}
    assert max(size for name, size in inside.items() if not name.startswith("memory")) == pytest.approx(0.006)
    assert inside["memory.users"] == 1.0


def test_prgan_s_generator_waits_and_its_memory_follows_a_better_one(tmp_path):
    model = build(tmp_path, "PRGAN", CELLS, warmup_epochs=2, embedding_size=4)
    batch = {model.USER_ID: torch.tensor([1, 2]), model.ITEM_ID: torch.tensor([1, 1])}
    for epoch, waits in ((0, True), (1, True), (2, False)):
        model.begin_epoch(epoch)
        model.zero_grad()
        model.generator_loss(batch)[0].backward()
        assert bool(model.generator.users.grad.abs().sum() == 0) == waits
    model.begin_epoch(3)  # neither fits better yet, or by a hair
    with torch.no_grad():
        model.critic.memory.users.fill_(9.0)
        model.critic.memory.items.fill_(9.0)
    model.begin_epoch(2)
    assert float(model.critic.memory.users[1, 0]) == 9.0  # the generator has not been trained
    model.begin_epoch(3)
    assert torch.equal(model.critic.memory.users, model.generator.users)
    with torch.no_grad():
        model.generator.users.fill_(9.0)
        model.generator.items.fill_(9.0)
    model.begin_epoch(4)
    assert not torch.equal(model.critic.memory.users, model.generator.users)


def test_prgan_refuses_sets_without_a_negative_item(tmp_path):
    with pytest.raises(UsageError, match="positives is 4 and set_size 4; a set needs a negative item"):
        build(tmp_path, "PRGAN", CELLS, set_size=4, positives=4)


def test_the_smallest_set_of_prgan_trains_on_a_batch_of_one_row(tmp_path):
    model = build(tmp_path, "PRGAN", CELLS, set_size=3, positives=1).train()
    pair = {model.USER_ID: torch.tensor([1]), model.ITEM_ID: torch.tensor([1])}
    assert bool(model.critic_loss(pair).isfinite())
    with pytest.raises(UsageError, match="set_size"):
        build(tmp_path / "two", "PRGAN", CELLS, set_size=2, positives=1)


# NeuMF and DiffRec.


def test_rated_neumf_is_the_paper_s_network_on_each_pair(tmp_path, monkeypatch):
    model = build(
        tmp_path, "RatedNeuMF", CELLS, mf_embedding_size=3, mlp_embedding_size=4, mlp_hidden_size=[5, 2]
    ).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_()
    users = torch.tensor([1, 4, 2])
    expected = torch.empty(3, model.n_items)
    for row, user in enumerate(users.tolist()):
        for item in range(model.n_items):
            x = torch.cat([model.s[user], model.t[item]])
            for layer in model.layers:
                x = torch.relu(layer.weight @ x + layer.bias)
            joined = torch.cat([model.p[user] * model.q[item], x])
            expected[row, item] = 1 + 4 * torch.sigmoid(model.last.weight @ joined + model.last.bias)
    torch.testing.assert_close(model.full_sort_predict({model.USER_ID: users}), expected.detach())
    monkeypatch.setattr("recbole_diffusion.model.rows.rated.NUMBERS", 1)  # a user a block
    torch.testing.assert_close(model.full_sort_predict({model.USER_ID: users}), expected.detach())
    rated = model.ratings.rated.items[:2]
    batch = {model.USER_ID: torch.tensor([1, 1]), model.ITEM_ID: rated}
    error = expected[0, rated] - 5 * model.ratings.values[:2]
    torch.testing.assert_close(model.calculate_loss(batch), error.square().mean())


@pytest.mark.parametrize("name", ["CFGAN", "RatedDiffRec", "ICDAE"])
def test_scores_of_a_user_s_pairs_ask_for_the_user_s_row_once(checkerboard, monkeypatch, name):
    """As in an evaluation of sampled items, of which each user has many."""
    model = Built(name, checkerboard.name, checkerboard.overrides).model.eval()
    rows = model.full_sort_predict
    users, items = torch.tensor([3, 3, 9, 3]), torch.tensor([1, 2, 2, 7])
    expected, asked = rows({model.USER_ID: users}).view(4, -1)[range(4), items], []
    monkeypatch.setattr(
        model, "full_sort_predict", lambda batch: asked.extend(batch[model.USER_ID].tolist()) or rows(batch)
    )
    found = model.predict({model.USER_ID: users, model.ITEM_ID: items})
    torch.testing.assert_close(found, expected)
    assert asked in ([3, 9], [])  # or it has a way to a pair alone


@pytest.mark.parametrize("reconstruct", ["rated", "all"])
@pytest.mark.parametrize("reweight", [False, True])
def test_rated_diffrec_s_loss_is_the_error_of_its_cells(tmp_path, monkeypatch, reconstruct, reweight):
    model = build(
        tmp_path, "RatedDiffRec", CELLS, dims_dnn=[4], reconstruct=reconstruct, reweight=reweight, steps=3
    ).train()
    monkeypatch.setattr(model, "predicted", lambda xt, t: torch.full_like(xt, 0.25))
    users = torch.tensor([1, 2, 5])
    torch.manual_seed(3)
    found = float(model.calculate_loss({model.USER_ID: users}))
    torch.manual_seed(3)
    t = model.importance.sample(3)[0] if reweight else torch.randint(3, (3,))
    rows = model.ratings.gather(users)
    expected = []
    for k in range(3):
        values = rows.ratings[rows.rows == k]
        errors = (values - 0.25).square()
        if reconstruct == "all":
            errors = torch.cat([errors, torch.full((model.n_items - len(values),), 0.0625)])
        expected.append(float(errors.mean() * (model.diffusion.snr_weight(t[k : k + 1]) if reweight else 1)))
    assert found == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("reconstruct", ["rated", "all"])
def test_rated_diffrec_goes_back_step_by_step_to_what_it_predicts(tmp_path, reconstruct):
    """The posterior means of x_0-predictions by hand, at the rated cells or at all; at last all of them."""
    model = build(tmp_path, "RatedDiffRec", CELLS, dims_dnn=[6, 4], steps=3, reconstruct=reconstruct).eval()
    items, d = model.n_items, model.diffusion
    shapes = [tuple(one.weight.shape) for one in model.layers]
    assert shapes == [(6, items + 10), (4, 6), (6, 4), (items, 6)]
    mean = model.ratings.mean / 5 if reconstruct == "rated" else 0.0
    assert model.layers[-1].bias.detach().mean().item() == pytest.approx(mean, abs=2e-3)
    x = torch.rand(2, items) * (torch.arange(items) % 2)
    before = x
    for step in (2, 1):
        t = torch.full((2,), step)
        before = d.posterior_x0[step] * model.predicted(before, t) + d.posterior_xt[step] * before
        before = before * (x > 0) if reconstruct == "rated" else before
    expected = 5 * model.predicted(before, torch.zeros(2).long())
    torch.testing.assert_close(model.denoised(x), expected.detach())
    assert (model.denoised(x)[:, ::2] != 0).all()
    with pytest.raises(UsageError, match="dims_dnn"):
        build(tmp_path / "wrong", "RatedDiffRec", CELLS, dims_dnn=[0])


# ItemRidge, and the fit that DGRM's base is.


class TestItemRidge(ModelContract):
    model = "ItemRidge"
    options = {"valid_metric": "rated_ndcg@5", "reg_weight": 5.0}


FIT = RatedFitOptions(user_shrinkage=2.0, item_shrinkage=3.0, reg_weight=4.0, stretch=False)


def some_ratings(seed=0, shape=(30, 9)):
    """Return ratings of about half the cells, row and column 0 without any, CSR."""
    draw = np.random.default_rng(seed)
    rows = draw.integers(1, 6, shape) * (draw.random(shape) < 0.5)
    rows[0], rows[:, 0] = 0, 0
    rows[1:, 1] = np.maximum(rows[1:, 1], 1)
    return sp.csr_matrix(rows.astype(np.float64))


def test_the_fit_is_biases_and_ease_on_what_they_leave():
    ratings = some_ratings()
    fit, R, rated = RatedFit(ratings, FIT), ratings.toarray(), ratings.toarray() > 0
    b, c = fit.user_bias, fit.item_bias
    left = R - R[rated].mean()
    # Means of what the other side leaves, shrunken by so many ratings of 0; the items' after many sweeps.
    np.testing.assert_allclose(b, ((left - c) * rated).sum(1) / (rated.sum(1) + 2))
    np.testing.assert_allclose(c, ((left - b[:, None]) * rated).sum(0) / (rated.sum(0) + 3), atol=1e-3)
    E = (left - b[:, None] - c) * rated
    P = np.linalg.inv(E.T @ E + 4 * np.eye(9))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    expected = R[rated].mean() + b[:, None] + c + E @ B
    np.testing.assert_allclose(fit.scores(ratings).numpy(), expected, atol=1e-5)


def test_what_is_left_out_is_a_regression_without_the_row_and_a_user_without_the_rating():
    """Each left-out prediction against the regression that is solved again without the user."""
    ratings = some_ratings(1)
    fit, R, rated = RatedFit(ratings, FIT), ratings.toarray(), ratings.toarray() > 0
    E = fit.residuals(ratings)[0].toarray()
    found = sp.csr_matrix((fit.left_out(), ratings.indices, ratings.indptr), ratings.shape)
    for u, i in zip(*ratings.nonzero(), strict=True):
        others = rated[u] & (np.arange(9) != i)
        rest = np.where(others, R[u] - fit.mean - fit.item_bias, 0.0)
        bias = rest.sum() / (others.sum() + 2)
        raters = rated[:, i] & (np.arange(30) != u)
        of_item = (R[raters, i] - fit.mean - fit._before[raters]).sum() / (raters.sum() + 3)
        features = np.delete(np.delete(E, u, 0), i, 1)
        weights = np.linalg.solve(features.T @ features + 4 * np.eye(8), features.T @ np.delete(E[:, i], u))
        row = np.delete(np.where(others, rest - bias, 0.0), i)
        assert found[u, i] == pytest.approx(fit.mean + bias + of_item + row @ weights, abs=1e-4)


def test_a_rating_hardly_reaches_its_own_left_out_prediction():
    """A rating of 1 made a 5: what the fit says there moves by much, what is left out by the shared means."""
    low = some_ratings(2)
    u, i = 4, int(low[4].indices[1])
    ends = []
    for rating in (1.0, 5.0):
        ratings = low.copy()
        ratings[u, i] = rating
        fit = RatedFit(ratings, FIT)
        place = ratings.indptr[u] + np.flatnonzero(ratings[u].indices == i)[0]
        ends.append((float(fit.scores(ratings)[u, i]), fit.left_out()[place]))
    (fitted, left), (fitted_after, left_after) = ends
    assert fitted_after - fitted > 0.8
    assert abs(left_after - left) < 0.1 * (fitted_after - fitted)


def test_the_stretch_is_the_least_squares_of_what_is_left_out():
    """Users of two tastes: zeros at unrated cells shrink the regression, which is to be stretched."""
    draw = np.random.default_rng(3)
    taste = np.where(np.arange(60)[:, None] % 2 == np.arange(12) % 2, 5.0, 1.0)
    rows = taste * (draw.random((60, 12)) < 0.4)
    rows[0], rows[:, 0], rows[1:, 1] = 0, 0, taste[1:, 1]
    ratings = sp.csr_matrix(rows)
    plain = RatedFit(ratings, FIT)
    stretched = RatedFit(ratings, dataclasses.replace(FIT, stretch=True))
    base, linear = plain._left_out_parts()
    expected = np.linalg.lstsq(linear[:, None], ratings.data - base, rcond=None)[0][0]
    assert stretched.scale == pytest.approx(expected)
    assert stretched.scale > 1.2
    errors = [np.square(one.left_out() - ratings.data).mean() for one in (plain, stretched)]
    assert errors[1] < errors[0]
