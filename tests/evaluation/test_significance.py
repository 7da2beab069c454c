"""Paired tests, Holm's correction and the comparison of runs, against values computed by hand."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.significance import compare_runs, holm, paired_test, pooled_test


def test_t_test_by_hand():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t = 2 sqrt(3). With 2 degrees of freedom p = 1
    # - t / sqrt(2 + t^2).
    difference, p = paired_test(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    t = 2 * math.sqrt(3)
    assert difference == pytest.approx(2.0)
    assert p == pytest.approx(1 - t / math.sqrt(2 + t * t))


def test_signed_ranks_by_hand():
    # Five positive differences of different sizes: 2 of the 2^5 signs are as extreme.
    difference, p = paired_test(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.zeros(5), wilcoxon=True)
    assert (difference, p) == (pytest.approx(3.0), pytest.approx(2 / 32))


def test_signed_ranks_share_a_rank_where_differences_are_equal_but_for_rounding():
    """Of shares of hits, means over seeds: the ranks are those of these times 180, which are whole."""
    draw = np.random.default_rng(3)
    held_out = draw.choice([1, 2, 3, 4, 5, 6], 80)
    hits = draw.binomial(held_out, [[0.5]] * 3), draw.binomial(held_out, [[0.4]] * 3)  # [seeds, users] each
    of_users = [np.mean((some / held_out).astype(np.float32), 0) for some in hits]
    whole = (hits[0].sum(0) - hits[1].sum(0)) * (60 // held_out)
    expected = stats.wilcoxon(whole[whole != 0]).pvalue
    _, p = paired_test(*of_users, wilcoxon=True)
    assert p == pytest.approx(expected, rel=1e-9)
    assert stats.wilcoxon(of_users[0] - of_users[1]).pvalue != pytest.approx(expected, rel=0.01)
    same = np.array([0.1, 0.7])
    assert paired_test(same, same + 1e-8, wilcoxon=True)[1] == 1.0


def test_one_user_with_a_large_value_leaves_the_signed_ranks_of_the_others():
    """Squared errors of two close models, and counts: what is rounding is a matter of a user's own values."""
    draw = np.random.default_rng(0)
    ours, others = draw.uniform(0, 1e-3, 400), draw.poisson(3, 400).astype(float)
    for a, b, large in (
        (ours, ours + draw.normal(1e-6, 4e-6, 400), 16.0),
        (others, others + draw.integers(-1, 2, 400), 1e6),
    ):
        a[0], b[0] = large, large - 1
        differences = a - b
        expected = stats.wilcoxon(differences[differences != 0]).pvalue
        assert paired_test(a, b, wilcoxon=True)[1] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("wilcoxon", [False, True])
def test_equal_methods_do_not_differ(wilcoxon):
    same = np.array([0.1, 0.7, 0.0])
    assert paired_test(same, same, wilcoxon) == (0.0, 1.0)


@pytest.mark.parametrize("users", [2, 3, 5, 40])
def test_a_constant_difference_is_as_rare_as_equal_signs(users):
    """The t-test knows no spread; of n users all differ in one direction by chance once in 2^(n - 1)."""
    assert paired_test(np.ones(users), np.zeros(users)) == (1.0, 2.0 ** (1 - users))
    a = np.linspace(0.1, 0.9, users)
    rounded = (a + 1 / 3).astype(np.float32).astype(np.float64)  # as stored
    assert paired_test(rounded, a.astype(np.float32))[1] == 2.0 ** (1 - users)


@pytest.mark.parametrize("wilcoxon", [False, True])
def test_methods_that_differ_by_rounding_alone_do_not_differ(wilcoxon):
    a = np.linspace(0.2, 0.9, 500)
    assert paired_test(a, a.astype(np.float32), wilcoxon)[1] == 1.0


def test_one_user_with_a_large_value_leaves_the_differences_of_the_others():
    large, none = np.r_[1e7, 0.3, 0.5, 0.4, 0.6], np.r_[1e7, 0.2, 0.2, 0.5, 0.1]
    expected = stats.ttest_rel(large, none).pvalue
    assert 0.05 < expected < 0.5
    assert paired_test(large, none)[1] == pytest.approx(expected)


