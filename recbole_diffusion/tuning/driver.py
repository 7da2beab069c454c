"""sweep(): plan, search, run the winner again, write what was found. One sweep is one folder."""

import dataclasses
import logging
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from recbole_diffusion.config import Config  # first: it makes RecBole importable
from recbole_diffusion.data.preparation import create_dataset, release_dataset
from recbole_diffusion.errors import RunError, UsageError, did_you_mean
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning import pictures
from recbole_diffusion.tuning.dataset_sharing import depends_on
from recbole_diffusion.tuning.display import Board
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.options import (
    RESUME_SETTINGS,
    SweepOptions,
    check_installed,
    check_local,
    cores_here,
)
from recbole_diffusion.tuning.optuna_search import make_searcher
from recbole_diffusion.tuning.plan import final_folder, known_options, make_record, new_trial
from recbole_diffusion.tuning.ray_runner import Sweep, run_trials
from recbole_diffusion.tuning.ray_session import ray_session
from recbole_diffusion.tuning.record import ENDED, FAILED, FINISHED, WAITING, Record, Trial
from recbole_diffusion.tuning.scheduler import make_scheduler
from recbole_diffusion.tuning.space_file import parse_space
from recbole_diffusion.tuning.trial import validation_scores

logger = logging.getLogger(__name__)


