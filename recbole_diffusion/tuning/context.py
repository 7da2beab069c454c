"""The context in which the trials of a sweep run, their reports in its record, and what they share."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.options import SweepOptions
from recbole_diffusion.tuning.record import FAILED, FINISHED, SweepRecord, Trial


@dataclass
class SweepContext:
    """Everything that running the trials of one sweep needs.

    Attributes:
        folder: the sweep's folder.
        record: the sweep's record.
        options: the sweep's options.
        display: the sweep's output.
        on_report: called with each trial that reports, after its report is in the record; for callers from
            Python.
        data: a reference to the prepared data set in Ray's object store; empty without one.
    """

    folder: SweepFolder
    record: SweepRecord
    options: SweepOptions
    display: SweepDisplay
    on_report: Callable[[Trial], None] | None = None
    data: list = field(default_factory=list)

    @property
    def job(self) -> dict[str, Any]:
        """The settings shared by all trials, see :func:`.trial.run_trial`."""
        return {
            "sweep_dir": str(self.folder.path),
            "model": self.record.model,
            "dataset": self.record.dataset,
            "options": self.record.options,
            "threads": self.options.trial_cpus,
            "workers": self.options.workers_per_trial,
            "use_gpu": self.options.trial_gpus > 0,
            "bigger": self.record.bigger,
            "directory": self.record.directory,
        }


def write_report(row: Trial, result: dict[str, Any], started: float | None, began: float) -> None:
    """Write a report into a trial's row.

    Args:
        row: the row.
        result: the report; ``born`` is the start time of its process, if that was started for this trial.
            One with ``refused``, the error of options that are refused, says that the trial has failed.
        started: time at which Tune started the trial.
        began: time at which these trials were given to Tune; Ray starts some processes before.
    """
    if result.get("refused"):
        row.state, row.error, row.failures = FAILED, result["refused"], row.failures + 1
        return
    row.score, row.epochs, row.best_epoch = result["score"], result["trained"], result["best_epoch"]
    row.host, row.pid = result.get("hostname"), result.get("pid")
    row.node = result.get("node")
    row.seconds = round(time.time() - result["ready"], 3)
    if started is not None:
        since = started if result.get("born") is None else min(started, max(result["born"], began))
        row.startup_seconds = round(max(0.0, result["ready"] - since), 3)
    if result.get("finished"):
        row.state, row.error = FINISHED, None
        row.metrics = result["metrics"]
        row.load_seconds = result["seconds"]["load"]
        row.seconds = round(result["seconds"]["train"] + result["seconds"]["valid"], 3)


def read_by_data_set(dataset_class: type, names: Iterable[str]) -> list[str]:
    """Return the option names that a data set class reads, sorted; without one, trials share one data set.

    A data set class declares them as ``reads_options``. RecBole's own data sets read only data options, which
    no space may search.

    Args:
        dataset_class: the class of the data set.
        names: names of options, or of several joined by commas.
    """
    single = {one.strip() for name in names for one in name.split(",")}
    return sorted(single & set(getattr(dataset_class, "reads_options", ())))
