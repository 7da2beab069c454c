"""run(): what it is given, and its folder from the first line of the log to ``result.json``."""

import errno
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.errors import Interrupted, RunError, UsageError, command_line, did_you_mean
from recbole_diffusion.options.given import files_given, plain, plain_options
from recbole_diffusion.prepare.own.data import OwnData, own_data
from recbole_diffusion.prepare.own.in_run import options_of, put
from recbole_diffusion.prepare.own.roles import TableOptions, name_of
from recbole_diffusion.quick_start.earlier import continued, resumed
from recbole_diffusion.quick_start.prepared import build, keep_rows, start_or_resume
from recbole_diffusion.quick_start.result import result_of, train
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.run_log import logging_to
from recbole_diffusion.storage.signals import ended_by_sigterm
from recbole_diffusion.storage.slow_step import told_if_slow

logger = logging.getLogger()  # the root logger, which writes to the run's log
# Errors of a disk that is full, or that does not let us write.
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
RIGHTS = {errno.EACCES, errno.EPERM}
ARGUMENTS = (
    "config_files",
    "overrides",
    "resume",
    "continue_from",
    "on_epoch",
    "test",
    "command",
    "prepared",
    "data",
    "share",
)


def run(
    model: str | type | None = None,
    dataset: str | None = None,
    *,
    config_files: Iterable[str | Path] = (),
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    continue_from: str | Path | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    test: bool = True,
    command: str | None = None,
    prepared: Any = None,
    data: Any = None,
    share: Any = None,
    user: str | None = None,
    item: str | None = None,
    rating: str | None = None,
    time: str | None = None,
    **table: Any,
) -> dict[str, Any]:
    """Train and evaluate one model, in one folder.

    Args:
        model: name of a model of ours or of RecBole, ``package.module:Class`` of one from outside, or its
            class.
        dataset: name of a data set; with ``data`` any name, by default that of its file.
        config_files: YAML files, later ones win; or one.
        overrides: option values, of their real types, those of numpy and paths too; they win over the files.
        resume: folder of an earlier run to continue from its last finished epoch; ``overrides`` then takes
            only RESUME_OPTIONS.
        continue_from: folder of an earlier run. The new run has its configuration, with the files and
            overrides over it, reads the data of today and begins with its best weights; users and items that
            are new begin as the model has them.
        on_epoch: called with epoch and validation score after each validation.
        test: whether to evaluate the test part at the end; a search does not.
        command: the command line of this run, kept in the result.
        prepared: what ``create_dataset`` made for the same data options, instead of reading the files again;
            it is used up.
        data: a table of interactions instead of a data set: a pandas DataFrame, a pyarrow table, or the path
            of a CSV, TSV, JSON lines or Parquet file. A copy is kept in the run folder.
        share: this process's part of each batch (``model/batch_share.py``), where several train one run; only
            worker 0 evaluates and returns a result, the folders of the others are of no use.
        user: its column of users; without it and ``item`` the table has a form that ``convert`` knows.
        item: its column of items.
        rating: its column of ratings.
        time: its column of times: dates, texts of dates, or numbers.
        table: further arguments of a table, as of ``convert``: ``keep``, ``form``, ``separator``,
            ``encoding``, ``columns``, ``time_unit``, ``time_format``.

    Returns:
        The content of ``result.json``, and ``run_dir``.

    Raises:
        UsageError: the request cannot be run; nothing of it stays. RunError: the run failed.
        Interrupted: Ctrl-C, with the run folder.
    """
    overrides, config_files = plain_options(overrides), files_given(config_files)
    model, dataset = registry.name_of(plain(model)) if model else None, plain(dataset)
    named = {"user": user, "item": item, "rating": rating, "time": time}
    table |= {name: column for name, column in named.items() if column is not None}
    own = _own_data(data, table, resume, prepared)
    if own is not None:
        dataset, overrides = dataset or name_of(data), options_of(own, overrides, config_files)
    if resume is None:
        if continue_from is None:
            config = Config(model, dataset, config_files, overrides)
        else:
            config = continued(continue_from, model, dataset, config_files, overrides)
        folder = RunFolder.create(
            config.model_class.__name__, config["dataset"], config.general.runs_path, config.general.run_dir
        )
        if own is not None:
            overrides["data_path"] = _copied(own, config, folder)
    else:
        if continue_from is not None:
            raise UsageError("resume goes on with a run and continue_from begins a new one; give one of them")
        folder, config = resumed(resume, model, dataset, config_files, overrides)
    command = command or _command(model, dataset, config_files, overrides, resume, continue_from)
    try:
        with folder.locked(), ended_by_sigterm():
            facts = [] if own is None else own.facts
            resuming = resume is not None
            result = _in_folder(config, folder, resuming, on_epoch, test, prepared, command, facts, share)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(folder.path) from interrupt
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise RunError(_no_place(error, folder)) from error
    return {**result, "run_dir": str(folder.path)}