def test_of_two_users_no_resample_tells_more_than_their_signs():
    users = {"users": np.array(["a", "b"]), "rated_count": np.array([3.0, 9.0])}
    pair = tuple({**users, "rated_mae": np.array([1.0, 0.9]) + more} for more in (0.0, 0.2))
    difference, p = pooled_test([pair], "rated_mae", resamples=200)
    assert (difference, p) == (pytest.approx(-0.2), 0.5)


def test_float32_values_are_averaged_in_float64():
    a = np.full(100_000, 0.1, np.float32)
    b = a.copy()
    b[0] = 0
    difference, _ = paired_test(a, b)
    assert difference == pytest.approx(float(a[0]) / 100_000, rel=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=10), st.booleans())
def test_p_is_a_probability_and_the_test_is_symmetric(pairs, wilcoxon):
    a, b = np.array(pairs, dtype=float).T / 20
    (forth, p_forth), (back, p_back) = paired_test(a, b, wilcoxon), paired_test(b, a, wilcoxon)
    assert 0 <= p_forth <= 1
    assert (forth, p_forth) == (pytest.approx(-back), pytest.approx(p_back))


def test_what_a_paired_test_refuses():
    with pytest.raises(UsageError, match="at least 2 users, got 1"):
        paired_test(np.array([1.0]), np.array([0.5]))
    with pytest.raises(ValueError, match=r"they have shapes \(2,\) and \(3,\)"):
        paired_test(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="finite"):
        paired_test(np.array([0.0, math.nan]), np.zeros(2))


def test_holm_by_hand():
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 -> 0.06, because none is below the one before it.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {
        "a": pytest.approx(0.03),
        "b": pytest.approx(0.06),
        "c": pytest.approx(0.06),
        "d": pytest.approx(0.02),
    }
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({"alone": 0.2}) == {"alone": 0.2}
    assert holm({}) == {}


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_bounds(p_values):
    adjusted = holm(p_values)
    assert list(adjusted) == list(p_values)
    ranked = sorted(p_values, key=p_values.get)
    assert all(adjusted[first] <= adjusted[second] for first, second in itertools.pairwise(ranked))
    assert all(p <= adjusted[name] <= min(1, len(p_values) * p) for name, p in p_values.items())


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_holm_takes_probabilities(p):
    with pytest.raises(ValueError, match=r"'b' is .* \[0, 1\]"):
        holm({"a": 0.5, "b": p})


def run(users: str, *values: float) -> dict[str, np.ndarray]:
    return {"users": np.array(list(users)), "recall@20": np.array(values, np.float32)}


def test_users_are_averaged_over_seeds_and_matched_by_token():
    runs = {
        "pop": [run("cab", 0.0, 0.25, 0.25)],
        "ours": [run("abc", 0.5, 0.5, 0.25), run("bca", 1.0, 0.75, 0.5)],  # a 0.5, b 0.75, c 0.5
        "ease": [run("abc", 0.5, 0.75, 0.5)],
    }
    pop, ease = compare_runs(runs, "ours", "recall@20")
    # a: 0.5 - 0.25, b: 0.75 - 0.25, c: 0.5 - 0
    difference, p = paired_test(np.array([0.5, 0.75, 0.5]), np.array([0.25, 0.25, 0.0]))
    assert pop == {
        "metric": "recall@20",
        "best": "ours",
        "method": "pop",
        "users": 3,
        "best_mean": pytest.approx(1.75 / 3),
        "mean": pytest.approx(0.5 / 3),
        "difference": pytest.approx(1.25 / 3),
        "p": pytest.approx(p),
        "p_holm": pytest.approx(2 * p),
    }
    assert difference == pytest.approx(1.25 / 3) and 0 < p < 0.5
    assert (ease["method"], ease["difference"], ease["p"], ease["p_holm"]) == ("ease", 0.0, 1.0, 1.0)
    assert json.loads(json.dumps([pop, ease]))[0]["users"] == 3


