"""Methods side by side: means and deviations over seeds, paired tests over users, cost.

Longer than most files: one comparison, from its runs to the caveats at its table.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recbole_diffusion.errors import UsageError, counted, did_you_mean
from recbole_diffusion.evaluation.significance import smallest_p
from recbole_diffusion.report.compared_metrics import (
    chosen_metrics,
    ordering_metric,
    shared_metrics,
    smaller_is_better,
)
from recbole_diffusion.report.learned_rows import of_seen_rows
from recbole_diffusion.report.methods import group_by_method
from recbole_diffusion.report.paired import OF_ALL_USERS, TESTS, kept_by_user, paired_tests, tested_metric
from recbole_diffusion.report.protocols import (
    of_one_meaning,
    of_other_draws,
    of_other_items,
    of_other_sources,
    require_one_rule,
)
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.splits import group_by_split

DIGITS = 4  # of a table
FEW_USERS = 20  # below which a table says how many were tested


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
        runs: its runs, one per seed.
        selection: ``validation``, ``test`` or, without a choice, ``last epoch`` and the like, see
            :attr:`.RunRecord.selection`.
        preset: names of its runs' presets and the values that replace theirs, ``-`` for none.
        metrics: by test part and name.
        build_seconds: of making a run's model, in which some are computed whole (EASE); None for older runs.
        train_seconds: of all epochs of a run.
        epoch_seconds: median epoch of a run.
        peak_rss_mb: peak memory of a run's process, MiB.
        parameters: number of trainable parameters.
        tests: the paired test of the best method, or the ``reference``, against this one, by test part: a row
            of :func:`~recbole_diffusion.report.paired.paired_tests`; none for that method itself.
    """

    name: str
    runs: list[RunRecord]
    selection: str
    preset: str
    metrics: dict[str, dict[str, MeanStd]]
    build_seconds: MeanStd | None
    train_seconds: MeanStd
    epoch_seconds: MeanStd | None
    peak_rss_mb: MeanStd
    parameters: int
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def cost_seconds(self) -> float:
        """Return the mean time of making the model, where it was taken, and of training it."""
        return self.train_seconds.mean + (self.build_seconds.mean if self.build_seconds else 0.0)


@dataclass
class Comparison:
    """What the tables of a comparison show.

    Attributes:
        dataset: its name.
        methods: in the order given.
        parts: names of the test parts.
        metrics: names of the metrics, in order.
        by: the metric of the tests and of the order.
        best: the best method of each part by ``by``.
        notes: caveats to the numbers.
        reference: the method that was tested against every other one; None: the best of each part.
        about_p: what p is, and which methods have none.
    """

    dataset: str
    methods: list[Method]
    parts: list[str]
    metrics: list[str]
    by: str
    best: dict[str, str]
    notes: list[str]
    reference: str | None = None
    about_p: list[str] = field(default_factory=list)

    def ranked(self, part: str) -> list[Method]:
        """Return the methods from the best to the worst on a part."""
        sign = 1 if smaller_is_better(self.by) else -1
        return sorted(self.methods, key=lambda method: sign * method.metrics[part][self.by].mean)


