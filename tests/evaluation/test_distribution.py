"""Distributions of predicted ratings, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from recbole_diffusion.evaluation import distribution

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
    assert same["ks"]["agree"]["0.05"] > 40 > 10 > ends["ks"]["agree"]["0.05"]
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


def test_of_many_users_every_nth_is_tested_from_the_first(monkeypatch):
    monkeypatch.setattr(distribution, "MOST_USERS", 2)
    users = np.repeat(np.arange(5), 30)
    ratings = np.tile([1.0, 3.0, 5.0], 50)
    predicted = np.where(np.isin(users, [0, 3]), ratings, 2.0)  # users 0 and 3 alike, the others apart
    assert distribution.agreeing_users(users, ratings, predicted, (0.05,)) == {
        "users": 2,
        "agree": {"0.05": 2},
    }
