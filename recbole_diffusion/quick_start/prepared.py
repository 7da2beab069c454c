"""A run before its training: data, model, trainer, and the weights that it begins with."""

import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.config import Config
from recbole_diffusion.data.valid_shift import validations_of
from recbole_diffusion.errors import RunError, agreeing, counted
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.slow_step import told_if_slow

logger = logging.getLogger()  # the root logger, which writes to the run's log


@dataclass
class Prepared:
    """A run before its training: what :func:`build` makes and the later steps use.

    Attributes:
        config: its configuration.
        folder: its folder.
        dataset: the whole data set.
        train: loader of the training part.
        valid: loader of the validation part, None where the split has none.
        tests: loaders of the test parts by name.
        trainer: the trainer, which holds the model.
        load_seconds: time of reading and splitting the data.
        build_seconds: time of making the model, in which EASE and its like are computed whole; with that of
            what an earlier run of this process has computed for it.
        earlier: pairs that the weights of ``load_checkpoint`` were trained on, by column; None: not known.
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
    earlier: dict[str, Any] | None = None

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


def build(config: Config, folder: RunFolder, given: Any) -> Prepared:
    """Load the data, and make model and trainer; ``given`` is a data set that was made before, or None."""
    from recbole_diffusion.compat import init_seed
    from recbole_diffusion.data.fingerprint import data_fingerprints, id_fingerprint
    from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, prepare_data, seed_of_split
    from recbole_diffusion.model.ease_scores import spared_seconds
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

    clock = time.perf_counter() + spared_seconds()
    init_seed(config.general.seed, config["reproducibility"])
    with told_if_slow(f"building {config.model_class.__name__}", logger.info):
        model = _made(config, train._dataset)
    build_seconds = time.perf_counter() + spared_seconds() - clock
    logger.info("%s", model)
    trainer = trainer_for(config, model, folder)
    prepared = Prepared(config, folder, dataset, train, valid, tests, trainer, load_seconds, build_seconds)
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


def start_or_resume(prepared: Prepared, resuming: bool) -> None:
    """Bring model and trainer to the start of training: last finished epoch, given weights, or neither."""
    config, folder, trainer = prepared.config, prepared.folder, prepared.trainer
    begins = not (resuming and folder.checkpoint.is_file())
    if not begins:
        trainer.resume(prepared.train)
        if config.general.load_checkpoint and folder.rows.is_file():
            prepared.earlier = _kept_earlier(folder)
    else:
        if resuming:  # also a new run by several workers: the command has made its folder
            logger.info("no epoch was finished in %s; starting from the beginning", folder.path)
            folder.write_metrics([])
            folder.best.unlink(missing_ok=True)
        if config.general.load_checkpoint:
            _load_weights(prepared, Path(config.general.load_checkpoint))
    folder.write_config(config.resolved)  # a resume has new epochs; train_batch_size auto has become a number
    # From here on, nothing in the request can be wrong.
    logger.info("run folder %s, device %s", folder.path, config["device"])
    if begins and (line := config.preset_line()):
        logger.info(line)


def _load_weights(prepared: Prepared, path: Path) -> None:
    """Begin with the weights of a checkpoint: by token, if the rows that its run has kept have other ids."""
    from recbole_diffusion.data.kept_rows import EARLIER, read_rows
    from recbole_diffusion.trainer import checkpoint
    from recbole_diffusion.trainer.moved_weights import put_known_weights, refuse_other_options
    from recbole_diffusion.trainer.rows_before import learned_before, seen_rows

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
        if kept is None:
            _tell_what_may_be_seen(prepared, state.get("data") or {}, path)
    if kept is None:
        return
    prepared.earlier = learned_before(kept, prepared.train._dataset)
    for part, rows in seen_rows(prepared.earlier, prepared.held_out).items():
        if rows:
            logger.warning(
                "%d of the %s of %s %s among the training rows of %s, or of weights that it began with: its "
                "metrics are not those of unseen items; a split by time (eval_args.order TO) leaves the "
                "newest rows to the test",
                *(rows, counted(len(prepared.held_out[part]), "row"), part, agreeing(rows, "are"), path),
            )
    origin = RunFolder(path.parent)
    if EARLIER not in kept.parts and origin.config.is_file() and origin.read_config().get("load_checkpoint"):
        logger.warning(
            "the run of %s began with weights of another one and has not kept what these were trained on: "
            "held-out rows of today may be among it",
            path,
        )


def _kept_earlier(folder: RunFolder) -> dict[str, Any] | None:
    """Return the pairs that the weights were trained on with which a run to be resumed began."""
    from recbole_diffusion.data.kept_rows import EARLIER, read_rows

    return read_rows(folder.rows).parts.get(EARLIER)


def _tell_what_may_be_seen(prepared: Prepared, earlier: Mapping[str, Any], path: Path) -> None:
    """Warn where the run of a checkpoint, which has kept no rows, had other parts than today's.

    Args:
        prepared: the run that begins.
        earlier: fingerprints of the data that the checkpoint was trained on, by part.
        path: the checkpoint.
    """
    parts = [
        name for name in ("train", *prepared.held_out) if name in earlier and name in prepared.trainer.data
    ]
    if all(earlier[name]["fingerprint"] == prepared.trainer.data[name]["fingerprint"] for name in parts):
        return
    divided = getattr(prepared.dataset, "source", None) is not None
    logger.warning(
        "the run of %s has kept no rows, so that %s of today may be among what it was trained on: metrics "
        "are then not those of unseen ones; give the seed of that run, or train without its weights",
        *(path, "the cold users" if divided else "held-out rows"),
    )


def keep_rows(prepared: Prepared) -> None:
    """Write the run's ids and rows into its folder."""
    from recbole_diffusion.data.kept_rows import can_keep, rows_of, write_rows

    folder = prepared.folder
    if prepared.config.general.keep_rows and can_keep(prepared.config, prepared.dataset):
        with told_if_slow("writing the rows of the data", logger.info):
            parts = {"train": prepared.train._dataset, **prepared.held_out}
            write_rows(folder.rows, rows_of(parts, prepared.earlier), folder.advice)
