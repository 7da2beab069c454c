"""DNS(M, N), AHNS, AR, SL and RealHNS: known picks, brute force, and the law of the choice."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.small import build

from recbole_diffusion.sampler import hard
from recbole_diffusion.sampler.hard import ahns, best_share, dns, in_proportion
from recbole_diffusion.sampler.realhns import likeness_limit, mean_likeness, real_hard, real_hard_window


def test_dns_of_one_takes_the_hardest():
    scores = torch.tensor([[0.1, 0.9, 0.5], [-1.0, -3.0, -2.0]], requires_grad=True)
    chosen = dns(scores, 1)
    assert chosen.tolist() == [1, 0]
    assert not chosen.requires_grad


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.data(), st.integers(0, 2**31 - 1))
def test_dns_stays_within_the_first_m(n, data, seed):
    m = data.draw(st.integers(1, n))
    generator = torch.Generator().manual_seed(seed)
    scores = torch.stack([torch.randperm(n, generator=generator) for _ in range(20)]).float()
    chosen = dns(scores, m, generator=generator)
    assert chosen.shape == (20,)
    assert bool((scores[torch.arange(20), chosen] >= n - m).all())  # scores are the ranks from below


def test_dns_is_uniform_over_the_first_m_and_repeatable():
    scores = torch.tensor([0.3, 2.0, -1.0, 0.9, 0.4]).repeat(9000, 1)
    chosen = dns(scores, 3, generator=torch.Generator().manual_seed(5))
    found = torch.bincount(chosen, minlength=5)
    assert found[[0, 2]].tolist() == [0, 0]
    assert stats.chisquare(found[[1, 3, 4]].numpy()).pvalue > 1e-3
    assert torch.equal(chosen, dns(scores, 3, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize(
    ("shape", "m", "message"), [((2, 3), 4, "1 to 3"), ((2, 3), 0, "1 to 3"), ((2, 0), 1, "one candidate")]
)
def test_dns_refuses(shape, m, message):
    with pytest.raises(ValueError, match=message):
        dns(torch.zeros(shape), m)


def test_ahns_by_hand():
    # p = -2: wanted = 0.5 / (positive + 1) = 0.25 for a well fitted positive, 0.5 for an unfitted one, 1 for
    # a badly fitted one
    candidates = torch.tensor([-0.2, 0.3, 0.55, 0.9]).repeat(3, 1)
    chosen = ahns(candidates, torch.tensor([1.0, 0.0, -0.5]), alpha=1.0, beta=0.5, p=-2.0)
    assert chosen.tolist() == [1, 2, 3]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 8),
    st.floats(1, 3),
    st.floats(0.05, 2),
    st.sampled_from([-0.5, -1.0, -2.0, -4.0]),
    st.integers(0, 2**31 - 1),
)
def test_ahns_equals_brute_force(n, alpha, beta, p, seed):
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.rand(12, n, generator=generator, dtype=torch.float64) * 2 - 1
    positives = torch.rand(12, generator=generator, dtype=torch.float64) * 1.98 - 0.99
    chosen = ahns(candidates, positives, alpha=alpha, beta=beta, p=p)
    for row in range(12):
        wanted = beta * (float(positives[row]) + alpha) ** (p + 1)
        distances = [abs(score - wanted) for score in candidates[row].tolist()]
        assert distances[int(chosen[row])] <= min(distances) + 1e-12 * (1 + abs(wanted))


def test_ahns_takes_easier_negatives_for_better_fitted_positives():
    candidates = torch.linspace(-1, 1, 201).repeat(50, 1)
    positives = torch.linspace(-0.9, 0.99, 50)
    chosen = ahns(candidates, positives, alpha=1.0, beta=0.1, p=-2.0)
    assert bool((chosen.diff() <= 0).all())
    assert chosen[0] > chosen[-1]
    share = candidates[0][ahns(candidates, positives, alpha=1.0, beta=0.4, p=-0.5)] / (positives + 1)
    assert share[0] > share[24] > share[-1]  # -1 < p < 0: easier relative to the positive


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [-2.0, -9.0])
def test_ahns_takes_the_hardest_where_the_base_is_not_positive_or_the_wanted_score_is_huge(dtype, p):
    candidates = torch.tensor([[0.5, 0.50001, 0.4999]] * 4, dtype=dtype)
    positives = torch.tensor([-1.0, -40.0, -0.9999999, -0.999], dtype=dtype)
    assert ahns(candidates, positives, alpha=1.0, beta=1.0, p=p).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("candidates", "positives", "change", "message"),
    [
        ((2, 3), (3,), {}, "positive_scores"),
        ((2, 3), (2, 1), {}, "positive_scores"),
        ((2, 0), (2,), {}, "one candidate"),
        ((2, 3), (2,), {"p": 0.0}, "p is 0.0"),
        ((2, 3), (2,), {"beta": 0.0}, "beta is 0.0"),
    ],
)
def test_ahns_refuses(candidates, positives, change, message):
    with pytest.raises(ValueError, match=message):
        ahns(
            torch.zeros(candidates),
            torch.zeros(positives),
            **{"alpha": 1.0, "beta": 0.1, "p": -2.0, **change},
        )


def test_choices_follow_the_device(torch_device):
    scores = torch.tensor([[0.1, 0.9, 0.5]], device=torch_device)
    chosen = dns(scores, 2, generator=torch.Generator(torch_device).manual_seed(0))
    assert chosen.device.type == torch_device.type
    assert int(chosen) in (1, 2)
    assert ahns(scores, scores[:, 0], alpha=1.0, beta=1.0, p=-2.0).tolist() == [1]


def test_draws_are_among_the_hard_ones_that_are_not_false():
    scores = torch.tensor([[9.0, 8, 7, 6, 1, 0]]).repeat(4000, 1)
    similarities = torch.tensor([[0.2, 0.9, 0.1, 0.3, 0.0, 0.0]]).repeat(4000, 1)
    drawn = real_hard(scores, similarities, 4, 0.5, generator=torch.Generator().manual_seed(0))
    counts = drawn.bincount(minlength=6)
    assert counts.tolist()[1] == counts.tolist()[3] == counts.tolist()[4] == 0
    assert counts[0].item() == pytest.approx(2000, abs=200)


def test_no_share_is_dns_and_the_whole_share_leaves_the_least_similar():
    scores, similarities = torch.randn(50, 8), torch.randn(50, 8)
    assert torch.equal(real_hard(scores, similarities, 1, 0.0), scores.argmax(1))
    assert torch.equal(real_hard(scores, similarities, 8, 1.0), similarities.argmin(1))


@pytest.mark.parametrize(
    ("shape", "hardest", "share"), [((2, 3), 2, 0.5), ((2, 4), 5, 0.5), ((2, 4), 0, 0.5), ((2, 4), 2, 1.5)]
)
def test_arguments_that_do_not_fit_are_refused(shape, hardest, share):
    with pytest.raises(ValueError, match=r"both be|hardest takes"):
        real_hard(torch.zeros(2, 4), torch.zeros(shape), hardest, share)


DRAWS = 12_000
ITEM_ONE = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]])
# Scores of items 1 to 5 by the users' vectors, which are unit vectors; 9 is the padding item's.
SCORES = torch.tensor([[9.0, 5, 4, 3, 2, 1], [9.0, 3, 1, 0, -2, -1], [9.0, -1, -1, -1, -1, -1]])


def drawn(sampler, user, scores, *args, monkeypatch=None, **named):
    """Return the shares in which items are drawn for a user whose scores are a row of SCORES."""
    users = torch.full((DRAWS,), user)
    vectors = torch.eye(len(SCORES))[scores].expand(DRAWS, -1)
    generator = torch.Generator().manual_seed(3)
    found = sampler(build(ITEM_ONE), users, vectors, SCORES.T, *args, generator=generator, **named)
    return (found.bincount(minlength=6) / DRAWS).tolist()


@pytest.mark.parametrize(
    ("user", "share", "expected"),
    [
        (1, 0.6, [0, 0, 1 / 2, 1 / 2, 0, 0]),  # the best three without item 1
        (1, 1.0, [0, 0, 1 / 4, 1 / 4, 1 / 4, 1 / 4]),  # uniform over what the user lacks
        (1, 0.01, [0, 0, 1 / 4, 1 / 4, 1 / 4, 1 / 4]),  # the best one is a positive
        (2, 0.8, [0, 0, 0, 0, 1, 0]),
        (3, 0.4, [0, 1 / 2, 1 / 2, 0, 0, 0]),
    ],
)
def test_ar_is_uniform_over_a_share_of_the_best_without_the_positives(user, share, expected):
    assert drawn(best_share, user, 0, share) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("user", "scores", "power", "exclude", "expected"),
    [
        (1, 1, 1.0, False, [0, 3 / 4, 1 / 4, 0, 0, 0]),  # the released code
        (1, 1, 1.0, True, [0, 0, 1, 0, 0, 0]),
        (3, 1, 0.5, True, [0, 3**0.5 / (3**0.5 + 1), 1 / (3**0.5 + 1), 0, 0, 0]),
        (3, 0, 2.0, True, [0, 25 / 51, 16 / 51, 9 / 51, 0, 1 / 51]),
        (1, 2, 1.0, True, [0, 0, 1 / 4, 1 / 4, 1 / 4, 1 / 4]),  # no positive score
    ],
)
def test_sl_is_in_proportion_to_a_power_of_the_positive_scores(user, scores, power, exclude, expected):
    found = drawn(in_proportion, user, scores, power, exclude_positives=exclude)
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("name", ["ar", "sl"])
def test_users_of_a_batch_keep_their_own_law_whatever_the_blocks(monkeypatch, name):
    monkeypatch.setattr(hard, "CELLS", 12)  # two users
    users = torch.tensor([1, 3, 2, 1, 3]).repeat(DRAWS // 4)
    vectors = torch.eye(3)[torch.tensor([0, 1, 0, 0, 1])].repeat(DRAWS // 4, 1)
    torch.manual_seed(2)
    given = build(ITEM_ONE), users, vectors, SCORES.T
    found = best_share(*given, 0.6) if name == "ar" else in_proportion(*given, 1.0)
    wanted = {
        "ar": {
            1: [0, 0, 1 / 2, 1 / 2, 0, 0],
            3: [0, 1 / 3, 1 / 3, 1 / 3, 0, 0],
            2: [0, 0, 0, 0, 1 / 2, 1 / 2],
        },
        "sl": {1: [0, 0, 0.4, 0.3, 0.2, 0.1], 3: [0, 3 / 4, 1 / 4, 0, 0, 0], 2: [0, 0, 0, 0, 2 / 3, 1 / 3]},
    }[name]
    for user, expected in wanted.items():
        shares = found[users == user].bincount(minlength=6) / (users == user).sum()
        assert shares.tolist() == pytest.approx(expected, abs=0.025)


def test_the_threshold_of_realhns_is_the_published_schedule():
    assert likeness_limit(6, 5, 1.0) == pytest.approx(0.23)
    assert likeness_limit(8, 5, 1.0) == pytest.approx(0.2645)
    assert likeness_limit(24, 5, 1.0) == pytest.approx(0.8091, abs=1e-4)
    assert likeness_limit(27, 5, 2.0) == pytest.approx(2 * 0.9305, abs=1e-4)
    assert likeness_limit(28, 5, 2.0) == 2.0
    assert likeness_limit(40, 5, -0.3) == math.inf


@pytest.mark.parametrize(("limit", "place", "left"), [(2.6, 1, True), (5.0, 0, True), (0.4, None, False)])
def test_realhns_takes_the_best_candidate_below_the_threshold(limit, place, left):
    found, real = real_hard_window(
        torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[4.5, 2.5, 0.5]]), limit, (0.0, 1.0)
    )
    assert real.item() == left
    assert not left or found.item() == place


def test_realhns_draws_among_the_best_tenth_of_a_window_of_ranks():
    scores = torch.arange(200.0, 0, -1).repeat(DRAWS, 1)  # the rank of a candidate is its place
    likeness = torch.zeros_like(scores)
    likeness[:, 60] = 9.0
    generator = torch.Generator().manual_seed(1)
    place, left = real_hard_window(scores, likeness, 1.0, (0.3, 0.45), generator=generator)
    assert left.all()  # ranks 60 to 89, of which 60 is a false negative; a tenth of 29 is two
    assert sorted(set(place.tolist())) == [61, 62]
    assert (place == 61).float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_mean_likeness_is_five_cosines_with_the_centres():
    items = torch.tensor([[9.0, 9, 9], [2, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0]])
    # Two bundles: cosines 1 and 1 with the first centre, cos(pi / 8) twice with the other.
    expected = 5 * (1 + math.cos(math.pi / 8)) / 2
    assert mean_likeness(items, clusters=2, seed=1) == pytest.approx(expected, abs=1e-5)
    assert mean_likeness(items, clusters=50) == pytest.approx(5.0, abs=1e-5)