def compare(
    runs: Sequence[RunRecord] | Mapping[str, Sequence[RunRecord]],
    *,
    metrics: Sequence[str] | str | None = None,
    by: str | None = None,
    names: str = "options",
    reference: str | None = None,
    test: str | None = None,
    alias: Mapping[str, str] | None = None,
) -> Comparison:
    """Compare finished runs.

    On each part one method, the best by the mean of ``by`` or the ``reference``, is tested against every
    other one, paired by user, with each user's metric averaged over seeds first. Being best on a test part
    describes the table; it is not a way to choose a model.

    Args:
        runs: finished runs on one split, or each method on the same random splits; or the runs of each
            method by its name.
        metrics: names of metrics, such as ``recall@20``; ``all`` of them; or by default recall and NDCG,
            and for rated items MAE and RMSE.
        by: the metric that orders and tests; by default the one that chose the epochs, where it is among
            ``metrics``.
        names: see :func:`~recbole_diffusion.report.methods.group_by_method`; ignored if ``runs`` has names.
        reference: name of the method that is tested; by default the best one of each part.
        test: a name among TESTS, see :func:`~recbole_diffusion.report.paired.paired_tests`; ``none`` for no
            test; by default the bootstrap for errors of ratings, else the t-test.
        alias: what methods are called instead, by their names; ``reference`` takes either.

    Raises:
        UsageError: runs on different splits, test parts or data sets or ranked by different rules, a metric
            that not all have, or an unknown ``reference`` or ``test``.
        RunError: a damaged file.
    """
    if test not in (None, "none", *TESTS):
        raise UsageError(f"test is {test!r}; it takes {', '.join(TESTS)}, none, or null")
    if isinstance(runs, Mapping):
        groups = {name: list(group) for name, group in runs.items()}
        require_one_rule([run for group in groups.values() for run in group])
    else:
        require_one_rule(runs)
        groups = group_by_method(runs, names)
    groups, reference = _called(groups, alias or {}, reference)
    runs = [run for group in groups.values() for run in group]
    _, notes = group_by_split(groups)
    notes += of_seen_rows(groups)
    notes += of_other_draws(groups)
    notes += of_other_sources(runs)
    notes += of_other_items(runs)
    parts = list(runs[0].test_parts)
    known, left_out = of_one_meaning(shared_metrics(runs, parts), runs)
    notes += left_out
    chosen = chosen_metrics(metrics, known, all(run.valid_metric.startswith("rated_") for run in runs))
    by = ordering_metric(by, chosen, known, runs)
    if reference is not None and reference not in groups:
        raise UsageError(
            f"no method {reference!r} to compare{did_you_mean(reference, groups)}; there are "
            f"{', '.join(groups)}"
        )
    methods = [_method(name, group, parts, known) for name, group in groups.items()]
    found = Comparison(runs[0].result["dataset"], methods, parts, chosen, by, {}, notes, reference)
    for part in parts:
        found.best[part] = found.ranked(part)[0].name
        if test != "none":
            _test(found, part, test)
    _note(found, test)
    return found


def _called(
    groups: dict[str, list[RunRecord]], alias: Mapping[str, str], reference: str | None
) -> tuple[dict[str, list[RunRecord]], str | None]:
    """Return the methods, and the reference, under their other names."""
    for name in alias:
        if name not in groups:
            raise UsageError(
                f"there is no method {name!r} to rename{did_you_mean(name, groups)}; there are "
                f"{', '.join(groups)}"
            )
    if empty := [name for name, other in alias.items() if other is None or not str(other).strip()]:
        raise UsageError(f"the new name of {empty[0]!r} is empty; write one, or leave it out")
    named = {str(alias.get(name, name)): group for name, group in groups.items()}
    if len(named) < len(groups):
        raise UsageError("two methods would have the same name; give each a name of its own")
    return named, None if reference is None else str(alias.get(reference, reference))


def _method(name: str, runs: list[RunRecord], parts: list[str], known: list[str]) -> Method:
    epochs = [statistics.median(run.result["epoch_seconds"]) for run in runs if run.result["epoch_seconds"]]
    built = [run.result["seconds"]["build"] for run in runs if "build" in run.result["seconds"]]
    return Method(
        name=name,
        runs=runs,
        selection=runs[0].selection,
        preset=", ".join(dict.fromkeys(run.preset_text for run in runs)),
        metrics={
            part: {
                metric: MeanStd.from_values([run.test_parts[part][metric] for run in runs])
                for metric in known
            }
            for part in parts
        },
        build_seconds=MeanStd.from_values(built) if len(built) == len(runs) else None,
        train_seconds=MeanStd.from_values([run.result["seconds"]["train"] for run in runs]),
        epoch_seconds=MeanStd.from_values(epochs) if epochs else None,
        peak_rss_mb=MeanStd.from_values([run.result["peak_rss_mb"] for run in runs]),
        parameters=runs[0].result["parameters"],
    )


