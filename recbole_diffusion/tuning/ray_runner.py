"""A set of trials run by Ray Tune, and what Tune says about them written into the sweep's record."""

import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.tuning.display import Board
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.options import SweepOptions
from recbole_diffusion.tuning.record import CUT, FAILED, FINISHED, RUNNING, STOPPED, WAITING, Record, Trial
from recbole_diffusion.tuning.trial import run_reported


@dataclass
class Sweep:
    """What running trials needs.

    Attributes:
        folder: where the sweep writes.
        record: what it knows.
        options: how it searches.
        job: what all trials share, see ``run_trial``.
        data: a reference to the prepared data set in Ray's object store, or nothing.
        board: what it shows.
        on_report: called with each trial that reports, after its report is in the record; for callers from
            Python.
    """

    folder: SweepFolder
    record: Record
    options: SweepOptions
    job: dict[str, Any]
    data: list
    board: Board
    on_report: Callable[[Trial], None] | None = None


def run_trials(
    sweep: Sweep,
    trials: list[Trial],
    scheduler: Any = None,
    searcher: Any = None,
    budget: float | None = None,
) -> None:
    """Run trials until each has ended, failed too often, or the budget is over; the record holds how they ended.

    Args:
        sweep: what they belong to.
        trials: the trials that wait; a ``searcher`` finds them itself, and adds others.
        scheduler: stops trials early; None lets all finish.
        searcher: makes the trials up to ``options.num_samples``; None runs ``trials``.
        budget: seconds after which everything is stopped.
    """
    from ray import tune

    # Ray Tune warns of a missing syncer, of slow pickling and the like, each time.
    for name in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    trainable = tune.with_parameters(run_reported, job=sweep.job, data=sweep.data)
    resources = {"cpu": sweep.options.trial_cpus, "gpu": sweep.options.trial_gpus}
    space: dict[str, Any] = {}
    if searcher is None:
        space = {"trial": tune.grid_search([dataclasses.asdict(trial) for trial in trials])}
        samples = 1
    else:
        samples = sweep.record.settings["num_samples"] - sum(
            trial.state != WAITING for trial in sweep.record.trials
        )
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=None if scheduler or searcher else "score",
            mode=None if scheduler or searcher else ("max" if sweep.record.bigger else "min"),
            num_samples=samples,
            scheduler=scheduler,
            search_alg=searcher,
            max_concurrent_trials=sweep.options.max_concurrent,
            time_budget_s=budget,
            # A new process loads torch and RecBole for seconds; the next trial of the same size finds them
            # loaded.
            reuse_actors=True,
            trial_dirname_creator=_short_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.time_ns():x}",
            storage_path=str(sweep.folder.ray),
            failure_config=tune.FailureConfig(max_failures=sweep.options.max_failures),
            callbacks=[_make_callback(sweep, scheduler)],
            verbose=0,
        ),
    )
    tuner.fit()


def _short_name(trial: Any) -> str:
    return trial.trial_id


def _make_callback(sweep: Sweep, scheduler: Any) -> Any:
    """Return the callback by which Ray Tune tells what happens to the trials."""
    from ray.tune import Callback

    began = time.time()
    started: dict[str, float] = {}

    def of(tune_trial: Any) -> Trial:
        given = tune_trial.config["trial"]
        rows = sweep.record.final if given["test"] else sweep.record.trials
        return next(row for row in rows if row.folder == given["folder"])

    def failed(tune_trial: Any, trial: Trial) -> None:
        trial.failures += 1
        trial.error = _text_of(tune_trial)

    class Watch(Callback):
        """Writes what happens to a trial into the record."""

        def on_trial_start(self, trial: Any, **_: Any) -> None:
            started[trial.trial_id] = time.time()
            of(trial).state = RUNNING

        def on_trial_result(self, trial: Any, result: dict, **_: Any) -> None:
            row = of(trial)
            take(row, result, started.get(trial.trial_id), began)
            sweep.board.reported()
            if sweep.on_report:
                sweep.on_report(row)

        def on_trial_recover(self, trial: Any, **_: Any) -> None:
            failed(trial, of(trial))
            sweep.board.retried(of(trial))

        def on_trial_complete(self, trial: Any, **_: Any) -> None:
            row = of(trial)
            if row.state != FINISHED:
                row.state = STOPPED if was_stopped(scheduler, trial) else CUT
            ended(row)

        def on_trial_error(self, trial: Any, **_: Any) -> None:
            row = of(trial)
            failed(trial, row)
            row.state = FAILED
            ended(row)

        def __reduce__(self) -> tuple:
            return (dict, ())  # Ray Tune stores its callbacks; this one lives in the driver

    def ended(row: Trial) -> None:
        sweep.folder.write(sweep.record)
        sweep.board.ended(row)

    return Watch()


def was_stopped(scheduler: Any, tune_trial: Any) -> bool:
    """Return whether the scheduler ended a trial; what else ends one that has not finished is the time budget."""
    return scheduler is not None and tune_trial.trial_id in scheduler.stopped


def take(row: Trial, result: dict[str, Any], started: float | None, began: float) -> None:
    """Write a report into a trial's row.

    Args:
        row: the row.
        result: the report; ``born`` is when its process was started, if that was for this trial.
        started: when Tune had its process.
        began: when these trials were given to Tune; Ray starts some processes before.
    """
    row.score, row.epochs, row.best_epoch = result["score"], result["epoch"], result["best_epoch"]
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


def _text_of(tune_trial: Any) -> str:
    """Return the last line of what a trial raised, from the file that Ray Tune writes at once, on the driver's machine."""
    try:
        text = Path(tune_trial.error_file).read_text(encoding="utf-8", errors="replace")
    except (OSError, TypeError):  # TypeError: Ray has no such file
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "its process ended"