def sweep(
    model: str | None = None,
    dataset: str | None = None,
    *,
    config_files: Iterable[str | Path] = (),
    overrides: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    on_report: Callable[[Trial], None] | None = None,
    output: TextIO | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Search a model's options on a data set, and run the best ones again with several seeds.

    Args:
        model: name of a model of ours or of RecBole.
        dataset: name of a data set.
        config_files: YAML files that hold for every trial.
        overrides: options that hold for every trial; what they set is not searched.
        settings: options of the sweep, see SweepOptions.
        resume: folder of an earlier sweep to go on with; ``settings`` then takes only RESUME_SETTINGS, and
            nothing else is given.
        on_report: called with each trial after each of its reports.
        output: where progress is shown; by default standard output.
        command: the command line that asked for this, kept in the record.

    Returns:
        The content of ``sweep.json``, and ``sweep_dir``.

    Raises:
        UsageError: the request cannot be run. RunError: no trial has given a score.
        KeyboardInterrupt: Ctrl-C; its argument is the sweep's folder.
    """
    settings = dict(settings or {})
    if resume is None:
        options = read_settings(settings)
        _check_here(options)
        record, config = make_record(
            model, dataset, config_files, overrides or {}, options, command or _command(model, dataset)
        )
        prepared = _prepared(config, record)
        folder = SweepFolder.create(
            record.model, record.dataset, options.storage or config["runs_path"], options.sweep_dir
        )
    else:
        if model or dataset or overrides or list(config_files):
            raise UsageError(
                f"--resume goes on with the sweep in {resume}; it takes only "
                f"{', '.join(sorted(RESUME_SETTINGS))} beside"
            )
        folder, record, options = resumed(resume, settings)
        config = Config(record.model, record.dataset, [], record.options)
        prepared = None
    with folder.locked():
        folder.write(record)
        try:
            _run(
                folder, record, config, options, prepared, resume is not None, on_report, output or sys.stdout
            )
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(str(folder.path)) from interrupt
        except UsageError:
            if resume is None:
                folder.discard()
            raise
        finally:
            if folder.path.is_dir():
                shutil.rmtree(folder.ray, ignore_errors=True)
                folder.write(record)
    return {**record.to_json(), "sweep_dir": str(folder.path)}


def read_settings(given: Mapping[str, Any]) -> SweepOptions:
    """Return the options of a sweep.

    Raises:
        UsageError: an unknown one, or a value that is not allowed.
    """
    defaults = {one.name: one.metadata["default"] for one in fields(SweepOptions)}
    for name in given:
        if name not in defaults:
            raise UsageError(
                f"unknown option {name!r} of a sweep{did_you_mean(name, defaults)}; there are "
                f"{', '.join(defaults)}"
            )
    return read_options(SweepOptions, defaults | dict(given))


def resumed(path: str | Path, settings: Mapping[str, Any]) -> tuple[SweepFolder, Record, SweepOptions]:
    """Open a sweep to go on with; trials that had begun wait again.

    Raises:
        UsageError: there is none, or other options are given than a resume can change.
    """
    folder, record = SweepFolder.existing(path)
    other = sorted(set(settings) - RESUME_SETTINGS)
    if other:
        raise UsageError(
            f"--resume goes on with the sweep in {folder.path}; {', '.join(other)} cannot change now. "
            "Allowed: "
            f"{', '.join(sorted(RESUME_SETTINGS))}"
        )
    # A budget is one of time spent: a resume has the same again, unless it names another.
    options = read_settings({**record.settings, **settings})
    record.settings |= settings
    _check_here(options)
    for trial in [*record.trials, *record.final]:
        if trial.state not in ENDED:
            trial.state, trial.failures = WAITING, 0
    return folder, record, options


def _check_here(options: SweepOptions) -> None:
    check_installed(options)
    if options.ray_address is None:
        import torch

        check_local(options, cores_here(), torch.cuda.device_count())


def _prepared(config: Config, record: Record) -> Any:
    """Return the data set, without its configuration, for all trials; None where they need one each."""
    clock = time.perf_counter()
    dataset = create_dataset(config)
    names = depends_on(
        type(dataset), [name for trial in record.trials for name in trial.options] or list(record.space)
    )
    _spend(record, "prepare", clock)
    if names:
        logger.warning(
            "every trial reads the data set itself: it depends on %s, which the space searches",
            ", ".join(names),
        )
        return None
    return release_dataset(dataset)


def _run(
    folder: SweepFolder,
    record: Record,
    config: Config,
    options: SweepOptions,
    prepared: Any,
    resuming: bool,
    on_report: Any,
    output: TextIO,
) -> None:
    """Search, choose, run the winner again, and write everything."""
    board = Board(record, output)
    open_trials = [trial for trial in record.trials if trial.state not in ENDED]
    searching = options.search != "none" and (
        bool(open_trials)
        or len(record.trials) < (record.settings["num_samples"] or 0) * (options.search == "optuna")
    )
    if searching or _final_open(record, options):
        if resuming:
            prepared = _prepared(config, record)
        clock = time.perf_counter()
        with ray_session(options):
            import ray

            _spend(record, "ray_start", clock)
            job = {
                "sweep_dir": str(folder.path),
                "model": record.model,
                "dataset": record.dataset,
                "options": record.options,
                "threads": options.trial_cpus,
                "use_gpu": options.trial_gpus > 0,
                "bigger": record.bigger,
                "directory": record.directory,
            }
            data = [] if prepared is None else [ray.put(prepared)]
            running = Sweep(folder, record, options, job, data, board, on_report)
            for note in record.notes:
                board.say(note)
            if searching:
                _search(running, config)
            _run_winner(running)
    board.close()
    folder.write_best(record)
    for text in pictures.draw(folder, record):
        board.say(text)


def _search(running: Sweep, config: Config) -> None:
    """Run the open trials. A trial that dies before it has begun is given to Ray again, as often as one that dies later."""
    record, options, began = running.record, running.options, time.perf_counter()
    mode = "max" if record.bigger else "min"
    for _ in range(options.max_failures + 1):
        spent = time.perf_counter() - began
        budget = None if options.budget_seconds is None else options.budget_seconds - spent
        if budget is not None and budget <= 0:
            break
        scheduler = make_scheduler(options, record.epochs, mode, _history(running.folder, record))
        searcher = None
        if options.search == "optuna":
            searcher = _searcher(running, config)
        run_trials(running, _open(record), scheduler, searcher, budget)
        again = [
            trial
            for trial in record.trials
            if trial.state == FAILED and trial.failures <= options.max_failures
        ]
        for trial in again:
            trial.state = WAITING
        if not again:
            break
    _spend(record, "search", began)
    if record.best() is None:
        errors = [f"trial {trial.name}: {trial.error}" for trial in record.trials if trial.error]
        raise RunError(
            "no trial has given a score; "
            f"{errors[0] if errors else 'the time budget ended before a validation'}. Logs are in "
            f"{running.folder.path / 'trials'}; go on with tune --resume={running.folder.path}"
        )


def _open(record: Record) -> list[Trial]:
    return [trial for trial in record.trials if trial.state == WAITING]


def _searcher(running: Sweep, config: Config) -> Any:
    record = running.record
    space = parse_space(record.space, record.space_source)

    def add(options: dict[str, Any]) -> Trial:
        record.trials.append(new_trial(len(record.trials), options, record))
        return record.trials[-1]

    return make_searcher(space, known_options(space, config), record, add)


def _history(folder: SweepFolder, record: Record) -> list[list[tuple[int, float]]]:
    """Return what the ended trials had reported: epochs trained and best score by then."""
    choose = max if record.bigger else min
    history = []
    for trial in record.trials:
        if trial.state in ENDED:
            scores = validation_scores(RunFolder(folder.path / trial.folder))
            best = [choose(score for _, score in scores[: number + 1]) for number in range(len(scores))]
            history.append([(epoch + 1, score) for (epoch, _), score in zip(scores, best, strict=True)])
    return history


def _final_open(record: Record, options: SweepOptions) -> bool:
    done = [trial for trial in record.final if trial.state == FINISHED]
    return record.winner is None or len(done) < options.final_seeds


def _run_winner(running: Sweep) -> None:
    """Run the best configuration with each final seed, to its end and with the test part.

    Without a search that is the given one, and the run of the first seed stands for the trial.

    Raises:
        RunError: without a search, the run of the first seed has failed.
    """
    record, options, clock = running.record, running.options, time.perf_counter()
    searched = options.search != "none"
    best = record.best() if searched else record.trials[0]
    name = best.name if searched else "000"
    known = {trial.folder: trial for trial in record.final}
    record.winner, record.final = best.number, []
    for seed in range(record.seed, record.seed + options.final_seeds):
        folder = final_folder(name, seed)
        chosen = best.options | ({"split_seed": seed} if options.resplit else {})
        record.final.append(known.get(folder, Trial(best.number, folder, chosen, seed, test=True)))
    left = [trial for trial in record.final if trial.state != FINISHED]
    if left:
        running.folder.write_best(record)
        run_trials(running, left)
    _spend(record, "final", clock)
    if not searched:
        record.trials = [dataclasses.replace(record.final[0], number=0, options={})]
        if record.best() is None:
            raise RunError(
                f"the run with seed {record.seed} has failed: {record.final[0].error}. Its log is in "
                f"{running.folder.path / record.final[0].folder}; go on with tune "
                f"--resume={running.folder.path}"
            )


def _spend(record: Record, name: str, since: float) -> None:
    record.seconds[name] = round(record.seconds.get(name, 0.0) + time.perf_counter() - since, 3)


def _command(model: str | None, dataset: str | None) -> str:
    return shlex.join(["python", "run_recbole_diff.py", "tune", f"--model={model}", f"--dataset={dataset}"])
