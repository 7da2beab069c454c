"""Methods side by side: means and deviations over seeds, paired tests over users, cost."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.evaluation.lists import UserMetrics
from recbole_diffusion.evaluation.significance import compare_runs
from recbole_diffusion.report.methods import group_by_method
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.splits import group_by_split

ERRORS = ("mae", "rmse")  # lower is better
SHOWN = ("recall", "ndcg", "mae", "rmse")  # metrics of a table by default


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation of the values of some runs; the deviation of a single value is 0."""

    mean: float
    deviation: float
    runs: int

    @classmethod
    def from_values(cls, values: Sequence[float]) -> "MeanStd":
        """Return mean and deviation of at least one value."""
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(statistics.fmean(values), deviation, len(values))


@dataclass
class Method:
    """One row of a comparison.

    Attributes:
        name: what it is called.
        runs: its runs, one a seed.
        selection: ``validation`` or ``test``: where its epochs were chosen.
        preset: names of its runs' presets, ``-`` for none.
        metrics: by test part and name.
        train_seconds: of all epochs of a run.
        epoch_seconds: the median epoch of a run.
        peak_rss_mb: most memory of a run's process, MiB.
        parameters: trained numbers.
        tests: p of the paired test against the best one after Holm's correction, by test part; none for the
            best.
    """

    name: str
    runs: list[RunRecord]
    selection: str
    preset: str
    metrics: dict[str, dict[str, MeanStd]]
    train_seconds: MeanStd
    epoch_seconds: MeanStd | None
    peak_rss_mb: MeanStd
    parameters: int
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Comparison:
    """What a table shows.

    Attributes:
        dataset: its name.
        methods: in the order given.
        parts: names of the test parts.
        metrics: names of the metrics, in order.
        by: the metric of the tests and of the order.
        best: the best method of each part by ``by``.
        notes: caveats to the numbers.
    """

    dataset: str
    methods: list[Method]
    parts: list[str]
    metrics: list[str]
    by: str
    best: dict[str, str]
    notes: list[str]

    def ranked(self, part: str) -> list[Method]:
        """Return the methods from the best to the worst on a part."""
        sign = 1 if smaller_is_better(self.by) else -1
        return sorted(self.methods, key=lambda method: sign * method.metrics[part][self.by].mean)


def smaller_is_better(metric: str) -> bool:
    """Return whether less of a metric is better."""
    return metric.rpartition("_")[2] in ERRORS


def compare(
    runs: Sequence[RunRecord],
    *,
    metrics: Sequence[str] | str | None = None,
    by: str | None = None,
    names: str = "options",
    wilcoxon: bool = False,
) -> Comparison:
    """Compare finished runs.

    The best method of a part is the one with the best mean of ``by`` there; each other one is tested against
    it, user by user, each user's metric averaged over seeds first. Being best on a test part describes the
    table; it is not a way to choose a model.

    Args:
        runs: finished runs on one split, or each method on the same random splits.
        metrics: names of metrics, such as ``recall@20``; ``all`` of them; or by default recall and NDCG,
            and of rated items MAE and RMSE.
        by: the metric that orders and tests; by default the one that chose the epochs, where it is among
            ``metrics``.
        names: see :func:`~recbole_diffusion.report.methods.group_by_method`.
        wilcoxon: the signed-rank test instead of the t-test.

    Raises:
        UsageError: runs on different splits, test parts or data sets, or a metric that not all have.
            RunError: a damaged file.
    """
    groups = group_by_method(runs, names)
    by_split, notes = group_by_split(groups)
    parts = list(runs[0].test_parts)
    known = _shared_metrics(runs, parts)
    chosen = _chosen(metrics, known, all(run.valid_metric.startswith("rated_") for run in runs))
    by = _by(by, chosen, known, runs)
    methods = [_method(name, group, parts, known) for name, group in groups.items()]
    found = Comparison(runs[0].result["dataset"], methods, parts, chosen, by, {}, notes)
    for part in parts:
        found.best[part] = found.ranked(part)[0].name
        _test(found, part, by_split, wilcoxon)
    _note(found, wilcoxon)
    return found


def _shared_metrics(runs: Sequence[RunRecord], parts: list[str]) -> list[str]:
    """Return the metrics that every run has for every part, in the order of the first."""
    for run in runs:
        if list(run.test_parts) != parts:
            raise UsageError(
                f"{run.path.name} has the test parts {', '.join(run.test_parts)}, {runs[0].path.name} has "
                f"{', '.join(parts)}; "
                "compare runs on the same parts"
            )
    tables = [run.test_parts[part] for run in runs for part in parts]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    if not shared:
        raise UsageError("the runs have no metric in common; run them with the same metrics and topk")
    return shared


