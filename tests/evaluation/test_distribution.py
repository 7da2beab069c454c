"""Distributions of predicted ratings, energy and entropy of scores: by hand and in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from support.thermodynamics import original_thermodynamics, thermodynamics

from recbole_diffusion.evaluation import distribution
from recbole_diffusion.evaluation.thermodynamics import (
    by_reading,
    released_energy,
    released_entropy,
    row_energy,
    row_entropy,
    row_probabilities,
)
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

MODES = np.array([1.0, 2.0, 3.0, 4.0, 5.0])


def test_nearest_modes_by_hand():
    assert distribution.nearest_modes(np.array([0.0, 1.49, 1.5, 3.2, 4.6, 9.0]), MODES).tolist() == [
        0,
        0,
        1,
        2,
        4,
        4,
    ]
    assert distribution.nearest_modes(np.array([1.0, 2.4, 2.6]), np.array([1.0, 4.0])).tolist() == [
        0,
        0,
        1,
    ]  # a scale with a gap


def test_kl_distance_by_hand_and_finite():
    # With half a count added: p = (1.5, 0.5) / 2, q = (0.5, 1.5) / 2.
    assert distribution.kl_distance(np.array([1, 0]), np.array([0, 1])) == pytest.approx(
        0.75 * math.log(3) - 0.25 * math.log(3)
    )
    assert distribution.kl_distance(np.array([7, 3]), np.array([7, 3])) == 0


def test_histogram_covers_everything():
    counts = distribution.histogram(np.array([-9.0, 0.1, 4.99, 5.0, 70.0]), 1, 5)
    assert counts.sum() == 5
    assert (counts[0], counts[-1]) == (2, 3)  # bins are a quarter of a rating wide, from 0 to 5
    assert distribution.edges(1, 5)[[0, -1]].tolist() == [0, 5]


def test_a_collapsed_model_is_seen():
    draw = np.random.default_rng(0)
    users, ratings = np.repeat(np.arange(50), 40), draw.choice([1.0, 2.0, 3.0, 4.0, 5.0], 2000)
    same = distribution.compare(users, ratings, draw.permutation(ratings), 1, 5)
    ends = distribution.compare(users, ratings, draw.choice([0.2, 5.0], 2000), 1, 5)
    assert same["kl"] == pytest.approx(0, abs=1e-12)
    assert (same["modes_covered"], ends["modes_covered"]) == (1.0, 0.4)
    assert ends["kl"] > 0.8
    assert same["ks"]["users"] == 50
    assert same["ks"]["agree"]["0.05"] > 40 > 15 > ends["ks"]["agree"]["0.05"]
    assert ends["predicted"][1:4] == [0.0, 0.0, 0.0]


def test_the_test_by_user_counts_users():
    users = np.array([1] * 30 + [2] * 30)
    ratings = np.r_[np.tile([1.0, 3.0, 5.0], 10), np.full(30, 5.0)]
    predicted = np.r_[np.tile([1.0, 3.0, 5.0], 10), np.full(30, 1.0)]  # user 1 alike, user 2 apart
    assert distribution.agreeing_users(users, ratings, predicted, (0.05,)) == {
        "users": 2,
        "agree": {"0.05": 1},
    }


def test_each_divergence_has_its_direction():
    """Four ratings of 1 and one of 5, predicted as two of 1 and three of 5; half a count is added to each."""
    ratings, predicted = np.array([1.0, 1, 1, 1, 5]), np.array([1.0, 1, 5, 5, 5])
    found = distribution.compare(np.zeros(5, int), ratings, predicted, 1, 5)
    actual, of_found = (4.5 / 6, 1.5 / 6), (2.5 / 6, 3.5 / 6)
    forth = sum(p * math.log(p / q) for p, q in zip(of_found, actual, strict=True))
    back = sum(p * math.log(p / q) for p, q in zip(actual, of_found, strict=True))
    assert (found["kl"], found["kl_reverse"]) == (pytest.approx(forth), pytest.approx(back))
    bins = [distribution.histogram(values, 1, 5) for values in (predicted, ratings)]
    assert found["kl_bins"] == pytest.approx(distribution.kl_distance(*bins))
    assert found["kl_bins"] != pytest.approx(distribution.kl_distance(*bins[::-1]))


@pytest.mark.parametrize("levels", [5, 1000])
def test_the_test_by_user_is_the_exact_two_sample_test(levels):
    """Users of 1 to 60 rows in any order, with many ties and with few, against scipy's test of one user."""
    draw = np.random.default_rng(levels)
    users = draw.permutation(np.repeat(np.arange(120), draw.integers(1, 61, 120)))
    ratings = draw.integers(1, levels + 1, len(users)) / 1.0
    predicted = np.clip(ratings + draw.integers(-levels, levels + 1, len(users)), 1, None)
    gaps, rows = distribution.largest_gaps(users, ratings, predicted)
    found = distribution.same_law_p_values(gaps, rows)
    plain = [
        ks_2samp(predicted[users == user], ratings[users == user], method="exact") for user in range(120)
    ]
    np.testing.assert_allclose(gaps / rows, [one.statistic for one in plain], rtol=1e-12)
    np.testing.assert_allclose(found, [one.pvalue for one in plain], rtol=1e-9, atol=1e-12)


