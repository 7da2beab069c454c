"""Runs of a plan on top of those that were collected before: a table grows without its old runs' folders.

``benchmarks.accuracy`` and ``benchmarks.rated_table`` read the file of collected runs beside a folder of new
ones. A row that stands in the file, with all its seeds and as the plan has it, is not run again; what is
collected is both. For paired tests of new rows the file has each user's metrics of the rows that the others
are tested against, see :func:`kept_users`.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._plan import Experiment, Plan
from benchmarks._stored import (
    Outcome,
    Stored,
    before_sweeps,
    differs_from_plan,
    open_stored,
    outcome_of,
    point_scores,
)
from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.paired import COUNT, tested_metric, usual_test
from recbole_diffusion.report.runs import RunRecord

RESULTS = Path(__file__).parent / "results"


def add_kept(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--kept`` to a command line."""
    parser.add_argument(
        "--kept", help="file of runs that were collected before; default that of the plan; none: no such file"
    )


def open_kept(plan: Plan, given: str | None) -> tuple[Path, Stored | None]:
    """Return the file of a plan's collected runs and what is in it; None without one.

    Args:
        plan: the plan.
        given: the option ``--kept``.
    """
    file = Path(given or RESULTS / f"{plan.name}_runs.jsonl.gz")
    there = given != "none" and (given is not None or file.is_file())
    return file, open_stored(file) if there else None


def open_runs(runs: Path, kept: Stored | None) -> Stored:
    """Return the runs of a folder over those collected before, or those of a collected file alone."""
    stored = open_stored(runs)
    return stored if kept is None or not runs.is_dir() else Layered(stored, kept)


class Layered:
    """New runs over kept ones; each experiment is read from one of the two, whole.

    It is read from where it has more finished runs, and of as many from the new ones. A kept one of other
    options than the plan's is as good as none.

    Args:
        new: where new runs are.
        kept: what was collected before.
    """

    def __init__(self, new: Stored, kept: Stored) -> None:
        self.new, self.kept = new, kept

    def of(self, experiment: Experiment) -> Stored:
        """Return where an experiment is read."""
        kept = _kept_outcome(self.kept, experiment)
        if kept is None:
            return self.new
        new = outcome_of(self.new, experiment)
        return self.new if new is not None and len(new.runs) >= len(kept.runs) else self.kept

    def same_as_kept(self, experiment: Experiment) -> bool:
        """Return whether an experiment's runs have the test metrics of those from before."""
        found, kept = outcome_of(self, experiment), _kept_outcome(self.kept, experiment)
        return found is not None and kept is not None and _test_metrics(found) == _test_metrics(kept)

    def sweep(self, folder: str) -> dict[str, Any] | None:
        """Return the record of a sweep."""
        return self.new.sweep(folder) or self.kept.sweep(folder)

    def run(self, folder: str) -> RunRecord | None:
        """Return a finished run."""
        return self.new.run(folder) or self.kept.run(folder)

    def content(self, file: str) -> Any:
        """Return what a JSON file beside the runs holds, None if it is not there."""
        content = self.new.content(file)
        return self.kept.content(file) if content is None else content


def is_kept(kept: Stored, experiment: Experiment) -> bool:
    """Return whether an experiment was collected with all its seeds, as the plan has it."""
    found = _kept_outcome(kept, experiment)
    if found is None or found.seeds != tuple(experiment.seeds):
        return False
    row, record = experiment.row, kept.sweep(experiment.folder)
    if record is not None:
        whole = experiment.trials is not None or found.searched == len(experiment.points)
        return whole and not differs_from_plan(record, experiment)
    if row.weights_of and row.grid and before_sweeps(kept, experiment) is None:
        try:
            return None not in point_scores(kept, experiment)
        except UsageError:  # of another grid
            return False
    return found.searched == len(experiment.points)


def _kept_outcome(kept: Stored, experiment: Experiment) -> Outcome | None:
    try:
        return outcome_of(kept, experiment)
    except UsageError:
        return None


def _test_metrics(outcome: Outcome) -> list[dict[str, dict[str, float]]]:
    return [run.test_parts for run in outcome.runs]


def kept_users(plan: Plan, experiment: Experiment, run: RunRecord) -> dict[str, dict[str, list[Any]]]:
    """Return each user's metrics of a run, by part, as far as later tests of other rows need them.

    Empty for a row that nothing is tested against, and for a run that has none. An undefined value is None.
    """
    best = plan.paired if isinstance(plan.paired, Mapping) else {plan.paired: []}
    if experiment.row.name not in best or not run.users:
        return {}
    found = {}
    for part in plan.paired_parts or plan.parts:
        table = run.users.get(part, {})
        names = [tested_metric(metric) for metric in plan.paired_metrics]
        counted = any(usual_test(metric) == "bootstrap" for metric in plan.paired_metrics)
        columns = {name: table[name] for name in [*names, *([COUNT] if counted else [])] if name in table}
        if columns:
            users = [str(user) for user in table["users"]]
            found[part] = {"users": users} | {name: _digits(values) for name, values in columns.items()}
    return found


def _digits(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Return float32 values by the fewest digits that give them back."""
    return [None if np.isnan(value) else float(str(value)) for value in np.asarray(values, np.float32)]
