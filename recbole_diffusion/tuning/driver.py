"""sweep(): plan, search, run the winner with several seeds, write the results. One sweep is one folder.

Longer than most files: a whole sweep, new or continued, to be read from top to bottom.
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.data.fingerprint import differences, whole_fingerprints
from recbole_diffusion.data.preparation import check_fit, create_dataset, release_dataset
from recbole_diffusion.errors import Interrupted, UsageError, command_line, did_you_mean
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.storage.run_log import warnings_kept
from recbole_diffusion.trainer.divided import check_divided
from recbole_diffusion.tuning.context import SweepContext, read_by_data_set
from recbole_diffusion.tuning.display import SweepDisplay
from recbole_diffusion.tuning.earlier_trials import notes_on_earlier
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.local_runner import trials_here
from recbole_diffusion.tuning.options import (
    RESUME_SETTINGS,
    SweepOptions,
    check_final_seeds,
    check_installed,
    check_local,
    cores_here,
)
from recbole_diffusion.tuning.outcome import notes_on_outcome
from recbole_diffusion.tuning.phases import final_is_open, run_winner, search, search_is_open
from recbole_diffusion.tuning.plan import make_record
from recbole_diffusion.tuning.ray_session import ray_session
from recbole_diffusion.tuning.record import ENDED, WAITING, SweepRecord, Trial
from recbole_diffusion.tuning.space_check import check_stored

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
        model: name of a model of ours or of RecBole, or ``package.module:Class``; with ``resume`` the sweep's
            own, which a model from outside needs again.
        dataset: name of a data set.
        config_files: YAML files for every trial.
        overrides: options of every trial; these are not searched.
        settings: options of the sweep, see SweepOptions.
        resume: folder of an earlier sweep to continue; ``settings`` may then have only RESUME_SETTINGS, and
            nothing else is given but ``model``.
        on_report: called with each trial after each of its reports.
        output: where progress is printed; by default standard output.
        command: the command line of the sweep, kept in the record.

    Returns:
        The content of ``sweep.json``, and ``sweep_dir``.

    Raises:
        UsageError: the request cannot be run.
        RunError: no trial has given a score.
        Interrupted: Ctrl-C, with the sweep's folder.
    """
    settings = dict(settings or {})
    prepared = None
    if resume is None:
        options = read_settings(settings)
        _check_here(options)
        record, config = make_record(
            model, dataset, config_files, overrides or {}, options, command or _command(model, dataset)
        )
        check_final_seeds(record.seed, options.final_seeds)
        if options.workers_per_trial > 1:
            check_divided(config)
        prepared = _prepare_data(config, record)
        folder = SweepFolder.create(
            config.model_class.__name__,
            record.dataset,
            options.storage or config.general.runs_path,
            options.sweep_dir,
        )
    else:
        if dataset or overrides or list(config_files):
            raise UsageError(
                f"--resume continues the sweep in {resume}; besides, it takes only "
                f"{', '.join(sorted(RESUME_SETTINGS))}"
            )
        folder, _ = SweepFolder.existing(resume)
    with folder.locked():
        if resume is not None:  # read within the lock: the process that had it may have ended just now
            record, options, config = _continued(folder, model, settings)
        folder.write(record)
        try:
            display = SweepDisplay(record, output or sys.stdout)
            context = SweepContext(folder, record, options, display, on_report)
            _run(context, config, prepared, resume is not None)
        except KeyboardInterrupt as interrupt:
            raise Interrupted(folder.path) from interrupt
        except UsageError:
            if resume is None and all(trial.state == WAITING for trial in record.trials):
                folder.discard()
            raise
        finally:
            if folder.path.is_dir():
                shutil.rmtree(folder.ray, ignore_errors=True)
                folder.write(record)
    return {**record.to_json(), "sweep_dir": str(folder.path)}


def _continued(
    folder: SweepFolder, model: str | None, settings: Mapping[str, Any]
) -> tuple[SweepRecord, SweepOptions, Config]:
    """Return what a sweep goes on with: its record, its options, and the configuration without the space.

    Raises:
        UsageError: the sweep cannot go on, or something is given that a resume cannot change.
    """
    _, record, options = open_sweep(folder.path, settings)
    check_final_seeds(record.seed, options.final_seeds)
    if model and registry.name_of(model) != record.model:
        raise UsageError(
            f"the sweep in {folder.path} has the model {record.model!r}, not {model!r}; leave --model out"
        )
    try:
        config = Config(None, record.dataset, [], {**record.options, "model": record.model})
        _check_stored_trials(record, options, config)
    except UsageError as error:  # an option that an earlier version took; a resume cannot give another
        raise UsageError(
            f"the sweep in {folder.path} cannot go on with this version: {error}. What has ended stays "
            "there, best.yaml and trials/ included; begin a new sweep"
        ) from error
    _note(record, notes_on_earlier(folder.path, record, config))
    return record, options, config


def _note(record: SweepRecord, notes: Iterable[str]) -> None:
    """Add caveats to a record, each once: one that goes on has those of before."""
    record.notes += [note for note in notes if note not in record.notes]


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


