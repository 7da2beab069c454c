"""One trial, in a worker process: a run in its own folder, reported to the sweep epoch by epoch."""

import contextlib
import copy
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from recbole_diffusion.data.valid_shift import UNSHIFTED
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.preset import read_preset
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.trial_records import epochs_of, validation_scores
from recbole_diffusion.tuning.workers import run_as_worker, trial_group, use_threads

logger = logging.getLogger(__name__)
Report = Callable[[dict[str, Any]], None]
PATIENCE = 60.0  # seconds
NEW_PROCESS = threading.Event()  # whether no trial has run in this process yet
NEW_PROCESS.set()


def run_reported(config: Mapping[str, Any], job: Mapping[str, Any], data: list) -> None:
    """Run the trial of ``config`` and report to Ray Tune, which starts this function in a worker.

    Args:
        config: ``trial``, a trial as a mapping.
        job: settings shared by all trials of the sweep, see :func:`run_trial`.
        data: a reference to the prepared data set in Ray's object store; empty without one.
    """
    born = psutil.Process().create_time() if NEW_PROCESS.is_set() else None
    NEW_PROCESS.clear()
    use_threads(job["threads"])
    if os.path.isdir(job["directory"]):
        os.chdir(job["directory"])  # Tune has changed to its own folder
    import ray
    from ray import tune

    # A copy: objects from the store are in shared memory, which is read-only.
    prepared = copy.deepcopy(ray.get(data[0])) if data else None
    node = ray.get_runtime_context().get_node_id()
    trial = config["trial"]
    lock = SweepFolder(job["sweep_dir"]).ray / f"{trial['folder'].replace('/', '-')}.lock"
    with exclusive(lock), trial_group(job, data) as share:
        report = lambda values: tune.report({**values, "node": node, "born": born})  # noqa: E731
        try:
            run_trial(trial, job, prepared, report, share)
        except UsageError as error:
            # As a report: Tune would try an error again, which is refused again.
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            report({"score": math.nan, "refused": why})


@contextlib.contextmanager
def exclusive(lock: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Keep other processes out of a trial's folder while the block runs.

    The processes of a killed driver, or of a node that Ray considers dead, can live on for a few seconds.

    Args:
        lock: the file that is locked.
        patience: seconds to wait for another process to end.

    Raises:
        RunError: it has not ended by then.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, patience))
        except TimeoutError:
            raise RunError(
                f"another process still runs this trial, {lock} is locked; end it and resume"
            ) from None
        yield


def run_trial(
    trial: Mapping[str, Any], job: Mapping[str, Any], prepared: Any, report: Report, share: Any = None
) -> None:
    """Run one trial to its end, from its checkpoint if there is one; report after each validation.

    A report has ``score``, the best validation score so far, ``epoch``, the number of epochs trained in the
    last stage, by which ASHA compares trials, ``trained``, that of all stages, ``best_epoch``, and at the end
    ``finished`` and the result's metrics and times. A trial that has already finished is reported and not run
    again.

    Args:
        trial: ``folder``, ``options``, ``seed`` and ``test`` of the trial.
        job: ``sweep_dir``, ``model``, ``dataset``, ``options``, ``threads``, ``use_gpu``, ``bigger`` and
            ``directory``, to which relative paths refer.
        prepared: the data set, or None to read it.
        report: receives the reports; does not return if the sweep stops the trial.
        share: of this process in each batch, where several train the trial.
    """
    from recbole_diffusion.quick_start import run  # slow: torch and RecBole

    folder = RunFolder(Path(job["sweep_dir"]) / trial["folder"])
    ready = {"ready": time.time()}
    result = finished_result(folder)
    if result is None:
        resuming = _can_go_on(folder, trial, job)
        best = BestSoFar(folder, job["bigger"])

        def after_validation(_: int, score: float) -> None:  # numbered through all stages
            numbers = epochs_of(folder)
            best.observe(numbers["epoch"] - 1, score)
            report({"score": best.score, **numbers, "best_epoch": best.epoch, **ready})

        request = {"model": job["model"], "on_epoch": after_validation, "test": trial["test"]}
        if resuming:
            request |= {"resume": folder.path, "overrides": {"use_gpu": job["use_gpu"]}}
        else:
            request |= {"dataset": job["dataset"], "overrides": _overrides(folder, trial, job)}
        if share is None:
            result = run(**request, prepared=prepared)
        else:
            result = run_as_worker(share, request, prepared)
    report(
        {
            "score": result["best_valid_score"],
            **(epochs_of(folder) or dict.fromkeys(("epoch", "trained"), len(result["epoch_seconds"]))),
            "best_epoch": result["best_epoch"],
            "finished": True,
            "seconds": result["seconds"],
            "metrics": {part: values for part, values in result.items() if _is_part(part, values)},
            **ready,
        }
    )


