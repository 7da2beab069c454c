"""Runs of a plan, from their folders or from one compressed file that holds what its page needs of them.

The file, ``NAME_runs.jsonl.gz``, has one JSON object a line: a run (``folder``, ``config``, ``result``), a
sweep (``folder``, ``sweep``), or what a page needs beside them (``file``, ``content``), such as paired tests,
which need each user's metrics and are computed where these are. Runs of rows that others are tested against
have them too (``users``), so that rows of later can be. The same content gives the same bytes.

The runs in ``benchmarks/results`` were made before plans ran on ``tune``: a folder for each point of a grid
and seed, ``ROW-POINT-SEED``, the points with the first seed. :func:`before_sweeps` reads those, from a folder
as well as from a file.
"""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks._plan import Experiment
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.evaluation.lists import UserMetrics
from recbole_diffusion.options.renamed import stored_config
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.runs import RunRecord, read_run
from recbole_diffusion.storage.atomic import write_whole


class Stored(Protocol):
    """Where runs are read."""

    def of(self, experiment: Experiment) -> "Stored":
        """Return where an experiment is read."""

    def same_as_kept(self, experiment: Experiment) -> bool:
        """Return whether an experiment's runs are those that the stored tests are of."""

    def sweep(self, folder: str) -> dict[str, Any] | None:
        """Return the record of a sweep."""

    def run(self, folder: str) -> RunRecord | None:
        """Return a finished run."""

    def content(self, file: str) -> Any:
        """Return what a JSON file beside the runs holds, None if it is not there."""


@dataclass(frozen=True)
class StoredRun(RunRecord):
    """A run of which a page's file may have left parts out.

    Attributes:
        of_users: metrics of each user by part, as far as they were kept.
    """

    of_users: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)

    @cached_property
    def users(self) -> dict[str, UserMetrics] | None:
        """Return the kept metrics of each user by part; None for a run that has none."""
        if not self.of_users:
            return None
        return {
            part: {
                name: np.array(values, None if name == "users" else np.float32)
                for name, values in table.items()
            }
            for part, table in self.of_users.items()
        }

    @property
    def test_parts(self) -> dict[str, dict[str, float]]:
        """Return the metrics of each test part; ``test`` is added where no other has its values."""
        if self.result.get("parts"):
            return super().test_parts
        several = {name: values for name, values in self.result.items() if name.startswith("test_")}
        alone = self.result["test"] not in several.values()
        return ({"test": self.result["test"]} if alone else {}) | several


class Folders:
    """Runs in their folders, below one.

    Args:
        path: the folder that ``benchmarks.accuracy run`` was given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, _: Experiment) -> "Folders":
        """Return itself."""
        return self

    def same_as_kept(self, _: Experiment) -> bool:
        """Return True: there is nothing from before."""
        return True

    def sweep(self, folder: str) -> dict[str, Any] | None:
        """Return the record of a sweep."""
        record: dict[str, Any] | None = self.content(f"{folder}/sweep.json")
        return record

    def run(self, folder: str) -> RunRecord | None:
        """Return a finished run."""
        path = self.path / folder
        return read_run(path) if (path / "result.json").is_file() else None

    def content(self, file: str) -> Any:
        """Return what a JSON file beside the runs holds, None if it is not there."""
        path = self.path / file
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class Packed:
    """Runs in a file that :func:`pack` has written.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: dict[str, RunRecord] = {}
        self.sweeps: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, Any] = {}
        for number, line in enumerate(_lines(path), start=1):
            try:
                one = json.loads(line)
                if "file" in one:
                    self.contents[one["file"]] = one["content"]
                elif "sweep" in one:
                    self.sweeps[one["folder"]] = one["sweep"]
                else:
                    result = {"epoch_seconds": [], **one["result"]}
                    config, of_users = stored_config(one["config"]), one.get("users", {})
                    self.runs[one["folder"]] = StoredRun(path / one["folder"], config, result, [], of_users)
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(f"{path}, line {number} is damaged: {error}; collect it again") from error

    def of(self, _: Experiment) -> "Packed":
        """Return itself."""
        return self

    def same_as_kept(self, _: Experiment) -> bool:
        """Return True: the stored tests are of these runs."""
        return True

    def sweep(self, folder: str) -> dict[str, Any] | None:
        """Return the record of a sweep."""
        return self.sweeps.get(folder)

    def run(self, folder: str) -> RunRecord | None:
        """Return a finished run."""
        return self.runs.get(folder)

    def content(self, file: str) -> Any:
        """Return what a JSON file beside the runs holds, None if it is not there."""
        return self.contents.get(file)


def open_stored(path: Path) -> Stored:
    """Return the runs in a folder or in a file.

    Raises:
        UsageError: there is neither. RunError: the file is damaged.
    """
    if path.is_dir():
        return Folders(path)
    if path.is_file():
        return Packed(path)
    raise UsageError(f"no runs in {path}: no such folder or file; make them with benchmarks.accuracy run")


def _lines(path: Path) -> list[str]:
    try:
        return gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    except (OSError, EOFError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}; collect it again") from error