def test_the_signed_rank_test_can_be_asked_for():
    runs = {"ours": [run("abcde", 0.1, 0.2, 0.3, 0.4, 0.5)], "none": [run("edcba", 0, 0, 0, 0, 0)]}
    (row,) = compare_runs(runs, "ours", "recall@20", wilcoxon=True)
    assert row["p"] == pytest.approx(2 / 32)


def test_a_method_alone_gives_no_rows():
    assert compare_runs({"ours": [run("ab", 0.1, 0.2)]}, "ours", "recall@20") == []


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            [run("abc", 0, 0, 0), run("abd", 0, 0, 0)],
            "run 1 of 'ours' and run 2 of 'pop'.* 1 only in run 1 of 'ours', such as 'c'",
        ),
        ([run("abcde", 0, 0, 0, 0, 0)], "2 only in run 1 of 'pop', such as 'd'"),
        ([run("aab", 0, 0, 0)], "run 1 of 'pop' has user 'a' more than once"),
        ([], "method 'pop' has no run"),
        ([{"users": np.array(["a"]), "recall@10": np.zeros(1)}], "no metric 'recall@20'.*it has recall@10"),
    ],
)
def test_runs_that_cannot_be_compared(others, message):
    with pytest.raises(UsageError, match=message):
        compare_runs({"ours": [run("abc", 0, 0, 1)], "pop": others}, "ours", "recall@20")


def test_runs_of_one_method_must_have_the_same_users_too():
    with pytest.raises(UsageError, match="run 1 of 'ours' and run 2 of 'ours' have different users"):
        compare_runs({"ours": [run("ab", 0, 0), run("a", 0)], "pop": [run("ab", 0, 0)]}, "ours", "recall@20")


def test_an_unknown_method_is_refused():
    with pytest.raises(UsageError, match=r"no method 'our'.*did you mean 'ours'.*there are ours, pop"):
        compare_runs({"ours": [run("ab", 0, 0)], "pop": [run("ab", 0, 0)]}, "our", "recall@20")


def test_the_pooled_test_is_of_the_mean_over_ratings_and_draws_users():
    draw = np.random.default_rng(3)
    splits = []
    for first in (0, 20):  # the splits share twenty users
        users = np.array([f"u{k}" for k in range(first, first + 40)])
        counts = draw.integers(1, 30, 40).astype(np.float32)
        a, b = draw.normal(1, 0.1, 40), draw.normal(1, 0.1, 40) + 0.1
        order = draw.permutation(40)
        one = {"users": users, "rated_mae": a, "rated_count": counts}
        splits.append((one, {"users": users[order], "rated_mae": b[order], "rated_count": counts[order]}))
    difference, p = pooled_test(splits, "rated_mae", resamples=500)
    means = [[np.average(run["rated_mae"], weights=run["rated_count"]) for run in pair] for pair in splits]
    assert difference == pytest.approx(np.mean([a - b for a, b in means]))
    assert p == 1 / 500
    assert pooled_test([(one, one) for one, _ in splits], "rated_mae", resamples=500) == (0.0, 1.0)
    with pytest.raises(UsageError, match="different users"):
        pooled_test([(splits[0][0], splits[1][1])], "rated_mae")


def test_the_pooled_test_has_two_sides():
    """Differences 1, 1, -1 of three users with a rating each.

    A resample of three is not above 0 where -1 is drawn twice or three times: 3 (1/3)^2 2/3 + (1/3)^3 = 7/27.
    """
    users, ones = np.array(["a", "b", "c"]), np.ones(3)
    one = {"users": users, "rated_mae": np.array([2.0, 2.0, 1.0]), "rated_count": ones}
    other = {"users": users, "rated_mae": np.array([1.0, 1.0, 2.0]), "rated_count": ones}
    difference, p = pooled_test([(one, other)], "rated_mae")
    assert (difference, p) == (pytest.approx(1 / 3), pytest.approx(14 / 27, abs=0.02))
    assert pooled_test([(other, one)], "rated_mae") == (pytest.approx(-1 / 3), p)
