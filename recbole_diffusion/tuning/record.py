"""What a sweep knows about itself: the content of ``sweep.json``."""

import dataclasses
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# States of a trial. ENDED ones are not run again by a resume.
WAITING, RUNNING, FINISHED, STOPPED, CUT, FAILED = (
    "waiting",
    "running",
    "finished",
    "stopped",
    "cut",
    "failed",
)
ENDED = (FINISHED, STOPPED)


@dataclass
class Trial:
    """One trial, or one of the winner's final runs.

    Attributes:
        number: its number, from 0.
        folder: its run folder, relative to the sweep's.
        options: what the space chose for it.
        seed: seed of its run.
        test: whether the test part is evaluated at its end.
        state: ``waiting``, ``running``, ``finished``, ``stopped`` (early, by asha), ``cut`` (off by the time
            budget), ``failed``.
        score: best validation score so far.
        best_epoch: epoch of that score, from 0.
        epochs: epochs trained.
        seconds: time of training and validation.
        load_seconds: time of preparing the data in the trial.
        startup_seconds: time from the start of its process, or of the trial in a process that has had others,
            to its first line of work, imports included.
        failures: times that it raised or was killed.
        error: what it raised last.
        host: where it ran last.
        pid: the process that it ran in last.
        node: Ray's name of the node that it ran on last.
        metrics: metrics of the parts that were evaluated, by part.
    """

    number: int
    folder: str
    options: dict[str, Any]
    seed: int
    test: bool = False
    state: str = WAITING
    score: float | None = None
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    load_seconds: float | None = None
    startup_seconds: float | None = None
    failures: int = 0
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    node: str | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what it is called in tables: the last part of its folder."""
        return self.folder.rpartition("/")[2]


@dataclass
class SweepRecord:
    """One sweep.

    Attributes:
        model: the model's name.
        dataset: the data set's name.
        options: what every trial has, beside what the space chooses; ``split_seed`` among it.
        space: content of the space.
        space_source: where it was read.
        settings: the sweep's options.
        valid_metric: what is compared, lower-case.
        bigger: whether more of it is better.
        epochs: epochs of a trial at most.
        seed: first seed of the final runs, and of the search's own randomness.
        command: the command line.
        directory: where the command was given; relative paths among the options mean this place.
        selection: the part that trials are compared on: ``validation``, or ``test`` for a data set of train
            and test only.
        versions: of what the results depend on.
        trials: the search.
        winner: number of the best trial.
        final: the winner's runs with several seeds.
        seconds: time of the parts of the sweep, summed over resumes.
        notes: what a reader of the numbers must know.
    """

    model: str
    dataset: str
    options: dict[str, Any]
    space: dict[str, Any]
    space_source: str
    settings: dict[str, Any]
    valid_metric: str
    bigger: bool
    epochs: int
    seed: int
    command: str
    directory: str = "."
    selection: str = "validation"
    versions: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    winner: int | None = None
    final: list[Trial] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_seconds(self, name: str, since: float) -> None:
        """Add the time since a moment of ``time.perf_counter`` to a part of the sweep."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - since, 3)

    def best(self) -> Trial | None:
        """Return the trial with the best validation score, the first of equal ones; None without any."""
        scored = [trial for trial in self.trials if trial.score is not None and math.isfinite(trial.score)]
        sign = 1 if self.bigger else -1
        return max(scored, key=lambda trial: (sign * trial.score, -trial.number), default=None)

    def final_metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return mean, sample standard deviation and number of the final runs' metrics, by part and name."""
        done = [trial.metrics for trial in self.final if trial.state == FINISHED]
        table: dict[str, dict[str, dict[str, float]]] = {}
        for part, values in (done[0] if done else {}).items():
            for name in values:
                numbers = [metrics[part][name] for metrics in done]
                deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
                table.setdefault(part, {})[name] = {
                    "mean": statistics.fmean(numbers),
                    "std": deviation,
                    "runs": len(numbers),
                }
        return table

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``sweep.json``."""
        return {**dataclasses.asdict(self), "final_metrics": self.final_metrics()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "SweepRecord":
        """Return the record that :meth:`to_json` gave; KeyError or TypeError where it is none."""
        values = {name.name: content[name.name] for name in dataclasses.fields(cls)}
        for name in ("trials", "final"):
            values[name] = [Trial(**trial) for trial in values[name]]
        return cls(**values)