def _test(found: Comparison, part: str, test: str | None) -> None:
    """Test the best method of a part, or the reference, against the others that stored metrics per user."""
    kept = {method.name: method.runs for method in found.methods if kept_by_user(method.runs, part, found.by)}
    tested = found.reference or found.best[part]
    if tested not in kept or len(kept) < 2:
        return
    rows = {row["method"]: row for row in paired_tests(kept, tested, part, found.by, test)}
    for method in found.methods:
        if method.name in rows:
            method.tests[part] = rows[method.name]


def _stopped_while_improving(run: RunRecord) -> bool:
    """Return whether a run's last epoch of all that it was given was its best; a loss of 0 trains nothing."""
    given, stages = run.config.get("epochs"), any("stage" in one for one in run.epochs)
    learns = any(value for one in run.epochs for value in (one.get("loss") or {}).values())
    last = len(run.result["epoch_seconds"]) == given and run.result["best_epoch"] == (given or 0) - 1
    return bool(last and learns and not stages and run.selection.startswith(("validation", "test")))


def _seeds_change_nothing(runs: Sequence[RunRecord]) -> bool:
    """Return whether several runs are one: no metric differs, on validation neither."""
    numbers = [(run.result["valid"], run.test_parts) for run in runs]
    return len(runs) > 1 and bool(numbers[0][1]) and all(one == numbers[0] for one in numbers)


def _note(found: Comparison, test: str | None) -> None:
    """Add the caveats to the numbers."""
    on_test = [method.name for method in found.methods if method.selection == "test"]
    if on_test:
        found.notes.append(
            f"Chosen on the test part itself: {', '.join(on_test)}. Such numbers are only for comparison "
            "with papers that did the same."
        )
    unended = [method.name for method in found.methods if any(map(_stopped_while_improving, method.runs))]
    if unended and len(found.methods) > 1:
        found.notes.append(
            f"The best validation was that of the last epoch they were given (epochs): {', '.join(unended)}. "
            "More epochs may change their place."
        )
    equal = [method.name for method in found.methods if _seeds_change_nothing(method.runs)]
    if equal:
        found.notes.append(
            f"All runs have the same numbers: {', '.join(equal)}. The seed changes nothing there, and a "
            "deviation of 0 is not one over seeds."
        )
    for method in found.methods:
        digits = min(run.config.get("metric_decimal_place", DIGITS) for run in method.runs)
        if digits < DIGITS:
            found.notes.append(
                f"{method.name}: its metrics are rounded to {counted(digits, 'digit')} "
                "(metric_decimal_place)."
            )
    tested = [method for method in found.methods if method.tests]
    several = max((sum(part in method.tests for method in tested) for part in found.parts), default=0)
    if tested:
        row = next(iter(tested[0].tests.values()))
        against = "the best method" if found.reference is None else found.reference
        found.about_p.append(
            f"p: {TESTS[row['test']]} of {row['metric']} against {against}, users averaged over seeds, after "
            f"Holm's correction for {counted(several, 'comparison')}. It generalises to other users, "
            "not to other seeds."
        )
        users = min(test["users"] for method in tested for test in method.tests.values())
        if users < FEW_USERS:
            found.about_p.append(
                f"Only {counted(users, 'user')} were tested: of so few, differences of one sign alone have a "
                f"p of {smallest_p(users):.2g}."
            )
    without = [
        method.name
        for method in found.methods
        if not all(kept_by_user(method.runs, part, found.by) for part in found.parts)
    ]
    if without and len(found.methods) > 1 and test != "none":
        metric = tested_metric(found.by)
        found.about_p.append(
            f"Not tested: {metric} is one number of all users together, without a value for each."
            if metric.partition("@")[0] in OF_ALL_USERS
            else f"Not tested, since {metric} was not stored per user: {', '.join(without)}."
        )
