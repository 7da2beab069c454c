"""A trained model from its run folder: configuration, data, weights, and the original ids.

Longer than most files: all that a loaded run can do, in one class.
"""

import functools
import html
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.data.kept_rows import read_rows
from recbole_diffusion.errors import UsageError
from recbole_diffusion.serving import evaluated
from recbole_diffusion.serving.changed_data import ChangedData
from recbole_diffusion.serving.grown import histories_of_new_users
from recbole_diffusion.serving.id_map import IdMap
from recbole_diffusion.serving.recommend import table_of_known, table_of_new
from recbole_diffusion.serving.vectors import vectors_of
from recbole_diffusion.storage.result_form import ordered_by_rounded_times
from recbole_diffusion.storage.run_folder import RunFolder

logger = logging.getLogger(__name__)
# Options that may differ between a run and its later use, on another machine.
LOAD_OPTIONS = frozenset({"data_path", "shift_test", "use_gpu", "gpu_id"})
# Options of an evaluation: none of them changes the model or the parts.
EVALUATION_OPTIONS = frozenset({"metrics", "topk", "valid_metric", "report_groups", "eval_batch_size"})


@dataclass(frozen=True, repr=False)
class LoadedRun:
    """A trained run, ready for use.

    Attributes:
        folder: its files.
        config: its configuration, on the device of this machine.
        dataset: the whole data set.
        parts: train, valid and the test parts by name (``test``, or the names of two), each a RecBole data
            set.
        model: the model with the best weights, in evaluation mode.
        changed: what is new in the data since the training.
        today: parts of today's data by name, without new users and items. They are ``parts`` unless the data
            has changed and the run has kept its rows: then ``parts`` are those of the training.
        users: original and internal ids of users.
        items: original and internal ids of items.
    """

    folder: RunFolder
    config: Config
    dataset: Any
    parts: dict[str, Any]
    model: Any
    changed: ChangedData
    today: dict[str, Any]
    users: IdMap
    items: IdMap

    def __repr__(self) -> str:
        """Return the run in one line."""
        return (
            f"LoadedRun({self.config['model']} on {self.config['dataset']}: {len(self.users):,} users, "
            f"{len(self.items):,} items, {self.folder.path})"
        )

    def _repr_html_(self) -> str:
        """Return the run as a small table, for notebooks."""
        facts = {
            "model": self.config["model"],
            "data set": self.config["dataset"],
            "users": f"{len(self.users):,}",
            "items": f"{len(self.items):,}",
            "seed": self.config.general.seed,
            "folder": self.folder.path,
        }
        if self.folder.result.is_file():
            by = self.config.general.valid_metric
            facts["best epoch"] = self.result["best_epoch"]
            facts[f"{by}, validation"] = self.result["best_valid_score"]
        rows = (
            f"<tr><th>{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items()
        )
        return f"<table>{''.join(rows)}</table>"

    def recommend(
        self, users: Iterable[Any] | str | None = None, k: int = 20, exclude: str = "all"
    ) -> pd.DataFrame:
        """Return the best items of users that the model was trained on.

        Args:
            users: original ids, one of them, or None for all.
            k: length of a list, at most the number of items.
            exclude: items left out of a user's list: ``all`` that the user has in the data set, the
                ``history`` in train and valid (the lists that the run's own test evaluated), or ``none``.

        Returns:
            Columns user, item (original ids), rank (from 1) and score, a row for each place; a list is
            shorter if fewer items are left. ``attrs["unknown"]`` has the users that are not in the data set.

        Raises:
            UsageError: ``k`` or ``exclude`` is out of range, no user is known, or ``exclude`` is history and
                the data has changed since the training of a run that has not kept its rows.
            RunError: a score is not finite, or the model needs data that has changed.
        """
        return table_of_known(self, users, k, exclude)

    def recommend_new(
        self, histories: Mapping[str, Iterable[Any]] | pd.DataFrame, k: int = 20, exclude: str = "all"
    ) -> pd.DataFrame:
        """Return the best items of users that the model was not trained on, folded in by their histories.

        Args:
            histories: original ids of items by user, a mapping of items to ratings by user for a model that
                reads ratings, or a table with columns user, item and rating. For a model of cold users these
                are items of its source domain.
            k: length of a list.
            exclude: ``none`` keeps the items of a user's history in the list.

        Returns:
            As :meth:`recommend`; ``attrs["unknown"]`` has the users without any item in the data set.

        Raises:
            UsageError: the model only knows its training users, or no item is known.
            RunError: a score is not finite, or the model needs data that has changed.
        """
        return table_of_new(self, histories, k, exclude)

    def new_users(self) -> pd.DataFrame:
        """Return the histories of users who are new in today's data, for :meth:`recommend_new`.

        Returns:
            Columns user, item and, for a model that reads ratings, rating; items that the run knows.

        Raises:
            UsageError: the model only knows its training users, or the run has not kept its ids.
        """
        return histories_of_new_users(self)

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return vectors of users [users, d] and items [items, d], float32; inner products are the scores.

        Row r belongs to ``users.tokens[r + 1]`` or ``items.tokens[r + 1]``.

        Raises:
            UsageError: the model's scores are not inner products.
            RunError: the model needs data that has changed since the training.
        """
        return vectors_of(self)

    def evaluate(self, parts: Iterable[str] | str | None = None) -> dict[str, dict[str, float]]:
        """Return the metrics of parts, evaluated anew with the ``metrics`` and ``topk`` of the loading.

        Args:
            parts: names of ``valid`` and of test parts, one of them, or None for the test parts.

        Raises:
            UsageError: there is no such part, or the data has changed since the training.
            RunError: scores that cannot be ranked.
        """
        return evaluated.evaluate(self, _names(parts)).metrics

    def rated_reports(self, parts: Iterable[str] | str | None = None) -> dict[str, Any]:
        """Return the reports on the ratings of parts, as ``rated`` of ``result.json`` has them.

        Args:
            parts: see :meth:`evaluate`.

        Raises:
            UsageError: see :meth:`evaluate`.
            RunError: see :meth:`evaluate`.
        """
        return evaluated.evaluate(self, _names(parts)).rated

    @functools.cached_property
    def fold_in_items(self) -> IdMap:
        """Return the ids of the items that histories are made of: the run's, or its source domain's."""
        if self.model.fold_in_domain is None:
            return self.items
        source = self.dataset.source
        return IdMap(source.field2id_token[source.iid_field])

    @functools.cached_property
    def fold_in_config(self) -> Any:
        """Return the configuration that names the columns of histories: the run's, or its source domain's."""
        return self.config if self.model.fold_in_domain is None else self.dataset.source.config

    @functools.cached_property
    def loaders(self) -> tuple[Any, Any, dict[str, Any]]:
        """Return the loaders of train, of valid, and of each test part by name."""
        from recbole_diffusion.data.preparation import loaders_of

        return loaders_of(self.config, self.dataset, self.parts)

    @functools.cached_property
    def result(self) -> dict[str, Any]:
        """Return the content of ``result.json``.

        Raises:
            UsageError: the run has not ended.
            RunError: the file is damaged.
        """
        return self.folder.read_result()


def _names(parts: Iterable[str] | str | None) -> list[str] | None:
    """Return names of parts as a list, one alone too; None for the test parts."""
    return [parts] if isinstance(parts, str) else None if parts is None else list(parts)


def load_run(
    folder: str | Path, *, model: str | type | None = None, unfinished: bool = False, **options: Any
) -> LoadedRun:
    """Load a trained model with its data set; the random state of the process is left as it was.

    If the data has changed since the training, a warning says what is new, and what needs the old rows is
    refused where it is asked for.

    Args:
        folder: folder of a run that has ended.
        model: name or class of the run's model. Only a model from outside needs it, and only in a process
            that has not named it before: the run folder alone does not make this process import its module.
        unfinished: also accept a run that has not ended, with its best weights so far.
        options: what differs on this machine (``data_path``, ``shift_test``, ``use_gpu``, ``gpu_id``) or in
            an evaluation (``metrics``, ``topk``, ``report_groups``, ``eval_batch_size``).

    Raises:
        UsageError: there is no run, it has not ended, it has another model, or its data set is not there.
        RunError: the weights are damaged, or the data set is not the one that they were trained on.
    """
    from recbole_diffusion.trainer import checkpoint

    run = RunFolder.existing(folder)
    if not unfinished:
        run.read_result()
    if not run.best.is_file():
        raise UsageError(
            f"the run in {run.path} has no weights: best.pt is missing; train it with --resume={run.path}"
        )
    allowed = LOAD_OPTIONS | EVALUATION_OPTIONS
    if wrong := sorted(set(options) - allowed):
        raise UsageError(
            f"a trained run cannot change {', '.join(wrong)}; allowed: {', '.join(sorted(allowed))}"
        )
    stored = run.read_config()
    if model is not None and registry.name_of(model) != stored["model"]:
        raise UsageError(
            f"the run in {run.path} has the model {stored['model']!r}, not {model!r}; leave model out"
        )
    overrides = {**stored, **evaluated.evaluation_options(stored, options)}
    config = Config(overrides=overrides, stored=True, earlier=True)
    config.metrics_asked = "metrics" in options
    kept = read_rows(run.rows) if run.rows.is_file() else None
    if kept is not None:
        config.known_ids = {field: kept.tokens[field] for field in (kept.user_field, kept.item_field)}
    dataset, today = _data_of(config)
    state = checkpoint.load(run.best, config["device"])
    before, parts = state.get("data"), today
    if before is None:
        before = run.read_result().get("parts") if run.result.is_file() else None
    if kept is not None and before and _rows_differ(before, today):
        parts = kept.in_place_of(today)
    model = _model_of(config, parts["train"], state, run.best)
    told = _differences(run, before, today)  # the model has asked for neighbours of items, which count too
    new = getattr(dataset, "new_ids", None)
    changed = _changed_data(run, config, parts["train"], state, told, kept is not None, new)
    if run.result.is_file() and ordered_by_rounded_times(stored, run.read_result()):
        logger.warning(
            "the run in %s is of an earlier version, which ordered a user's items for time-aware by times "
            "128 seconds apart; they have the order of the data now, so that scores may differ a little "
            "from those of result.json",
            run.path,
        )
    maps = (IdMap(dataset.field2id_token[field]) for field in (dataset.uid_field, dataset.iid_field))
    return LoadedRun(run, config, dataset, parts, model, changed, today, *maps)


def _data_of(config: Config) -> tuple[Any, dict[str, Any]]:
    """Return data set and parts, by the same draws as the run's own."""
    from recbole_diffusion.compat import ModelType, init_seed
    from recbole_diffusion.data.preparation import create_dataset, parts_of, seed_of_split
    from recbole_diffusion.trainer import checkpoint

    if config["MODEL_TYPE"] not in (ModelType.GENERAL, ModelType.TRADITIONAL):
        raise UsageError(
            f"{config['model']} is not a general recommender; only those can be used after training"
        )
    random_state = checkpoint.random_state()
    try:
        init_seed(seed_of_split(config), config["reproducibility"])
        dataset = create_dataset(config)
        return dataset, parts_of(config, dataset)
    finally:
        checkpoint.restore_random_state(random_state)


