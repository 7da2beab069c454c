"""Popularity negatives: the table, the law of the draws by rejection and exactly, and that calls end."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.small import build

from recbole_diffusion.sampler import popularity
from recbole_diffusion.sampler.popularity import popularity_negatives, popularity_table


def assert_law(drawn, weights, own):
    """Chi-square of the draws of one user against weights without the own items.

    Those of probability 0 never occur.
    """
    expected = np.asarray(weights, dtype=np.float64)
    expected[[0, *own]] = 0
    found = torch.bincount(drawn, minlength=len(expected)).numpy()
    possible = expected > 0
    assert found[~possible].sum() == 0
    expected = expected[possible] / expected.sum() * len(drawn)
    assert expected.min() > 5  # what the test needs to mean something
    assert stats.chisquare(found[possible], expected).pvalue > 1e-3


def draws(counts, power, own, *, n=20_000, seed=0):
    """Return ``n`` negatives of user 1, who has the items ``own``; user 0 has item 1."""
    dense = np.zeros((2, len(counts)), dtype=np.float32)
    dense[0, 1] = 1
    dense[1, own] = 1
    table = popularity_table(torch.tensor(counts), power)
    generator = torch.Generator().manual_seed(seed)
    return popularity_negatives(build(dense), torch.ones(n, dtype=torch.long), table, generator=generator)


def test_table_has_the_cumulative_probabilities():
    # square roots 2, 1, 0, 3 of the real items; the count of the padding item means nothing
    found = popularity_table(torch.tensor([7, 4, 1, 0, 9]), 0.5)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([0, 2 / 6, 3 / 6, 3 / 6, 1])


def test_table_of_power_zero_is_uniform_and_huge_powers_do_not_overflow():
    assert popularity_table(torch.tensor([3, 0, 8, 0, 1]), 0.0).tolist() == pytest.approx(
        [0, 0.25, 0.5, 0.75, 1]
    )
    assert popularity_table(torch.zeros(3), 0.0).tolist() == pytest.approx([0, 0.5, 1])
    assert popularity_table(torch.tensor([0, 2000, 1000]), 200.0).tolist() == pytest.approx([0, 1, 1])


@pytest.mark.parametrize(
    ("counts", "power", "message"),
    [
        ([0, 1, 2], -0.5, "power is -0.5"),
        ([0, 1, 2], float("nan"), "power is nan"),
        ([0, 1, -2], 1.0, "negative"),
        ([0.0, 1.0, float("nan")], 1.0, "not finite"),
        ([5, 0, 0], 0.75, "nothing to draw"),
        ([5], 0.0, "nothing to draw"),
        ([[0, 1]], 1.0, "one number an item"),
    ],
)
def test_table_refuses(counts, power, message):
    with pytest.raises(ValueError, match=message):
        popularity_table(torch.tensor(counts), power)


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_law_over_the_items_that_are_not_positives(power):
    counts = [50, 20, 0, 5, 40, 1, 12, 0, 3]
    assert_law(draws(counts, power, [4, 6]), np.array(counts, dtype=np.float64) ** power, [4, 6])


def test_law_where_rejection_and_the_exact_draw_share_the_rows(monkeypatch):
    exact = []
    whole = popularity._conditional
    monkeypatch.setattr(popularity, "_conditional", lambda *args: exact.append(whole(*args)) or exact[-1])
    monkeypatch.setattr(popularity, "EXACT_CELLS", 6 * 500)  # blocks of 500 rows
    counts = [
        0,
        9600,
        100,
        0,
        50,
        250,
    ]  # the user's item has 96 % of the mass: 27 % of the rows are left after 32 rounds
    drawn = draws(counts, 1.0, [1])
    assert_law(drawn, counts, [1])
    assert 4000 < sum(map(len, exact)) < 7000
    assert {len(block) for block in exact[:-1]} == {500}
    assert_law(torch.cat(exact), counts, [1])


def test_the_draw_ends_where_the_positives_hold_nearly_all_the_mass():
    counts = [0, 10**12, 3, 2, 1]
    assert_law(draws(counts, 1.0, [1], n=6000), counts, [1])


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 12), st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.integers(0, 2**31 - 1))
def test_never_a_positive_never_padding_never_a_weight_of_zero(n_items, power, seed):
    generator = np.random.default_rng(seed)
    dense = (generator.random((5, n_items)) < 0.6).astype(np.float32)
    counts = generator.integers(0, 4, n_items)
    dense[:, 0], dense[:, 1], dense[:, 2], counts[2] = (
        0,
        1,
        0,
        1,
    )  # every user has a positive and a possible negative
    users = torch.from_numpy(generator.integers(0, 5, 50))
    table = popularity_table(torch.from_numpy(counts), power)
    drawn = popularity_negatives(build(dense), users, table, generator=torch.Generator().manual_seed(seed))
    assert drawn.shape == users.shape
    assert bool((drawn > 0).all())
    assert not dense[users.numpy(), drawn.numpy()].any()
    assert power == 0 or (counts[drawn.numpy()] > 0).all()


@pytest.mark.parametrize(
    ("number", "item"), [(0.0, 2), (1.0, 4)]
)  # the first and the last item of positive weight
def test_extreme_uniform_numbers_stay_inside_the_catalogue(monkeypatch, number, item):
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), number, dtype=torch.float64))
    assert draws([0, 0, 4, 1, 2, 0, 0], 1.0, [3], n=3).tolist() == [item] * 3


def test_draws_repeat_with_the_generator():
    counts = [0, 9600, 100, 0, 50, 250]
    first, again, other = (draws(counts, 1.0, [1], n=500, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_no_users_is_no_draw():
    assert draws([0, 3, 2], 1.0, [1], n=0).shape == (0,)


def test_a_user_with_all_items_of_positive_weight_is_an_error_not_an_endless_loop():
    with pytest.raises(ValueError, match="user 1 has all items of positive weight"):
        draws([0, 5, 2, 0], 1.0, [1, 2], n=3)
    assert draws([0, 5, 2, 0], 0.0, [1, 2], n=3).tolist() == [3, 3, 3]


@pytest.mark.parametrize("table", [torch.linspace(0, 1, 5), torch.linspace(0, 1, 4, dtype=torch.float64)])
def test_a_foreign_table_is_refused(table):
    with pytest.raises(ValueError, match="make it with popularity_table"):
        popularity_negatives(
            build(np.array([[0, 1, 0, 0, 0]], dtype=np.float32)), torch.zeros(1, dtype=torch.long), table
        )


def test_draws_follow_the_device(torch_device):
    positives = build(np.array([[0, 1, 0, 0, 0]], dtype=np.float32)).to(torch_device)
    table = popularity_table(torch.tensor([0, 10**9, 1, 1, 0], device=torch_device), 1.0)
    users = torch.zeros(64, dtype=torch.long, device=torch_device)
    drawn = popularity_negatives(
        positives, users, table, generator=torch.Generator(torch_device).manual_seed(0)
    )
    assert drawn.device.type == torch_device.type
    assert set(drawn.tolist()) == {2, 3}