def _is_part(name: str, values: Any) -> bool:
    return (name in ("valid", UNSHIFTED, "test") or name.startswith("test_")) and isinstance(values, Mapping)


class BestSoFar:
    """The best validation score of a run, including its part before a resume.

    Attributes:
        score: the score, None before the first validation.
        epoch: its epoch, from 0.
    """

    def __init__(self, folder: RunFolder, bigger: bool) -> None:
        self.sign = 1 if bigger else -1
        self.score: float | None = None
        self.epoch = -1
        for epoch, score in validation_scores(folder):
            self.observe(epoch, score)

    def observe(self, epoch: int, score: float) -> None:
        """Take a score into account."""
        if self.score is None or math.isnan(self.score) or self.sign * score > self.sign * self.score:
            self.score, self.epoch = float(score), epoch


def finished_result(folder: RunFolder) -> dict[str, Any] | None:
    """Return the result of a finished run, None if it has not finished or cannot be read."""
    try:
        result = json.loads(folder.result.read_text(encoding="utf-8"))
        needed = ("best_valid_score", "epoch_seconds", "best_epoch", "seconds", "valid", "test")
        return result if all(name in result for name in needed) else None
    except (OSError, ValueError, TypeError):
        return None


def _can_go_on(folder: RunFolder, trial: Mapping[str, Any], job: Mapping[str, Any]) -> bool:
    """Return whether the trial has begun in its folder; a damaged folder is set aside."""
    if not folder.path.is_dir() or not any(folder.path.iterdir()):
        return False
    settled = _settled_by_data(trial, job)
    options = {name: value for name, value in trial["options"].items() if name not in settled}
    damage = damage_of(folder, {**options, "seed": trial["seed"]})
    if damage is not None:
        logger.warning("%s cannot continue: %s", folder.path, damage)
        set_aside(folder)
    return damage is None


def _settled_by_data(trial: Mapping[str, Any], job: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of which a run's configuration has other values than were given, by ``auto``."""
    from recbole_diffusion.config import OF_BATCHES  # slow: torch and RecBole

    options = {**job["options"], **trial["options"]}
    if options.get("preset") is not None:
        options = {**read_preset(options["preset"], job["model"], job["dataset"]).options, **options}
    return OF_BATCHES if options.get("train_batch_size") == "auto" else ()


def _overrides(folder: RunFolder, trial: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a trial's run."""
    own = {
        "seed": trial["seed"],
        "use_gpu": job["use_gpu"],
        "gpu_id": "0",
        "show_progress": False,
        "run_dir": str(folder.path),
    }
    return {**job["options"], **trial["options"], **own}


def damage_of(folder: RunFolder, options: Mapping[str, Any]) -> str | None:
    """Return why the run in a folder cannot continue, None if it can.

    Args:
        folder: a folder that is not empty.
        options: the options that its configuration must have.
    """
    from recbole_diffusion.trainer import checkpoint

    try:
        stored = folder.read_config()
        other = [
            name
            for name, value in options.items()
            if not isinstance(value, Mapping) and stored.get(name) != value
        ]
        if other:
            return f"its configuration has another {', '.join(other)}"
        state = (
            checkpoint.load(folder.checkpoint, "cpu") if folder.checkpoint.exists() else {"best_epoch": -1}
        )
        if state["best_epoch"] >= 0 or folder.best.exists():
            checkpoint.load(folder.best, "cpu")
    except (RunError, UsageError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def set_aside(folder: RunFolder) -> None:
    """Rename a folder that no run can use, so that nothing in it is lost."""
    number = 1
    while folder.path.with_name(f"{folder.path.name}.damaged-{number}").exists():
        number += 1
    folder.path.rename(folder.path.with_name(f"{folder.path.name}.damaged-{number}"))
