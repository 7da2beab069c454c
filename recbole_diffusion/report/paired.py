"""Paired tests of finished runs: the users and splits they share, and the test that fits the metric."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.evaluation.lists import UserMetrics
from recbole_diffusion.evaluation.significance import compare_runs, holm, pooled_test
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.splits import runs_by_split

# The tests, and their descriptions for a reader.
TESTS = {
    "t": "paired t-test over users",
    "wilcoxon": "Wilcoxon's signed-rank test over users",
    "bootstrap": "paired bootstrap over users, each with all their ratings,",
}
COUNT = "rated_count"  # number of a user's ratings, over which rating errors are means
ERRORS = ("rated_mae", "rated_mse", "rated_raw_mae", "rated_raw_mse")

OF_ALL_USERS = ("itemcoverage", "giniindex", "shannonentropy", "auc")  # no means over users: no paired test


def tested_metric(metric: str) -> str:
    """Return what is tested for a metric: the metric itself, or for RMSE the mean it is the root of."""
    return {"rated_rmse": "rated_mse", "rated_raw_rmse": "rated_raw_mse"}.get(metric, metric)


def usual_test(metric: str) -> str:
    """Return the test that fits a metric: errors are means over ratings, all others means over users."""
    return "bootstrap" if tested_metric(metric) in ERRORS else "t"


def kept_by_user(runs: Sequence[RunRecord], part: str, metric: str) -> bool:
    """Return whether every run has stored, per user, what the test of a metric needs."""
    needed = {tested_metric(metric)} | ({COUNT} if tested_metric(metric) in ERRORS else set())
    return all(needed <= (run.users or {}).get(part, {}).keys() for run in runs)


def paired_tests(
    methods: Mapping[str, Sequence[RunRecord]],
    reference: str,
    part: str,
    metric: str,
    test: str | None = None,
) -> list[dict[str, Any]]:
    """Test one method against every other one on a test part, paired by user, with Holm's correction.

    Each user's metric is averaged over a method's runs on one split. Two methods are tested on the splits
    that both have. The same user in two random splits is one user: the t-test and the signed-rank test
    average the user's metric over the splits; the bootstrap draws the user with all ratings in all of them.

    Args:
        methods: finished runs by method; all have stored metrics per user.
        reference: the method that is tested against the others.
        part: name of the test part.
        metric: such as ``recall@20``; ``rated_rmse`` is tested by the squared errors, ``rated_mse``.
        test: ``t``, ``wilcoxon`` (signed ranks) or ``bootstrap`` (of a mean over ratings); by default the one
            that fits the metric, see :func:`usual_test`.

    Returns:
        A plain dictionary for each other method, in the order given: ``metric``, ``test``, ``best`` (the
        reference), ``method``, ``difference`` (reference - method), ``p``, ``p_holm`` and ``users``.

    Raises:
        UsageError: an unknown method, methods without a common split, or with different users on one.
    """
    if reference not in methods:
        raise UsageError(
            f"no method {reference!r} to compare{did_you_mean(reference, methods)}; there are "
            f"{', '.join(methods)}"
        )
    test, metric = test or usual_test(metric), tested_metric(metric)
    splits = runs_by_split(methods)
    rows = []
    for name in methods:
        if name != reference:
            pair = _shared(splits, reference, name, part, metric, test)
            row = {"metric": metric, "test": test, "best": reference, "method": name}
            rows.append(row | _tested(pair, metric, test, (reference, name)))
    adjusted = holm({row["method"]: row["p"] for row in rows})
    return [{**row, "p_holm": adjusted[row["method"]]} for row in rows]


def _shared(
    splits: Mapping[str, Mapping[str, Sequence[RunRecord]]],
    reference: str,
    other: str,
    part: str,
    metric: str,
    test: str,
) -> list[tuple[UserMetrics, UserMetrics]]:
    """Return the users of both methods on each split that both have, averaged over the runs there."""
    both = [split for split in splits[reference] if split in splits[other]]
    if not both:
        raise UsageError(
            f"{reference!r} and {other!r} have no split in common; give them the same seeds, or a split_seed"
        )
    columns = [metric, *([COUNT] if test == "bootstrap" else [])]

    def of_split(name: str, split: str) -> UserMetrics:
        return averaged([_users(run, part, columns) for run in splits[name][split]])

    return [(of_split(reference, split), of_split(other, split)) for split in both]


def _tested(
    pair: Sequence[tuple[UserMetrics, UserMetrics]], metric: str, test: str, names: tuple[str, str]
) -> dict[str, Any]:
    """Return difference, p and number of users of two methods, called by their names, on their splits."""
    if test == "bootstrap":
        difference, p = pooled_test(pair, metric)
        users = len(np.unique(np.concatenate([ours["users"] for ours, _ in pair])))
        return {"difference": difference, "p": p, "users": users}
    sides = {name: [averaged([both[k] for both in pair])] for k, name in enumerate(names)}
    (row,) = compare_runs(sides, names[0], metric, wilcoxon=test == "wilcoxon")
    return {name: row[name] for name in ("difference", "p", "users")}


def _users(run: RunRecord, part: str, columns: Sequence[str]) -> UserMetrics:
    """Return some metrics of a run's users.

    A user for whom the first is undefined, as in a rated ranking without a relevant item, is left out.
    """
    table = (run.users or {}).get(part, {})
    missing = [name for name in columns if name not in table]
    if missing:
        raise UsageError(f"{run.path.name} has not stored {missing[0]} per user on {part}; leave it out")
    kept = ~np.isnan(table[columns[0]])
    return {name: table[name][kept] for name in ("users", *columns)}


def averaged(tables: Sequence[UserMetrics]) -> UserMetrics:
    """Return each user's mean over the tables that have the user, users ascending."""
    users, place = np.unique(np.concatenate([table["users"] for table in tables]), return_inverse=True)
    counts = np.bincount(place)
    means: UserMetrics = {"users": users}
    for name in tables[0]:
        if name != "users":
            means[name] = np.bincount(place, np.concatenate([table[name] for table in tables])) / counts
    return means