def open_sweep(
    path: str | Path, settings: Mapping[str, Any]
) -> tuple[SweepFolder, SweepRecord, SweepOptions]:
    """Open a sweep to continue it; trials that had begun are waiting again.

    Raises:
        UsageError: there is none, or options are given that a resume cannot change.
    """
    folder, record = SweepFolder.existing(path)
    other = sorted(set(settings) - RESUME_SETTINGS)
    if other:
        raise UsageError(
            f"--resume continues the sweep in {folder.path}; {', '.join(other)} cannot change now. "
            f"Allowed: {', '.join(sorted(RESUME_SETTINGS))}"
        )
    # The time budget is for one process: a resume has the same again, unless it names another.
    options = read_settings({**record.settings, **settings})
    record.settings |= settings
    _check_here(options)
    for trial in [*record.trials, *record.final]:
        if trial.state not in ENDED:
            trial.state, trial.failures = WAITING, 0
    return folder, record, options


def _check_stored_trials(record: SweepRecord, options: SweepOptions, config: Config) -> None:
    """Check the options of the trials that a sweep which goes on still has to run, the winner's included.

    Raises:
        UsageError: this version refuses one, which an earlier version took.
    """
    waiting = [trial.options for trial in record.trials if trial.state == WAITING]
    check_stored(record.space_source, config, record.options, waiting)
    best = record.best()
    if best is not None and final_is_open(record, options):
        Config(None, record.dataset, [], {**record.options, **best.options, "model": record.model})


def _check_here(options: SweepOptions) -> None:
    check_installed(options)
    if options.ray_address is None:
        import torch

        check_local(options, cores_here(), torch.cuda.device_count())


def _prepare_data(config: Config, record: SweepRecord) -> Any:
    """Return the data set, without its configuration, for all trials; None if each needs its own.

    Raises:
        UsageError: it does not fit the options, or a sweep that goes on has begun with other data.
    """
    clock = time.perf_counter()
    with warnings_kept() as told_of_data:
        dataset = create_dataset(config)
        check_fit(config, dataset)
    data = whole_fingerprints(dataset)
    if told := differences(record.data, data):
        raise UsageError(
            f"the data of the sweep has changed since it began: {'; '.join(told.values())}. Its trials "
            "cannot be compared with new ones: put the old files back, or begin a new sweep"
        )
    record.data = data
    searched = [name for trial in record.trials for name in trial.options] or list(record.space)
    names = read_by_data_set(type(dataset), searched)
    record.add_seconds("prepare", clock)
    if names:
        logger.warning(
            "every trial reads the data set itself: its class uses %s, which the space searches",
            ", ".join(names),
        )
        return None
    dataset.told = told_of_data
    return release_dataset(dataset)


def _run(context: SweepContext, config: Config, prepared: Any, resuming: bool) -> None:
    """Search, run the winner with several seeds, and write everything.

    Args:
        context: the sweep.
        config: the configuration without the space.
        prepared: the data set for all trials, or None if each reads it; a resume prepares it here.
        resuming: whether the sweep continues an earlier one.
    """
    folder, record, options = context.folder, context.record, context.options
    searching = search_is_open(record, options)
    stale = notes_on_outcome(record)  # of the trials that there were when the sweep stopped
    record.notes = [note for note in record.notes if note not in stale]
    if searching or final_is_open(record, options):
        if resuming:
            prepared = _prepare_data(config, record)
        clock = time.perf_counter()
        here = options.max_concurrent == 0
        with trials_here() if here else ray_session(options, folder.path):
            if not here:
                record.add_seconds("ray_start", clock)
            elif options.scheduler == "asha" and searching:
                _note(record, ["without Ray no trial is stopped early: all are trained to their end"])
            if prepared is not None:
                context.data.append(prepared if here else _stored(prepared))
            for note in record.notes:
                context.display.print(note)
            if searching:
                search(context, config)
            run_winner(context)
    told = notes_on_outcome(record)
    _note(record, told)
    for note in told:
        context.display.print(note)
    folder.write_best(record)
    folder.write(record)
    context.display.print(draw_figures(folder))


def _stored(prepared: Any) -> Any:
    """Return a reference to the data set in Ray's object store."""
    import ray

    return ray.put(prepared)


def draw_figures(folder: SweepFolder) -> str:
    """Draw the figures of the sweep's page; return a line with their folder and the command for the page."""
    from recbole_diffusion.report.pictures import write_or_explain
    from recbole_diffusion.report.sweep import read_sweep, scored_trials
    from recbole_diffusion.report.sweep_figures import sweep_figures

    content = read_sweep(folder.path)
    of_options, learning = sweep_figures(folder.path, content, scored_trials(content))
    drawn = write_or_explain([*of_options, *learning], folder.pictures)
    page = command_line("report", str(folder.path), "--output=FILE.html")
    return f"{drawn}; a page with all figures: {page}"


def _command(model: str | None, dataset: str | None) -> str:
    return command_line("tune", f"--model={model}", f"--dataset={dataset}")