def test_users_of_few_rows_are_not_rejected_by_an_approximation():
    """By hand: two values beside two others are apart in 2 of 6 orders, three beside three in 2 of 20."""
    gaps, rows = np.array([0, 1, 2, 3, 4]), np.array([1, 1, 2, 3, 4])
    assert distribution.same_law_p_values(gaps, rows) == pytest.approx([1, 1, 2 / 6, 2 / 20, 2 / 70])
    one = distribution.agreeing_users(np.arange(4), np.full(4, 5.0), np.full(4, 1.0), (0.05,))
    assert one == {"users": 4, "agree": {"0.05": 4}}


def test_users_of_many_rows_have_the_p_value_of_the_limit():
    """P(sqrt(n / 2) D > x) tends to 2 sum (-1)^(i + 1) exp(-2 i^2 x^2); k = 1 is certain at any n."""
    rows = np.array([10**6, 10**6])
    x = 2000 / 10**6 * math.sqrt(10**6 / 2)
    limit = 2 * sum((-1) ** (i + 1) * math.exp(-2 * (i * x) ** 2) for i in range(1, 9))
    found = distribution.same_law_p_values(np.array([2000, 1]), rows)
    assert found == pytest.approx([limit, 1], rel=1e-3)


# Users 1 and 2 (0 is padding), items 1 to 4: user 1 has 1 and 2, user 2 has 3.
POSITIVES = InteractionCSR(torch.tensor([0, 0, 2, 3]), torch.tensor([1, 2, 3]), 5)


def test_energy_counts_reached_cells_and_shares_of_the_others():
    original = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    reconstructed = torch.tensor([[0.6, 0.1, 0.3, -0.2]])
    # 1 (0.6 >= 0.5) + 0.1 / 0.5 + 1 (0.3 >= 0) + 0 (negative against 0)
    assert row_energy(reconstructed, original).tolist() == pytest.approx([2.2])


def test_entropy_is_shannon_entropy():
    assert row_entropy(torch.tensor([[0.25] * 4, [1.0, 0, 0, 0]])).tolist() == pytest.approx(
        [math.log(4), 0.0]
    )


def test_probabilities_by_both_rules():
    scores = torch.tensor([[3.0, -1.0]])
    assert row_probabilities(scores, "l1").tolist() == [pytest.approx([0.75, -0.25])]
    assert row_probabilities(scores, "softmax").sum().item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="'l1' or 'softmax'"):
        row_probabilities(scores, "l2")


@pytest.mark.parametrize("block", [1, 2, 100])
def test_whole_data_set_by_blocks_leaves_padding_out(block):
    scores = torch.tensor([[9.0] * 5, [9.0, 1.0, 1.0, 1.0, 1.0], [9.0, 0.0, 0.0, 1.0, 0.0]])
    found = thermodynamics(lambda users: scores[users], POSITIVES, block=block)
    # user 1: 0.25 everywhere against 0.5 for two items: 0.5 + 0.5 + 1 + 1, entropy log 4; user 2: exact, 4
    # cells, entropy 0
    assert (found.energy, found.entropy, found.users) == (pytest.approx(7.0), pytest.approx(math.log(4)), 2)


