"""What models of cold users share: hidden ratings stay hidden, factors with biases, the warm start."""

import numpy as np
import pytest
import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.warm_start import WarmStart, moved
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import FAST, Built
from recbole_diffusion.testing.two_domains import read_ratings, write_ratings
from recbole_diffusion.trainer import checkpoint

OPTIONS = {**FAST, "epochs": 2, "learning_rate": 0.03, "train_batch_size": 64}


def test_a_model_without_training_does_not_see_the_target_ratings_of_test_users(two_domains, tmp_path):
    """Those that train have this in their contract."""
    options = {**two_domains.overrides, **OPTIONS, "epochs": 0}
    run("SourceOffset", two_domains.name, overrides={**options, "run_dir": str(tmp_path / "one")})
    rows = read_ratings(two_domains.data_path, "films")
    changed = [(user, item, 3 if user in two_domains.withheld else rating) for user, item, rating in rows]
    assert sum(rating == 3 for *_, rating in changed) > 150
    write_ratings(two_domains.data_path, "films", changed)
    run("SourceOffset", two_domains.name, overrides={**options, "run_dir": str(tmp_path / "other")})
    for file in ("best.pt", "checkpoint.pt"):
        one, other = (checkpoint.load(tmp_path / name / file)["state_dict"] for name in ("one", "other"))
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("bias", [True, False])
def test_a_rating_is_an_offset_and_an_inner_product(two_domains, bias):
    built = Built("EMCDR", two_domains.name, {**two_domains.overrides, **OPTIONS, "bias": bias})
    factors = built.model.target
    users, items = torch.tensor([1, 5, 9]), torch.tensor([2, 2, 7])
    plain = (factors.users[users] * factors.items[items]).sum(1)
    if bias:
        torch.nn.init.normal_(factors.user_bias)
        torch.nn.init.normal_(factors.item_bias)
        plain = plain + factors.mean + factors.user_bias[users] + factors.item_bias[items]
    side, offsets = factors.item_vectors(), factors.item_offsets()
    assert torch.allclose(factors(users, items), plain)
    assert torch.allclose(
        (factors.user_vectors(users) * side[items]).sum(1) + offsets[items], plain, atol=1e-6
    )
    assert built.model.width == FAST["embedding_size"] + bias


def test_the_penalty_of_biases_adds_ratings_of_no_bias(two_domains):
    """At the minimum b_i is the sum of its errors over count + weight, whatever the number of ratings."""
    model = Built(
        "EMCDR", two_domains.name, {**two_domains.overrides, **OPTIONS, "mf_bias_reg_weight": 3.0}
    ).model
    factors, rows = model.target, model.ratings
    with torch.no_grad():
        factors.users.zero_()
        factors.count(rows)
    optimizer = torch.optim.LBFGS([factors.item_bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = factors.loss(rows.users, rows.items, rows.ratings)
        loss.backward()
        return loss

    optimizer.step(closure)
    sums = torch.zeros(model.n_items).index_add_(0, rows.items, rows.ratings - factors.mean)
    expected = sums / (torch.bincount(rows.items, minlength=model.n_items) + 3)
    assert torch.allclose(factors.item_bias, expected, atol=1e-3)


def test_the_warm_start_is_the_minimum_of_the_pulled_error():
    generator = torch.Generator().manual_seed(1)
    items, offsets = (
        torch.randn(9, 3, generator=generator).double(),
        torch.randn(9, generator=generator).double(),
    )
    users = torch.tensor([4, 4, 4, 6, 6, 8])
    rows = Ratings(users, torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([1.0, 5, 3, 2, 4, 5]).double())
    warm = WarmStart(rows, Ratings(users[:0], users[:0], rows.ratings[:0]), 2.0, (1.0, 5.0))
    start = torch.randn(9, 3, generator=generator).double()
    found, vectors = warm.vectors(lambda some: start[some], items, offsets)
    assert found.tolist() == [4, 6, 8]
    w = start[found].clone().requires_grad_()
    place = torch.searchsorted(found, rows.users)
    error = (rows.ratings - offsets[rows.items] - (w[place] * items[rows.items]).sum(1)).square().sum()
    (error + 2 * (w - start[found]).square().sum()).backward()
    at_minimum = w.detach() - vectors
    assert at_minimum.abs().sum() > 0.1  # it moved
    w2 = vectors.clone().requires_grad_()
    error = (rows.ratings - offsets[rows.items] - (w2[place] * items[rows.items]).sum(1)).square().sum()
    (error + 2 * (w2 - start[found]).square().sum()).backward()
    assert w2.grad.abs().max() < 1e-9
    assert torch.allclose(
        moved(start[found], torch.zeros(3, 3, 3).double(), torch.zeros(3, 3).double(), 1.0), start[found]
    )


def test_the_warm_start_changes_its_own_part_alone_and_helps(two_domains, tmp_path):
    result = run(
        "EMCDR",
        two_domains.name,
        overrides={**two_domains.overrides, **OPTIONS, "run_dir": str(tmp_path / "run")},
    )
    assert set(result) >= {"test", "test_cold", "test_warm"}
    assert result["test_warm"]["rated_mae"] < result["test_cold"]["rated_mae"]
    assert result["diagnostics"]["warm_start_l2"] > 0
    assert result["diagnostics"]["domains"]["shared_users"] == 50
    with np.load(tmp_path / "run/user_metrics.npz") as file:
        users = len(file["test/users"])
        assert users == len(two_domains.withheld)
        assert (
            0
            <= file["test/rated_mae"].min()
            <= result["test"]["rated_mae"] + 1e-6
            <= file["test/rated_mae"].max() + 1e-5
        )


def test_errors_beyond_the_scale_count_where_they_are_not_clipped(two_domains, tmp_path):
    options = {**two_domains.overrides, "epochs": 0, "report_groups": 0, "warm_start_share": 0.0}
    write_ratings(
        two_domains.data_path,
        "books",
        [(f"u{user}", f"i{item}", 5 if item else 1) for user in range(60) for item in (0, user % 9 + 1)],
    )
    clipped, plain = (
        run(
            "SourceOffset",
            two_domains.name,
            overrides={**options, "rated_clip": clip, "run_dir": str(tmp_path / str(clip))},
        )
        for clip in (True, False)
    )
    assert clipped["test"]["rated_mae"] <= plain["test"]["rated_mae"]