def pack(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write lines as one compressed file, whole or not at all; the same lines give the same bytes."""
    text = "".join(
        json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"
        for line in lines
    )
    # Neither the file's name nor the time is in it.
    data = gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0)
    write_whole(path, lambda file: file.write(data))


@dataclass(frozen=True)
class Outcome:
    """What an experiment came to.

    Attributes:
        chosen: the point of the grid that validation chose.
        runs: its finished runs, a seed each.
        searched: how many points of the grid, or trials, have a score.
    """

    chosen: dict[str, Any]
    runs: list[RunRecord]
    searched: int

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds of the runs."""
        return tuple(run.seed for run in self.runs)


def outcome_of(stored: Stored, experiment: Experiment) -> Outcome | None:
    """Return what an experiment came to; None while it has no run.

    Raises:
        UsageError: its runs were made with other options than the plan has.
    """
    stored = stored.of(experiment)
    record = stored.sweep(experiment.folder)
    if record is not None:
        found = _of_sweep(stored, experiment, record)
    elif experiment.row.weights_of:
        number, searched = chosen_point(stored, experiment)
        runs = _runs(stored, seed_folders(experiment, number))
        found = Outcome(experiment.points[number], runs, searched)
    else:
        found = None
    found = found if found is not None and found.runs else before_sweeps(stored, experiment)
    if found is not None:
        for run in found.runs:
            check_options(run, {**experiment.row.options, **found.chosen})
    return found


def seed_folders(experiment: Experiment, number: int) -> list[str]:
    """Return the folders of the runs of a row that scores another row's weights, a seed each.

    Args:
        experiment: of the row.
        number: of the point of its grid.
    """
    return [f"{experiment.folder}/final/{number:03d}-seed-{seed}" for seed in experiment.seeds]


def point_file(experiment: Experiment) -> str:
    """Return the file with the validation scores of the points of such a row."""
    return f"{experiment.folder}/points.json"


def points_of(experiment: Experiment, scores: Sequence[float | None]) -> dict[str, Any]:
    """Return what the file of the points holds: the scores, and what they are of."""
    options = {name: value for name, value in experiment.given.items() if name != "use_gpu"}
    return {"grid": experiment.row.grid, "options": options, "scores": list(scores)}


def point_scores(stored: Stored, experiment: Experiment) -> list[float | None]:
    """Return the validation scores of the points of such a row, larger better, None where one has none yet.

    Raises:
        UsageError: the scores are of another grid or of other options than the plan has.
    """
    kept = stored.content(point_file(experiment))
    if kept is None:
        return [None] * len(experiment.points)
    wanted = points_of(experiment, [])
    if isinstance(kept, list):  # as it was: the scores alone
        kept = {**wanted, "scores": kept}
    scores: list[float | None] = kept["scores"]
    if {**kept, "scores": []} != wanted or len(scores) != len(experiment.points):
        raise UsageError(
            f"{point_file(experiment)} has {len(scores)} scores of the grid {kept['grid']} with "
            f"{kept['options']}, which is not what the plan says; move its folder away, or correct the plan"
        )
    return scores


def chosen_point(stored: Stored, experiment: Experiment) -> tuple[int, int]:
    """Return the number of the point that such a row has chosen, and how many have a score; none has: (0, 1).

    Raises:
        UsageError: as :func:`point_scores`.
    """
    scores = point_scores(stored, experiment)
    if scores.count(None) == len(scores):
        return 0, 1
    there = [(score, -number) for number, score in enumerate(scores) if score is not None]
    return -max(there)[1], len(there)


def check_options(run: RunRecord, options: Mapping[str, Any]) -> None:
    """Raise UsageError where a run was made with other options."""
    other = {name: run.config.get(name) for name, value in options.items() if run.config.get(name) != value}
    if other:
        raise UsageError(
            f"{run.path} was made with {other}, which is not what the plan says; move it away, or correct "
            "the plan"
        )


def differs_from_plan(record: Mapping[str, Any], experiment: Experiment) -> str:
    """Return what a sweep was made with where that is not what the plan says, else an empty text."""
    space: Any = {name: {"choice": values} for name, values in experiment.row.grid.items()}
    made: Any = record["space"]
    if experiment.trials:  # of the model's own space, which the record has
        space = {"num_samples": experiment.trials, "time_budget": experiment.time_budget}
        made = {name: record["settings"].get(name) for name in space}
    wanted = {name: value for name, value in experiment.given.items() if name != "use_gpu"}
    made_with = {name: record["options"].get(name) for name in wanted}
    if (made, made_with) == (space, wanted):
        return ""
    return f"made with {made_with} and the search {made}, which is not what the plan says"


def _of_sweep(stored: Stored, experiment: Experiment, record: Mapping[str, Any]) -> Outcome | None:
    if record["winner"] is None:
        return None
    winner = next(trial for trial in record["trials"] if trial["number"] == record["winner"])
    done = [trial["folder"] for trial in record["final"] if trial["state"] == "finished"]
    searched = sum(trial["score"] is not None for trial in record["trials"])
    return Outcome(winner["options"], _runs(stored, [f"{experiment.folder}/{one}" for one in done]), searched)


def _runs(stored: Stored, folders: Sequence[str]) -> list[RunRecord]:
    return [run for folder in folders if (run := stored.run(folder)) is not None]


def old_folder(experiment: Experiment, point: int, seed: int) -> str:
    """Return the folder of a run that was made before plans ran on ``tune``."""
    return f"{experiment.folder}-{point}-{seed}"


def before_sweeps(stored: Stored, experiment: Experiment) -> Outcome | None:
    """Return what an experiment came to whose runs were made before plans ran on ``tune``.

    Every point of the grid was run with the first seed, test part included, and the one with the best
    validation score with the others; so the first seed's run of that point is one of its runs.
    """
    first, scored = experiment.seeds[0], []
    for number in range(len(experiment.points)):
        run = stored.run(old_folder(experiment, number, first))
        if run is not None:
            sign = -1 if smaller_is_better(run.valid_metric) else 1
            scored.append((sign * run.result["best_valid_score"], -number))
    if not scored:
        return None
    best = -max(scored)[1]
    runs = _runs(stored, [old_folder(experiment, best, seed) for seed in experiment.seeds])
    return Outcome(experiment.points[best], runs, len(scored))