def test_interactions_themselves():
    found = original_thermodynamics(POSITIVES)
    assert (found.energy, found.entropy, found.users) == (pytest.approx(8.0), pytest.approx(math.log(2)), 2)
    perfect = torch.zeros(3, 5)
    perfect[1, 1:3], perfect[2, 3] = 0.5, 1.0
    again = thermodynamics(lambda users: perfect[users], POSITIVES)
    assert (again.energy, again.entropy) == (pytest.approx(found.energy), pytest.approx(found.entropy))


def test_released_energy_of_a_softmax_counts_all_items_and_squares_the_rest():
    # p = 0.5, 0.25, 0.15, 0.1 of a user with 3 items: 0.5 reaches 1/3; then 3 (0.25^2 + 0.15^2 + 0.1^2).
    scores = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64).log()
    assert released_energy(scores, torch.tensor([3]), "softmax").item() == pytest.approx(1 + 3 * 0.095)
    # All four reach 1/11.
    assert released_energy(scores, torch.tensor([11]), "softmax").item() == pytest.approx(4)


def test_released_energy_of_reconstructions_has_two_kinds_of_rows():
    # Without a negative score: 0.4, 0.4, 0.2; at most |N(u)| = 1 for the count, none reaches 1 / 1.
    plain = torch.tensor([[4.0, 4.0, 2.0]], dtype=torch.float64)
    assert released_energy(plain, torch.tensor([1]), "l1").item() == pytest.approx(0.36)
    assert released_energy(plain, torch.tensor([2]), "l1").item() == pytest.approx(2 * 0.36)
    assert released_energy(plain, torch.tensor([3]), "l1").item() == pytest.approx(2 + 3 * 0.04)
    # The count of three that reach 1/5, no more than |N(u)|.
    assert released_energy(plain, torch.tensor([5]), "l1").item() == pytest.approx(3)
    capped = torch.full((1, 4), 0.25, dtype=torch.float64)
    assert released_energy(capped, torch.tensor([4]), "l1").item() == pytest.approx(4)
    # With one: 6, 6, 2, -4 over their sum 10 is 0.6, 0.6, 0.2, 0; over 1.4 again 0.43, 0.43, 0.14: a count.
    negative = torch.tensor([[6.0, 6.0, 2.0, -4.0]], dtype=torch.float64)
    assert released_energy(negative, torch.tensor([2]), "l1").item() == 0
    assert released_energy(negative, torch.tensor([3]), "l1").item() == 2
    assert released_energy(negative, torch.tensor([8]), "l1").item() == 3
    # 12 over the sum 10 is cut at 1: 1, 0.3 over 1.3; without the cut 0.3 of 1.5 would not reach 0.21.
    beyond = torch.tensor([[12.0, 3.0, -5.0]], dtype=torch.float64)
    assert released_energy(beyond, torch.tensor([5]), "l1").item() == 2
    # A negative sum turns the signs: what is left is -1 over -2.
    turned = torch.tensor([[1.0, -3.0]], dtype=torch.float64)
    assert released_energy(turned, torch.tensor([1]), "l1").item() == 1


def test_released_entropy_is_in_bits_of_clipped_scores():
    scores = torch.tensor([[1.0, 1.0, -5.0, 0.0]], dtype=torch.float64)
    p = [1 / (2 + 2e-6)] * 2 + [1e-6 / (2 + 2e-6)] * 2
    assert released_entropy(scores, "l1").item() == pytest.approx(-sum(x * math.log2(x) for x in p))
    # A softmax is clipped and not divided again.
    far = torch.tensor([[0.0, -100.0]], dtype=torch.float64)
    assert released_entropy(far, "softmax").item() == pytest.approx(-1e-6 * math.log2(1e-6))


