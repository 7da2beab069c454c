"""run(): configuration -> data -> model -> trainer -> result. One run is one folder.

Longer than most files, because it is a whole run, to be read from top to bottom.
"""

import errno
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.data.valid_shift import UNSHIFTED, choices, validations_of
from recbole_diffusion.errors import (
    Interrupted,
    RunError,
    UsageError,
    agreeing,
    command_line,
    counted,
    did_you_mean,
)
from recbole_diffusion.prepare.own.data import OwnData, own_data
from recbole_diffusion.prepare.own.in_run import options_of, put
from recbole_diffusion.prepare.own.roles import TableOptions, name_of
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.memory import peak_memory_mib
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.run_log import logging_to
from recbole_diffusion.storage.signals import ended_by_sigterm
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.storage.versions import versions

logger = logging.getLogger()  # the root logger, which writes to the run's log
# Errors of a disk that is full, or that does not let us write.
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
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
# Options that a resume may change: none of them changes what the run computes.
RESUME_OPTIONS = frozenset(
    {
        "epochs",
        "stopping_step",
        "show_progress",
        "use_gpu",
        "gpu_id",
        "data_path",
        "shift_test",
        "allow_overlap",
    }
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
        config_files: YAML files, later ones win.
        overrides: option values, of their real types; they win over the files.
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
    overrides, config_files = dict(overrides or {}), list(config_files)
    model = registry.name_of(model) if model else None
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
        raise RunError(
            f"cannot write {error.filename or folder.path}: {error.strerror}. {folder.advice_for(error)}"
        ) from error
    return {**result, "run_dir": str(folder.path)}


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
            ready = _build(config, folder, prepared)
            if share is not None:
                ready.trainer.take_share(share)
            _start_or_resume(ready, begun)
            if share is not None and share.rank:
                _train(ready, None)
                return {}
            if test:
                _keep_rows(ready)
            result = _result(ready, on_epoch, test)
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


def resumed(
    resume: str | Path, model: str | None, dataset: str | None, config_files: list, overrides: dict[str, Any]
) -> tuple[RunFolder, Config]:
    """Return the folder and the configuration of a run to go on with.

    Args:
        resume: its folder.
        model: the given model, which may only be the run's own, or None.
        dataset: the same of the data set.
        config_files: the given files; there must be none.
        overrides: the given options, of RESUME_OPTIONS.

    Raises:
        UsageError: there is no run, or something is given that a resume cannot change.
    """
    folder = RunFolder.existing(resume)
    stored = folder.read_config()
    other = sorted(set(overrides) - RESUME_OPTIONS)
    if other or config_files:
        raise UsageError(
            f"--resume continues with the configuration of {folder.path}; "
            f"{', '.join(other) or 'config_files'} cannot change "
            f"now. Allowed: {', '.join(sorted(RESUME_OPTIONS))}"
        )
    for name, given in (("model", model), ("dataset", dataset)):
        if given is not None and given != stored.get(name):
            raise UsageError(
                f"the run in {folder.path} has {name} {stored.get(name)!r}, not {given!r}; leave --{name} "
                "out with --resume"
            )
    config = Config(overrides={**stored, **overrides}, stored=True, earlier=True)
    return folder, config


def continued(
    origin: str | Path, model: str | None, dataset: str | None, config_files: list, overrides: dict[str, Any]
) -> Config:
    """Return the configuration of a new run that begins with the best weights of an earlier one."""
    from recbole_diffusion.options.recbole import REPLACED_WHOLE

    folder = RunFolder.existing(origin)
    stored = folder.read_config()
    if not folder.best.is_file():
        raise UsageError(
            f"the run in {folder.path} has no weights to continue from: best.pt is missing; train it with "
            f"--resume={folder.path}"
        )
    if model is not None and model != stored["model"]:
        raise UsageError(
            f"the run in {folder.path} has the model {stored['model']!r}, not {model!r}; leave --model out "
            "with --continue_from"
        )
    given: dict[str, Any] = {}
    for file in config_files:
        given = yaml_io.merged(given, yaml_io.load_yaml(file), REPLACED_WHOLE)
    given = yaml_io.merged(given, overrides, REPLACED_WHOLE)
    for name in ("load_checkpoint", "preset"):
        if given.get(name) is not None:
            raise UsageError(
                f"--continue_from takes weights and options of {folder.path}; leave --{name} out"
            )
    given |= {"load_checkpoint": str(folder.best), "trust_checkpoint": False}
    given |= {"dataset": dataset} if dataset else {}
    return Config(overrides=yaml_io.merged(stored, given, REPLACED_WHOLE), stored=True)


@dataclass
class _Prepared:
    """A run before its training: what :func:`_build` makes and the later steps use.

    Attributes:
        config: its configuration.
        folder: its folder.
        dataset: the whole data set.
        train: loader of the training part.
        valid: loader of the validation part, None where the split has none.
        tests: loaders of the test parts by name.
        trainer: the trainer, which holds the model.
        load_seconds: time of reading and splitting the data.
        build_seconds: time of making the model, in which EASE and its like are computed whole.
        seen: held-out rows that the run of ``load_checkpoint`` was trained on, by part, where that is known.
    """

    config: Config
    folder: RunFolder
    dataset: Any
    train: Any
    valid: Any
    tests: dict[str, Any]
    trainer: Any
    load_seconds: float
    build_seconds: float
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def held_out(self) -> dict[str, Any]:
        """The data sets of the validation and test parts by name."""
        loaders = validations_of(self.valid) | self.tests
        return {name: loader._dataset for name, loader in loaders.items()}

    @property
    def progress(self) -> bool:
        """Whether to show progress bars."""
        shown = self.config.general.show_progress
        return sys.stderr.isatty() if shown is None else shown


def _build(config: Config, folder: RunFolder, given: Any) -> _Prepared:
    """Load the data, and make model and trainer; ``given`` is a data set that was made before, or None."""
    from recbole_diffusion.compat import init_seed
    from recbole_diffusion.data.fingerprint import data_fingerprints, id_fingerprint
    from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, prepare_data, seed_of_split
    from recbole_diffusion.trainer.factory import trainer_for

    for note in config.notes:
        logger.warning(note)
    clock = time.perf_counter()
    init_seed(seed_of_split(config), config["reproducibility"])
    with told_if_slow(f"loading data set {config['dataset']}", logger.info):
        dataset = create_dataset(config) if given is None else adopt_dataset(config, given)
    logger.info("%s", dataset)
    with told_if_slow("splitting the data set", logger.info):
        train, valid, tests = prepare_data(config, dataset)
    load_seconds = time.perf_counter() - clock

    clock = time.perf_counter()
    init_seed(config.general.seed, config["reproducibility"])
    with told_if_slow(f"building {config.model_class.__name__}", logger.info):
        model = _made(config, train._dataset)
    build_seconds = time.perf_counter() - clock
    logger.info("%s", model)
    trainer = trainer_for(config, model, folder)
    prepared = _Prepared(config, folder, dataset, train, valid, tests, trainer, load_seconds, build_seconds)
    trainer.ids = id_fingerprint(dataset)
    trainer.data = data_fingerprints({"train": train._dataset} | prepared.held_out)
    model.observe_parts(prepared.held_out)
    return prepared


def _made(config: Config, dataset: Any) -> Any:
    """Return the model on its device.

    Raises:
        RunError: a matrix that a model inverts has no inverse.
        MemoryError: its arrays do not fit.
    """
    import numpy as np

    try:
        return config.model_class(config, dataset).to(config["device"])
    except np.linalg.LinAlgError as error:
        raise RunError(
            f"{config.model} inverts a matrix of the training data that has no inverse ({error}); a larger "
            "reg_weight gives it one"
        ) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise MemoryError(
            f"the arrays of {config.model} do not fit ({' '.join(str(error).split())[:160]})"
        ) from error


def _start_or_resume(prepared: _Prepared, resuming: bool) -> None:
    """Bring model and trainer to the start of training: last finished epoch, given weights, or neither."""
    config, folder, trainer = prepared.config, prepared.folder, prepared.trainer
    if resuming and folder.checkpoint.is_file():
        trainer.resume(prepared.train)
    else:
        if resuming:
            logger.warning("no epoch was finished in %s; starting from the beginning", folder.path)
            folder.write_metrics([])
            folder.best.unlink(missing_ok=True)
        if config.general.load_checkpoint:
            _load_weights(prepared, Path(config.general.load_checkpoint))
    folder.write_config(config.resolved)  # a resume has new epochs; train_batch_size auto has become a number
    # From here on, nothing in the request can be wrong.
    logger.info("run folder %s, device %s", folder.path, config["device"])
    if not resuming and (line := config.preset_line()):
        logger.info(line)


def _load_weights(prepared: _Prepared, path: Path) -> None:
    """Begin with the weights of a checkpoint: by token, if the rows that its run has kept have other ids."""
    from recbole_diffusion.data.kept_rows import read_rows
    from recbole_diffusion.trainer import checkpoint
    from recbole_diffusion.trainer.moved_weights import put_known_weights, refuse_other_options, seen_before

    config, trainer = prepared.config, prepared.trainer
    state = checkpoint.load(path, config["device"], trust=config.general.trust_checkpoint)
    file = RunFolder(path.parent).rows
    kept = read_rows(file) if file.is_file() else None
    moved = state.get("model") == config["model"] and state.get("ids", trainer.ids) != trainer.ids
    if kept is not None and moved and trainer.model.computed_when_made:
        logger.warning(
            "%s is computed anew from all of today's data: nothing is taken from %s", config["model"], path
        )
        return
    if trainer.model.computed_when_made and state.get("model", config["model"]) == config["model"]:
        if "model" in state and RunFolder(path.parent).config.is_file():
            refuse_other_options(config, RunFolder(path.parent).read_config(), path)
        else:
            logger.warning(
                "%s has no config.yaml of its run beside it: which options of %s it was computed with, and "
                "scores by, is unknown",
                *(path, config["model"]),
            )
    if kept is not None and moved:
        parts = config, prepared.train._dataset
        logger.info("%s", put_known_weights(trainer.model, state, path, kept, *parts))
    else:
        trainer.load_weights(state, path)
    if told := trainer.changed_data(state):
        logger.warning("%s was trained on other data: %s", path, told)
    prepared.seen = {} if kept is None else seen_before(kept, prepared.held_out)
    for part, rows in prepared.seen.items():
        if rows:
            logger.warning(
                "%d of the %s of %s %s among the training rows of %s: its metrics are not those of unseen "
                "items; a split by time (eval_args.order TO) leaves the newest rows to the test",
                *(rows, counted(len(prepared.held_out[part]), "row"), part, agreeing(rows, "are"), path),
            )


def _keep_rows(prepared: _Prepared) -> None:
    """Write the run's ids and rows into its folder."""
    from recbole_diffusion.data.kept_rows import can_keep, rows_of, write_rows

    folder = prepared.folder
    if prepared.config.general.keep_rows and can_keep(prepared.config, prepared.dataset):
        with told_if_slow("writing the rows of the data", logger.info):
            parts = {"train": prepared.train._dataset, **prepared.held_out}
            write_rows(folder.rows, rows_of(parts), folder.advice)


def _train(prepared: _Prepared, on_epoch: Callable | None) -> tuple[float | None, dict[str, float]]:
    """Train; return the best validation score and the metrics of that validation, None and {} without one."""
    trainer, progress = prepared.trainer, prepared.progress
    if prepared.valid is None:
        logger.warning("no validation part: every epoch is trained, and the last one is kept")
        trainer.fit(prepared.train, None, show_progress=progress, callback_fn=on_epoch)
        return None, {}
    score, valid = trainer.fit(prepared.train, prepared.valid, show_progress=progress, callback_fn=on_epoch)
    if valid is None:
        valid = trainer.evaluate(prepared.valid, show_progress=progress)
        score = valid[prepared.config.general.valid_metric.lower()]
    return float(score), {name: float(value) for name, value in valid.items()}


def _result(prepared: _Prepared, on_epoch: Callable | None, test: bool) -> dict[str, Any]:
    """Train and evaluate; return the content of ``result.json`` without the command."""
    from recbole_diffusion.evaluation.ranking import METRICS_VERSION
    from recbole_diffusion.trainer.tested_parts import evaluate_parts

    config, trainer = prepared.config, prepared.trainer
    overlap = prepared.dataset.overlap
    score, valid = _train(prepared, on_epoch)
    clock = time.perf_counter()
    tests = prepared.tests if test else {}
    found = evaluate_parts(trainer, prepared.train, tests, prepared.progress)
    test_seconds = time.perf_counter() - clock
    with told_if_slow("computing diagnostics", logger.info):
        diagnostics = trainer.model.final_diagnostics()
    beside = _beside(prepared) if valid else {}
    shown = ({"valid": valid} if valid else {}) | {UNSHIFTED: beside.get(UNSHIFTED)} | found.metrics
    for part, values in ((name, one) for name, one in shown.items() if one is not None):
        logger.info("%s: %s", part, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    epochs = [record["train_seconds"] for record in trainer.records]
    return {
        "model": config["model"],
        "dataset": config["dataset"],
        "selection": "last epoch" if prepared.valid is None else overlap["selection"],
        "seed": config.general.seed,
        "preset": config["preset"],
        **_origin(prepared),
        "metrics_version": METRICS_VERSION,
        "parameters": sum(one.numel() for one in trainer.model.parameters() if one.requires_grad),
        "train_batch_size": config.general.train_batch_size,
        "batches_per_epoch": len(prepared.train),
        "learning_rate": config.general.learning_rate,
        "best_epoch": trainer.chosen_epoch,
        "best_valid_score": score,
        "valid": valid,
        **beside,
        "test": next(iter(found.metrics.values()), None),
        **(found.metrics if len(found.metrics) > 1 else {}),
        "groups": found.groups,
        "rated": found.rated,
        "split": getattr(prepared.dataset, "split_summary", None),
        "diagnostics": diagnostics,
        "overlap": {name: found for name, found in overlap.items() if name != "selection"},
        "parts": {name: trainer.data[name] for name in ("train", *prepared.held_out) if name in trainer.data},
        "seconds": {
            "load": round(prepared.load_seconds, 3),
            "build": round(prepared.build_seconds, 3),
            "train": round(sum(epochs), 3),
            "valid": round(sum(record.get("valid_seconds", 0.0) for record in trainer.records), 3),
            "test": round(test_seconds, 3),
        },
        "epoch_seconds": epochs,
        "peak_rss_mb": round(peak_memory_mib(), 1),
        "versions": versions(),
    }


def _beside(prepared: _Prepared) -> dict[str, Any]:
    """Return what ``result.json`` says of the validation part that chooses nothing; nothing without one.

    Its metrics with the best weights, and what each of the two parts would have chosen.
    """
    trainer, config = prepared.trainer, prepared.config
    loader = validations_of(prepared.valid).get(UNSHIFTED)
    if loader is None:
        return {}
    chosen: dict[str, Any] = next((one for one in trainer.records if one["epoch"] == trainer.best_epoch), {})
    values = chosen.get(UNSHIFTED) or trainer.evaluate(loader, show_progress=prepared.progress)
    metric, bigger = config.general.valid_metric.lower(), bool(config["valid_metric_bigger"])
    found = choices(trainer.records, metric, bigger)
    for part, choice in found.items():
        scores = ", ".join(f"{name} {choice[name]:.4f}" for name in ("valid", UNSHIFTED))
        logger.info("%s would choose epoch %d: %s of %s", part, choice["epoch"], metric, scores)
    return {UNSHIFTED: {name: float(value) for name, value in values.items()}, "valid_choices": found}


def _origin(prepared: _Prepared) -> dict[str, Any]:
    """Return what ``result.json`` says of the weights that a run began with; nothing if it began anew."""
    path = prepared.config.general.load_checkpoint
    return {"origin": {"checkpoint": path, "seen_rows": prepared.seen}} if path else {}


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
