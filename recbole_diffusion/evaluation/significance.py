"""Is one method better than others? Paired tests over users, with Holm's correction for several comparisons.

A test over users says whether the difference would hold for other users of the same kind, given the models
that were trained; it says nothing about other seeds. Averaging each user over seeds first reduces the noise
of the seeds, but does not remove it.

Longer than most files: three tests, what few users can show, and the correction, which belong together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.evaluation.lists import UserMetrics

ROUNDING = 1.5e-7  # of the larger of two values: what theirs to float32, 6e-8 each, does to a difference


def smallest_p(users: int) -> float:
    """Return the smallest p that so many users can give: that all their differences have one sign by chance.

    Fewer users cannot show more, however equal their differences are: of two, every second pair of methods
    would have it.
    """
    return 2.0 ** (1 - users)


def paired_test(a: np.ndarray, b: np.ndarray, wilcoxon: bool = False) -> tuple[float, float]:
    """Return the mean of a - b, and the two-sided p of no difference.

    Args:
        a: one value per user, [n].
        b: the same users in the same order, [n].
        wilcoxon: the signed-rank test, which leaves out users without a difference, instead of the t-test.

    Returns:
        The mean and p. Of users whose differences are equal, as of hits that are 1 and 0, it is
        :func:`smallest_p`: the t-test knows no spread, and its p would be 0 for two of them.

    Raises:
        UsageError: fewer than two users.
        ValueError: shapes differ, or a value is not finite.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError(
            "a paired test takes two arrays of finite values, one per user; they have shapes "
            f"{a.shape} and {b.shape}"
        )
    if len(a) < 2:
        raise UsageError(f"a paired test needs at least 2 users, got {len(a)}; evaluate more users")
    differences = a - b
    reach = ROUNDING * np.maximum(np.abs(a), np.abs(b))  # of each user's rounding, [n]
    if (np.abs(differences) <= reach).all():
        return float(differences.mean()), 1.0  # no difference, or nothing but what rounding makes
    if wilcoxon:
        ranked = _without_rounding(differences, np.maximum(np.abs(a), np.abs(b)))
        p = stats.wilcoxon(ranked[ranked != 0]).pvalue if ranked.any() else 1.0
    elif (differences - reach).max() <= (differences + reach).min():  # equal, but for rounding
        p = smallest_p(len(a))
    else:
        p = stats.ttest_rel(a, b).pvalue
    return float(differences.mean()), float(p)


def _without_rounding(differences: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return differences, [n], where those that only rounding tells from another, or from 0, are equal.

    Values of users are means of float32: 1 - 2/3 and 1/3 - 0 differ by rounding, as do sums over seeds in
    another order, and signed ranks would take them for different sizes, or for a difference where there is
    none. How far rounding goes is a matter of a user's own values: one user with a large error leaves the
    differences of the others as they are.

    Args:
        differences: of two values, [n].
        values: the larger of their sizes, [n].
    """
    sizes, far = np.abs(differences), ROUNDING * values
    order = np.argsort(sizes, kind="stable")
    found, last, reach = np.empty(len(sizes)), 0.0, 0.0  # the size of the rank before, and how far it goes
    for place, size, own in zip(order.tolist(), sizes[order].tolist(), far[order].tolist(), strict=True):
        if size > last + reach + own:
            last, reach = size, own
        found[place] = last
    return np.copysign(found, differences)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values adjusted by Holm's step-down method, in the order given.

    The i-th smallest of m (from 0) is multiplied by m - i; none is smaller than the one before it, none above
    1. The probability of any false rejection among the m stays below the level, however the tests depend on
    each other.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979).

    Raises:
        ValueError: a p-value outside [0, 1].
    """
    wrong = [name for name, p in p_values.items() if not 0 <= p <= 1]
    if wrong:
        raise ValueError(
            f"the p-value of {wrong[0]!r} is {p_values[wrong[0]]!r}; it takes a number in [0, 1]"
        )
    adjusted, floor = {}, 0.0
    for before, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        # p_(i) times m - i, no smaller than the one before.
        floor = max(floor, min(1.0, (len(p_values) - before) * float(p_values[name])))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}