def test_the_released_reading_of_a_data_set():
    scores = torch.tensor([[9.0] * 5, [9.0, 4.0, 4.0, 2.0, 0.0], [9.0, 1.0, 0.0, 2.0, 0.0]])
    found = thermodynamics(lambda users: scores[users], POSITIVES, reading="released", block=1)
    # user 1 (2 items): 2 (0.4^2 + 0.4^2 + 0.2^2); user 2 (1 item): (1/3)^2 + (2/3)^2
    assert found.energy == pytest.approx(0.72 + 5 / 9)
    original = original_thermodynamics(POSITIVES, "released")
    assert (original.energy, original.entropy, original.users) == (3, 1, 2)
    with pytest.raises(ValueError, match="equations, released, stored"):
        thermodynamics(lambda users: scores[users], POSITIVES, reading="printed")


def test_in_the_stored_reading_the_scores_of_training_items_do_not_enter():
    """They are -1e9 there: two models that reconstruct them well and badly have one energy and entropy."""
    positives = InteractionCSR(torch.tensor([0, 0, 3, 10]), torch.tensor([1, 2, 3, *range(2, 9)]), 40)
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand(3, 40, generator=generator)
    users, kinds = torch.tensor([1, 2]), {}
    for kind, of_training in (("high", 50.0), ("low", 0.0)):
        given = scores.clone()
        for user in (1, 2):
            given[user, positives.gather(torch.tensor([user]))[0]] = of_training
        kinds[kind] = by_reading(lambda ids, given=given: given[ids], positives, users)
    (high, entropy), (low, again) = kinds["high"]["stored"], kinds["low"]["stored"]
    assert torch.equal(high, low)
    assert torch.equal(entropy, again)
    assert not torch.allclose(kinds["high"]["released"][0], kinds["low"]["released"][0])
    # By hand, in single precision: the three over their sum are 1 / 3 or next to it, and count or do not.
    row = scores[1, 1:].numpy().copy()
    row[[0, 1, 2]] = -1e9
    p = np.maximum(row / row.sum(), 0)
    assert p[:3] == pytest.approx([1 / 3] * 3, rel=1e-6)
    assert p[3:].max() < 1e-9
    over = p / p.sum()
    expected = (over >= np.float32(1 / 3)).sum() if p.sum() > 1 else (p >= np.float32(1 / 3)).sum()
    expected += 0 if p.sum() > 1 else 3 * np.square(p[p < np.float32(1 / 3)]).sum()
    assert high[0].item() == pytest.approx(expected, rel=1e-6)
    x = np.maximum(row, 1e-6).astype(np.float64)
    x /= x.sum()
    assert entropy[0].item() == pytest.approx(-(x * np.log2(x)).sum(), rel=1e-5)


def test_inner_products_are_stored_as_they_are():
    scores = torch.tensor([[9.0] * 5, [9.0, 4.0, 4.0, 2.0, 0.0], [9.0, 1.0, 0.0, 2.0, 0.0]])
    found = by_reading(lambda users: scores[users], POSITIVES, torch.tensor([1, 2]), how="softmax")
    assert torch.equal(found["stored"][0], found["released"][0])


def test_calibration_is_the_mean_rating_of_rows_with_similar_predictions():
    ratings = np.array([1.0, 2.0, 3.0, 5.0, 4.0, 5.0])
    predicted = np.array([0.2, 1.2, 1.3, 4.9, 5.0, 7.0])  # bins of 0.4 from 1 to 5
    found = distribution.calibration(ratings, predicted, 1.0, 5.0)
    assert found["edges"] == pytest.approx(np.arange(1.0, 5.01, 0.4))
    assert found["rows"] == [3, *[0] * 8, 3]
    assert found["predicted"][0] == pytest.approx((0.2 + 1.2 + 1.3) / 3)
    assert found["predicted"][9] == pytest.approx((4.9 + 5.0 + 7.0) / 3)
    assert (found["actual"][0], found["actual"][1]) == (2.0, 0.0)
    assert found["error"][0] == pytest.approx(np.std([1, 2, 3], ddof=1) / np.sqrt(3))
    assert found["actual"][9] == pytest.approx(14 / 3)