def _no_place(error: OSError, folder: RunFolder) -> str:
    """Return what to say of a file that the disk or the system does not let us write, or read."""
    place = Path(error.filename or folder.path)
    if error.errno not in RIGHTS or folder.path in (place.resolve(), *place.resolve().parents):
        return f"cannot write {place}: {error.strerror}. {folder.advice_for(error)}"
    # Of the data, or of a cache: whether it was read or written is not known.
    how = f"continue with --resume={folder.path}"
    return f"cannot read or write {place}: {error.strerror}. Give this user the right to do so, then {how}"


def _own_data(data: Any, table: Mapping[str, Any], resume: Any, prepared: Any) -> OwnData | None:
    """Return the given table, checked; None without one.

    Raises:
        UsageError: there is more than one source of data, an unknown argument, or the table cannot be read.
    """
    of_table = TableOptions.__dataclass_fields__
    for name in table:
        if data is None or name not in of_table:
            near = did_you_mean(name, ARGUMENTS if data is None else (*ARGUMENTS, *of_table))
            raise UsageError(
                f"run has no argument {name!r}{' without data' if name in of_table else near}; it has "
                f"{', '.join(ARGUMENTS)}, and with data {', '.join(of_table)}; options stand in overrides"
            )
    if data is None:
        return None
    for what, other in (("resume", resume), ("prepared", prepared)):
        if other is not None:
            raise UsageError(f"data is given with {what}, which has its own; leave one of them out")
    with told_if_slow("reading the table"):
        return own_data(data, **table)


def _copied(own: OwnData, config: Config, folder: RunFolder) -> str:
    """Write the table into the run folder; return the folder of its copy."""
    try:
        with told_if_slow("copying the table into the run folder"):
            put(own, config, folder.data)
    except BaseException:
        folder.discard()
        raise
    return str(folder.data)


def _in_folder(
    config: Config,
    folder: RunFolder,
    resuming: bool,
    on_epoch: Callable | None,
    test: bool,
    prepared: Any,
    command: str | None,
    facts: Iterable[str],
    share: Any,
) -> dict[str, Any]:
    """Train and evaluate in a folder that no other process uses; return the content of ``result.json``."""
    config["checkpoint_dir"] = str(folder.path)
    # A new run by several workers is a resume of a folder in which nothing has begun.
    begun = resuming and (folder.log.is_file() or folder.checkpoint.is_file())
    try:
        if resuming:
            folder.remove_drafts()
        else:
            folder.write_config(config.resolved)
        with logging_to(folder.log, config.general.state):
            for fact in facts:
                logger.info("data: %s", " ".join(fact.split()))
            ready = build(config, folder, prepared)
            if share is not None:
                ready.trainer.take_share(share)
            start_or_resume(ready, begun)
            if share is not None and share.rank:
                train(ready, None)
                return {}
            if test:
                keep_rows(ready)
            result = result_of(ready, on_epoch, test)
            result["command"] = command
            folder.write_result(result)
            if any("counts" in report for report in result["rated"].values()):
                page = command_line("report", str(folder.path), "--output=FILE.html")
                logger.info("figures of the predicted ratings: %s", page)
            return result
    except UsageError:
        if not resuming:
            folder.discard()
        raise


def _command(
    model: str | None,
    dataset: str | None,
    config_files: Iterable,
    overrides: Mapping[str, Any],
    resume: str | Path | None,
    continue_from: str | Path | None,
) -> str:
    """Return a command line for a run that was started from Python."""
    argv = [
        f"--{name}={value}"
        for name, value in (
            *(("model", model), ("dataset", dataset)),
            *(("resume", resume), ("continue_from", continue_from)),
        )
        if value
    ]
    files = " ".join(map(str, config_files))
    argv += [f"--config_files={files}"] if files else []
    argv += [f"--{name}={yaml_io.dump_value(value)}" for name, value in overrides.items()]
    return command_line(*argv)