def _chosen(metrics: Sequence[str] | str | None, known: list[str], rated: bool) -> list[str]:
    """Return the names of the metrics to show; by default those of rated items if these chose the epochs."""
    if metrics == "all":
        return known
    if metrics is None:
        family = "rated_" if rated else ""
        return [
            name for name in known if name.partition("@")[0] in {family + word for word in SHOWN}
        ] or known
    asked = metrics.replace(",", " ").split() if isinstance(metrics, str) else [str(name) for name in metrics]
    for name in asked:
        _require(name.lower(), known)
    return [name.lower() for name in asked]


def _require(name: str, known: list[str]) -> None:
    if name not in known:
        raise UsageError(
            f"not every run has the metric {name!r}{did_you_mean(name, known)}; all have {', '.join(known)}"
        )


def _by(by: str | None, chosen: list[str], known: list[str], runs: Sequence[RunRecord]) -> str:
    if by is not None:
        _require(by.lower(), known)
        return by.lower()
    of_runs = {run.valid_metric for run in runs}
    return next((name for name in chosen if of_runs == {name}), chosen[0])


def _method(name: str, runs: list[RunRecord], parts: list[str], known: list[str]) -> Method:
    epochs = [statistics.median(run.result["epoch_seconds"]) for run in runs if run.result["epoch_seconds"]]
    return Method(
        name=name,
        runs=runs,
        selection=runs[0].selection,
        preset=", ".join(dict.fromkeys(run.preset or "-" for run in runs)),
        metrics={
            part: {
                metric: MeanStd.from_values([run.test_parts[part][metric] for run in runs])
                for metric in known
            }
            for part in parts
        },
        train_seconds=MeanStd.from_values([run.result["seconds"]["train"] for run in runs]),
        epoch_seconds=MeanStd.from_values(epochs) if epochs else None,
        peak_rss_mb=MeanStd.from_values([run.result["peak_rss_mb"] for run in runs]),
        parameters=runs[0].result["parameters"],
    )


def _test(
    found: Comparison, part: str, by_split: Mapping[str, list[list[RunRecord]]], wilcoxon: bool
) -> None:
    """Test the best method of a part against each other one that kept its users' metrics."""
    users = {}
    for method in found.methods:
        kept = [_users(of_split, part, found.by) for of_split in by_split[method.name]]
        if all(kept):
            users[method.name] = kept
    best = found.best[part]
    if best not in users or len(users) < 2:
        return
    splits = {name: [_averaged(kept) for kept in of_method] for name, of_method in users.items()}
    # The same user of two random splits is one user, whose metric is averaged over them.
    columns = {name: [_averaged(kept)] for name, kept in splits.items()}
    rows = {row["method"]: row for row in compare_runs(columns, best, found.by, wilcoxon)}
    for method in found.methods:
        if method.name in rows:
            method.tests[part] = rows[method.name]


def _users(runs: Sequence[RunRecord], part: str, metric: str) -> list[UserMetrics]:
    """Return the users' metrics of runs on one split, or nothing if one of them kept none.

    A user for whom the metric is not defined, such as a rated ranking without a relevant item, is left out.
    """
    tables = [(run.users or {}).get(part, {}) for run in runs]
    if not all(metric in table for table in tables):
        return []
    defined = [~np.isnan(table[metric]) for table in tables]
    return [
        {"users": table["users"][kept], metric: table[metric][kept]}
        for table, kept in zip(tables, defined, strict=True)
    ]


def _averaged(tables: Sequence[UserMetrics]) -> UserMetrics:
    """Return each user's mean over the tables that have the user, users ascending."""
    users, place = np.unique(np.concatenate([table["users"] for table in tables]), return_inverse=True)
    counts = np.bincount(place)
    averaged: UserMetrics = {"users": users}
    for name in tables[0]:
        if name != "users":
            averaged[name] = np.bincount(place, np.concatenate([table[name] for table in tables])) / counts
    return averaged


def _note(found: Comparison, wilcoxon: bool) -> None:
    """Add the caveats to the numbers."""
    on_test = [method.name for method in found.methods if method.selection == "test"]
    if on_test:
        found.notes.append(
            f"Chosen on the test part itself: {', '.join(on_test)}. Such numbers are only for comparison "
            "with papers that did so."
        )
    tested = [method for method in found.methods if method.tests]
    several = max((sum(part in method.tests for method in tested) for part in found.parts), default=0)
    if tested:
        test = "Wilcoxon's signed-rank test" if wilcoxon else "t-test"
        found.notes.append(
            f"p: paired {test} over users of {found.by} against the best method, users averaged over seeds, "
            "after Holm's "
            f"correction for {several} comparison{'s' * (several > 1)}. It speaks of other users, not of "
            "other seeds."
        )
    without = [
        method.name
        for method in found.methods
        if any(found.by not in (run.users or {}).get(part, {}) for run in method.runs for part in found.parts)
    ]
    if without and len(found.methods) > 1:
        found.notes.append(f"Not tested, since {found.by} was not kept user by user: {', '.join(without)}.")