def compare_runs(
    runs: Mapping[str, Sequence[UserMetrics]], best: str, metric: str, wilcoxon: bool = False
) -> list[dict[str, Any]]:
    """Test one method against every other one, paired by user.

    Each user's metric is averaged over a method's seeds; users are matched by token, whatever their order.

    Args:
        runs: for each method and seed one part of
            :func:`~recbole_diffusion.evaluation.lists.load_user_metrics`; methods may have different numbers
            of seeds.
        best: the method that is tested against the others.
        metric: such as ``recall@20``.
        wilcoxon: see :func:`paired_test`.

    Returns:
        A plain dictionary for each other method, in the order given: ``metric``, ``best``, ``method``,
        ``best_mean``, ``mean``, ``difference`` (best - method), ``p``, ``p_holm`` (over all rows), ``users``.

    Raises:
        UsageError: an unknown method or metric, a method without a run, or runs whose users are not the same.
    """
    if best not in runs:
        raise UsageError(
            f"no method {best!r} to compare{did_you_mean(best, runs)}; there are {', '.join(runs)}"
        )
    order = [best, *(name for name in runs if name != best)]
    reference: tuple[str, np.ndarray] | None = None
    values: dict[str, np.ndarray] = {}
    for method in order:
        seeds = []
        for number, run in enumerate(runs[method], start=1):
            name = f"run {number} of {method!r}"
            # Users in the order of their tokens, which is the same in each run.
            tokens, column = _by_token(run, metric, name)
            reference = reference or (name, tokens)
            _require_same_users(reference, (name, tokens))
            seeds.append(column)
        if not seeds:
            raise UsageError(f"method {method!r} has no run; give at least one, or leave the method out")
        # [users]: the mean of each user over the seeds.
        values[method] = np.mean(seeds, axis=0)
    tests = {method: paired_test(values[best], values[method], wilcoxon) for method in order[1:]}
    adjusted = holm({method: p for method, (_, p) in tests.items()})
    return [
        {
            "metric": metric,
            "best": best,
            "method": method,
            "best_mean": float(values[best].mean()),
            "mean": float(values[method].mean()),
            "difference": difference,
            "p": p,
            "p_holm": adjusted[method],
            "users": len(values[method]),
        }
        for method, (difference, p) in tests.items()
    ]


def pooled_test(
    runs: Sequence[tuple[UserMetrics, UserMetrics]],
    metric: str,
    count: str = "rated_count",
    resamples: int = 10_000,
) -> tuple[float, float]:
    """Return the difference of two methods in a mean over ratings, and the two-sided p of no difference.

    Users are resampled with replacement (a cluster bootstrap), each with all their ratings in all splits
    where they are test users; p is twice the share of resamples whose difference has the opposite sign, at
    least 1 / resamples and :func:`smallest_p`.

    Args:
        runs: for each split the metrics of both methods, for the same users; splits may have different users.
        metric: a mean over a user's ratings, such as ``rated_mae``.
        count: the metric with the number of those ratings.
        resamples: number of resamples of the users.

    Returns:
        The mean over splits of (mean over ratings of the first - of the second), and p.

    Raises:
        UsageError: an unknown metric, methods with different users in a split, or fewer than two users.
    """
    owners: list[np.ndarray] = []
    sums: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for number, pair in enumerate(runs, start=1):
        names = [f"method {k} in split {number}" for k in (1, 2)]
        (tokens, a), (others, b) = (
            _by_token(one, metric, name) for one, name in zip(pair, names, strict=True)
        )
        _require_same_users((names[0], tokens), (names[1], others))
        ratings = _by_token(pair[0], count, names[0])[1]
        # Weight of a user in the split's mean over ratings; splits weigh the same, and all weights sum to 1.
        share = ratings / (ratings.sum() * len(runs))
        owners.append(tokens)
        sums.append(share * (a - b))
        weights.append(share)
    # A user's part over all splits, [users]: the difference is the sum of ``total`` over that of ``weight``.
    users, place = np.unique(np.concatenate(owners), return_inverse=True)
    if len(users) < 2:
        raise UsageError(f"a test needs at least 2 users, got {len(users)}; evaluate more users")
    total, weight = (np.bincount(place, np.concatenate(column)) for column in (sums, weights))
    draws = np.random.default_rng(0)
    found = np.empty(resamples)
    for number in range(resamples):
        # How often each user is drawn, [users].
        times = np.bincount(draws.integers(len(users), size=len(users)), minlength=len(users))
        found[number] = float(times @ total) / max(float(times @ weight), 1e-300)
    # Two-sided: twice the smaller tail.
    tails = [(found <= 0).mean(), (found >= 0).mean()]
    return float(total.sum()), float(np.clip(2 * min(tails), max(1 / resamples, smallest_p(len(users))), 1))


def _by_token(run: UserMetrics, metric: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the user tokens of one run, sorted, and the metric in that order, float64."""
    known = [key for key in run if key != "users"]
    if metric not in known:
        raise UsageError(
            f"{name} has no metric {metric!r}{did_you_mean(metric, known)}; it has {', '.join(known)}"
        )
    tokens, place, counts = np.unique(run["users"], return_index=True, return_counts=True)
    if len(tokens) < len(run["users"]):
        raise UsageError(
            f"{name} has user {str(tokens[counts > 1][0])!r} more than once; give one row per user"
        )
    return tokens, np.asarray(run[metric], np.float64)[place]


def _require_same_users(first: tuple[str, np.ndarray], second: tuple[str, np.ndarray]) -> None:
    """Raise UsageError with the runs, the numbers and an example unless both have the same users."""
    missing = [
        np.setdiff1d(mine[1], other[1], assume_unique=True)
        for mine, other in ((first, second), (second, first))
    ]
    parts = [
        f"{len(users)} only in {name}, such as {str(users[0])!r}"
        for users, (name, _) in zip(missing, (first, second), strict=True)
        if len(users)
    ]
    if parts:
        raise UsageError(
            f"{first[0]} and {second[0]} have different users: {', and '.join(parts)}; compare runs on the "
            "same data set, split into the same parts"
        )
