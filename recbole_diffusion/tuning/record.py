"""The record of a sweep: the content of ``sweep.json``."""

import dataclasses
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recbole_diffusion.options.renamed import CAME_WITH, VALUES_VERSION, stored_options, stored_space
from recbole_diffusion.storage.form import (
    AMOUNT,
    COUNT,
    NUMBER,
    TEXT,
    WHOLE,
    Form,
    each,
    fields,
    kind,
    listed,
    or_none,
)

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

# The form of sweep.json.
_TRIAL: Form = fields(
    ("number", "folder", "options", "seed"),
    number=COUNT,
    folder=TEXT,
    options=kind(dict),
    seed=COUNT,
    test=kind(bool),
    state=TEXT,
    score=or_none(NUMBER),
    best_epoch=or_none(WHOLE),
    epochs=COUNT,
    seconds=AMOUNT,
    load_seconds=or_none(AMOUNT),
    startup_seconds=or_none(AMOUNT),
    failures=COUNT,
    error=or_none(TEXT),
    host=or_none(TEXT),
    pid=or_none(COUNT),
    node=or_none(TEXT),
    metrics=each(each(NUMBER)),
)
RECORD: Form = fields(
    model=TEXT,
    dataset=TEXT,
    options=kind(dict),
    space=kind(dict),
    space_source=TEXT,
    settings=fields(num_samples=or_none(COUNT)),
    valid_metric=TEXT,
    bigger=kind(bool),
    epochs=COUNT,
    seed=COUNT,
    command=TEXT,
    directory=TEXT,
    selection=TEXT,
    versions=kind(dict),
    trials=listed(_TRIAL),
    winner=or_none(COUNT),
    final=listed(_TRIAL),
    seconds=each(AMOUNT),
    notes=listed(TEXT),
    values_version=COUNT,
    data=each(kind(dict)),
)


@dataclass
class Trial:
    """One trial, or one of the winner's final runs.

    Attributes:
        number: its number, from 0.
        folder: its run folder, relative to the sweep's.
        options: the options that the space sets, with the values chosen for it.
        seed: seed of its run.
        test: whether the test part is evaluated at its end.
        state: ``waiting``, ``running``, ``finished``, ``stopped`` (early, by ASHA), ``cut`` (off by the time
            budget) or ``failed``.
        score: best validation score so far.
        best_epoch: epoch of that score, from 0; of a model that trains in stages, in its last one.
        epochs: epochs trained, in all stages.
        seconds: time of training and validation.
        load_seconds: time of preparing the data in the trial.
        startup_seconds: time until its work begins, imports included; from the start of its process, or of
            the trial if the process has run others before.
        failures: times that it raised an error or was killed.
        error: its last error.
        host: host of its last process.
        pid: id of its last process.
        node: Ray's id of the last node that it ran on.
        metrics: metrics of the evaluated parts, by part.
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
        """Return its name in tables: the last part of its folder."""
        return self.folder.rpartition("/")[2]

    @property
    def refused(self) -> bool:
        """Return whether its options were refused, which trying again does not change."""
        return self.state == FAILED and (self.error or "").startswith("UsageError:")


@dataclass
class SweepRecord:
    """One sweep.

    Attributes:
        model: the model's name.
        dataset: the data set's name.
        options: options of every trial besides those of the space; ``split_seed`` is among them.
        space: content of the space.
        space_source: where the space was read from.
        settings: the sweep's options.
        valid_metric: the metric that is compared, lower-case.
        bigger: whether larger values of it are better.
        epochs: maximum epochs of a trial.
        seed: first seed of the final runs, and seed of the search.
        command: the command line.
        directory: working directory of the command; relative paths in the options begin here.
        selection: the part that trials are compared on: ``validation``, or ``test`` for a data set of train
            and test only.
        versions: versions of the packages that the results depend on.
        trials: the trials of the search.
        winner: number of the best trial.
        final: the winner's runs with several seeds.
        seconds: time of the parts of the sweep, summed over resumes.
        notes: caveats to the numbers.
        values_version: of what the options' values mean, ``options/renamed.py``.
        data: fingerprints of the data set before its split; empty in sweeps of earlier versions.
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
    values_version: int = VALUES_VERSION
    data: dict[str, Any] = field(default_factory=dict)

    def add_seconds(self, name: str, since: float) -> None:
        """Add the time since ``since``, a value of ``time.perf_counter``, to a part of the sweep."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - since, 3)

    def best(self) -> Trial | None:
        """Return the trial with the best validation score, the first of equal ones; None without any."""
        sign = 1 if self.bigger else -1
        scored = [
            (sign * trial.score, -trial.number, trial)
            for trial in self.trials
            if trial.score is not None and math.isfinite(trial.score)
        ]
        return max(scored, key=lambda one: one[:2])[2] if scored else None

    def final_metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return mean, sample standard deviation and number of the final runs' metrics, by part and name."""
        done = [trial.metrics for trial in self.final if trial.state == FINISHED]
        table: dict[str, dict[str, dict[str, float]]] = {}
        for part, values in (done[0] if done else {}).items():
            for name in values:
                if not all(name in metrics.get(part, {}) for metrics in done):
                    continue  # some of these runs may be of an earlier version
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
        """Return the record that :meth:`to_json` gave; options of earlier versions as today's.

        Raises:
            KeyError: the content is not a record.
            TypeError: the content is not a record.
        """
        if damage := RECORD(content, ""):
            raise TypeError(damage)
        values = {"values_version": 1, "data": {}, **content}
        values = {name.name: values[name.name] for name in dataclasses.fields(cls)}
        model, version = values["model"], values.pop("values_version")
        for name in ("trials", "final"):
            values[name] = [
                Trial(**{**trial, "options": stored_options(model, trial["options"], version)})
                for trial in values[name]
            ]
        came = CAME_WITH.get(model, {}) if version < VALUES_VERSION else {}
        values["options"] = {**came, **stored_options(model, values["options"], version)}
        values["space"] = stored_space(model, values["space"], version)
        return cls(**values)