def _model_of(config: Config, train: Any, state: dict[str, Any], origin: Path) -> Any:
    """Return the model with the weights of a checkpoint on its device, in evaluation mode."""
    from recbole_diffusion.compat import init_seed
    from recbole_diffusion.data.fingerprint import id_fingerprint
    from recbole_diffusion.trainer import checkpoint

    random_state = checkpoint.random_state()
    try:
        init_seed(config.general.seed, config["reproducibility"])
        model = config.model_class(config, train).to(config["device"])
    finally:
        checkpoint.restore_random_state(random_state)
    checkpoint.put_weights(model, dict(state), origin, config["model"], id_fingerprint(train))
    return model.eval()


def _rows_differ(before: Mapping[str, Any], parts: Mapping[str, Any]) -> bool:
    """Return whether parts have other rows than they had, or other values in them."""
    from recbole_diffusion.data.fingerprint import differences, part_fingerprints

    now = part_fingerprints({name: part for name, part in parts.items() if len(part)})
    return bool(differences(before, now).keys() & parts.keys())


def _differences(
    run: RunFolder, before: Mapping[str, Any] | None, parts: Mapping[str, Any]
) -> dict[str, str]:
    """Return what is new in the data since the checkpoint was made, as text by part."""
    from recbole_diffusion.data.fingerprint import data_fingerprints, differences

    now = data_fingerprints({name: part for name, part in parts.items() if len(part)})
    if now and not before:
        logger.warning(
            "the run in %s is older than fingerprints of data: whether its data has changed is not known",
            run.path,
        )
    return differences(before, now) if before else {}


def _changed_data(
    run: RunFolder,
    config: Config,
    train: Any,
    state: Any,
    told: dict[str, str],
    kept: bool,
    new: Any,
) -> ChangedData:
    """Return what is new in the data since the checkpoint was made, and warn of it."""

    def without_rows() -> Any:
        half = train.copy(train.inter_feat[list(range(0, len(train), 2))])
        return _model_of(config, half, state, run.best)

    divided = getattr(train, "source", None) is not None
    changed = ChangedData(run.path, told, divided, without_rows, kept, new)
    if changed.news and kept:
        logger.warning(
            "the data of the run in %s, or its split, has changed since the training: %s. The %s of the "
            "training; exclude=all leaves out what users have today",
            *(run.path, changed.news),
            "weights and the parts are those" if changed.beside else "model and its parts are those",
        )
    elif changed.news:
        logger.warning(
            "the data of the run in %s, or its split, has changed since the training: %s. The parts, and "
            "what is left out of lists, are of today's data",
            *(run.path, changed.news),
        )
    return changed
