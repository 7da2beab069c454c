"""RecBole's own code, with this package's models in it and on a current stack.

::

    import recbole_diffusion

    recbole_diffusion.enable()  # once, before the first Config is made

    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    config = Config(model="TVDiff", dataset="ml-100k", config_dict={"epochs": 5})
    ...  # as for a model of RecBole; recbole.quick_start.run_recbole works too

A configuration of a model of ours, or of one from outside (``package.module:Class``), is a checked ``Config``
with the model's defaults; its data set, loaders and trainer are those of ``run``, so that the numbers are
equal to the run's. Its trainer writes a run folder, below ``checkpoint_dir`` if that is given, else below
``runs_path``; ``load_data_and_model`` takes that folder or its ``best.pt``.

A model of RecBole keeps RecBole's configuration, data set and trainer, made to work: the names that numpy and
scipy have removed, checkpoints that torch refuses to read since 2.6, and ``tune.report`` of a current Ray.

Longer than most files: each of RecBole's functions that is replaced, beside what stands for it.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.compat import RecBoleConfig, Trainer, recbole_modules, recbole_trainer
from recbole_diffusion.config import Config
from recbole_diffusion.data import preparation
from recbole_diffusion.data.valid_shift import validations_of
from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.factory import trainer_class

__all__ = ["enable"]
logger = logging.getLogger(__name__)
_enabled: dict[str, Callable[..., Any]] = {}  # RecBole's functions that are replaced, by name


def enable(trust_checkpoints: bool = False) -> None:
    """Make RecBole's functions and classes know this package's models, wherever they are imported.

    Args:
        trust_checkpoints: let ``load_data_and_model`` and ``resume_checkpoint`` read RecBole's checkpoints
            of other processes, although reading one can run code. Those of this process are read anyway.
    """
    _Torch.trusts_all = trust_checkpoints
    if _enabled:
        return
    modules = recbole_modules()
    replacements = {
        "get_model": _get_model,
        "get_trainer": _get_trainer,
        "create_dataset": _create_dataset,
        "data_preparation": _data_preparation,
        "load_data_and_model": _load_data_and_model,
    }
    _enabled.update({name: modules[name] for name in replacements})
    for place, module in list(sys.modules.items()):
        if place.partition(".")[0] == "recbole_diffusion":
            continue
        held = getattr(module, "__dict__", {})  # sys.modules may hold None, or objects without names
        for name, replacement in replacements.items():
            if held.get(name) is _enabled[name]:
                setattr(module, name, replacement)
    RecBoleConfig.__new__ = staticmethod(_new_config)
    Trainer.__new__ = staticmethod(_new_trainer)
    recbole_trainer.torch = _Torch(recbole_trainer.torch)


def is_ours(model: Any) -> bool:
    """Return whether a model, by name or class, is this package's or from outside, and not RecBole's."""
    name = model.__name__ if isinstance(model, type) else model
    if isinstance(model, type) and model.__module__.partition(".")[0] == "recbole":
        return False
    return isinstance(name, str) and (isinstance(model, type) or name in registry.MODELS or ":" in name)


# Configuration.


class ConfigInRecBole(Config):
    """``Config`` with the arguments of RecBole's, which also reads ``--option=value`` of the command line.

    Args:
        model: name or class.
        dataset: name.
        config_file_list: YAML files, later ones win.
        config_dict: option values, over the files. The command line wins over them; what is no option of the
            model there is left to the script, with a warning.
    """

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: Iterable[str | Path] | None = None,
        config_dict: Mapping[str, Any] | None = None,
    ) -> None:
        self.from_command_line = _command_line()
        given = {**(config_dict or {}), **self.from_command_line}
        self.checkpoints = given.get("checkpoint_dir")
        super().__init__(model, dataset, config_file_list or (), given)
        for note in self.notes:
            logger.warning(note)

    def known_options(self, model_class: type[Any]) -> set[str]:
        """Return the options that a model reads; those of the command line that it does not are dropped."""
        known = super().known_options(model_class)
        for name in self.from_command_line.keys() - known - {"model", "dataset"}:
            self.external_config_dict.pop(name, None)
            self.given.pop(name, None)
            if name != "checkpoint_dir":
                logger.warning("command line: --%s is no option of %s, it is not read", name, self.model)
        return known


def _command_line() -> dict[str, Any]:
    """Return ``--name=value`` of the script's command line, as RecBole reads them, but without ``eval``."""
    pairs = [one.removeprefix("--").split("=") for one in sys.argv[1:] if one.startswith("--")]
    return {pair[0]: yaml_io.parse_value(pair[1]) for pair in pairs if len(pair) == 2}


def _new_config(cls: type, *arguments: Any, **options: Any) -> Any:
    """Stand for ``Config.__new__``: a model of ours gets our class, whichever name the script has for it."""
    ours = cls is RecBoleConfig and is_ours(_asked_model(*arguments, **options))
    return object.__new__(ConfigInRecBole if ours else cls)


def _asked_model(
    model: Any = None,
    dataset: Any = None,  # noqa: ARG001
    config_file_list: Iterable[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
) -> Any:
    """Return the model that the arguments of a Config name; RecBole prefers them in this order."""
    if model is None:
        model = _command_line().get("model", (config_dict or {}).get("model"))
    for file in reversed(list(config_file_list or ()) if model is None else []):
        model = model or yaml_io.load_yaml(file).get("model")
    return model


# Data.


def _create_dataset(config: Any) -> Any:
    """Stand for ``recbole.data.create_dataset``."""
    if not isinstance(config, ConfigInRecBole):
        return _enabled["create_dataset"](config)
    from recbole_diffusion.compat import init_seed

    init_seed(preparation.seed_of_split(config), config["reproducibility"])
    return preparation.create_dataset(config)


def _data_preparation(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """Stand for ``recbole.data.data_preparation``: of two test parts it gives the first, as ``run`` does."""
    if not isinstance(config, ConfigInRecBole):
        return _enabled["data_preparation"](config, dataset)
    train, valid, tests = preparation.prepare_data(config, dataset)
    if len(tests) > 1:
        logger.warning("test parts %s: RecBole's code takes one, %s", ", ".join(tests), next(iter(tests)))
    return train, valid, next(iter(tests.values()), None)


# Model and trainer.


def _get_model(model_name: str) -> type[Any]:
    """Stand for ``recbole.utils.get_model``."""
    return registry.model_class(model_name) if is_ours(model_name) else _enabled["get_model"](model_name)


def _get_trainer(model_type: Any, model_name: str) -> type[Any]:
    """Stand for ``recbole.utils.get_trainer``."""
    if not is_ours(model_name):
        return _enabled["get_trainer"](model_type, model_name)
    return _in_recbole(trainer_class(model_type, model_name, registry.model_class(model_name)))


def _new_trainer(cls: type, config: Any = None, *_arguments: Any, **_options: Any) -> Any:
    """Stand for ``Trainer.__new__``: ``Trainer(config, model)`` gives a model of ours its own trainer."""
    if cls is Trainer and isinstance(config, ConfigInRecBole):
        cls = _get_trainer(config["MODEL_TYPE"], config["model"])
    return object.__new__(cls)


def _in_recbole(cls: type[Any]) -> type[Any]:
    """Return a trainer of runs that is made as RecBole's are, from a configuration and a model."""

    class TrainerInRecBole(cls):
        """A trainer of ours, called as RecBole's are; it makes its own run folder."""

        def __init__(self, config: Any, model: Any) -> None:
            place = config.checkpoints or config.general.runs_path
            folder = RunFolder.create(
                config.model_class.__name__, config["dataset"], place, config.general.run_dir
            )
            config["checkpoint_dir"] = str(folder.path)
            folder.write_config(config.resolved)
            super().__init__(config, model, folder)
            logger.info("run folder %s", folder.path)

        def fit(self, train_data: Any, valid_data: Any = None, *arguments: Any, **options: Any) -> Any:
            from recbole_diffusion.data.fingerprint import data_fingerprints, id_fingerprint

            train = train_data._dataset
            held_out = {name: loader._dataset for name, loader in validations_of(valid_data).items()}
            self.ids, self.data = id_fingerprint(train), data_fingerprints({"train": train} | held_out)
            self.model.observe_parts(held_out)
            with self.folder.locked():
                return super().fit(train_data, valid_data, *arguments, **options)

        def resume_checkpoint(self, resume_file: Any) -> None:
            """Refuse: a run goes on in its folder.

            Raises:
                UsageError: always.
            """
            raise UsageError(
                f"{resume_file}: a run of {self.config['model']} goes on in its own folder; call "
                "recbole_diffusion.run(resume=FOLDER)"
            )

    TrainerInRecBole.__name__ = TrainerInRecBole.__qualname__ = cls.__name__
    return TrainerInRecBole


# Checkpoints.


class _Torch:
    """The name ``torch`` in RecBole's trainer: ``load`` reads what RecBole's ``save`` has written.

    RecBole 1.2.1 keeps its configuration in a checkpoint and writes it with pickle's protocol 4, of which
    torch's reader of weights knows nothing, so that no list of allowed classes helps.
    """

    trusts_all = False

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.written: set[Path] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def save(self, state: Any, file: Any, **options: Any) -> None:
        """Write as torch does, and remember the file."""
        self._torch.save(state, file, **options)
        self.written.add(Path(file).resolve())

    def load(self, file: Any, map_location: Any = None) -> dict[str, Any]:
        """Read a checkpoint that this process has written, or any if checkpoints are trusted."""
        path = Path(file).resolve()
        return _load(path, map_location, self.trusts_all or path in self.written)


def _load(path: Path, device: Any, trusted: bool) -> dict[str, Any]:
    if not trusted and path.is_file():
        raise UsageError(
            f"{path} is a checkpoint of RecBole of another process, and reading it can run code. If you know "
            "where it comes from: recbole_diffusion.enable(trust_checkpoints=True)"
        )
    return checkpoint.load(path, device, trust=True)


def _load_data_and_model(model_file: str | Path) -> tuple[Any, ...]:
    """Stand for ``recbole.quick_start.load_data_and_model``; takes a run folder, or a file in it, too.

    Returns:
        Configuration, model, data set, and the loaders of train, valid and test.
    """
    path = Path(model_file).resolve()
    folder = path if path.is_dir() else path.parent
    if (folder / "config.yaml").is_file():
        from recbole_diffusion.serving.loaded_run import load_run

        run = load_run(folder, unfinished=True)
        train, valid, tests = run.loaders
        return run.config, run.model, run.dataset, train, valid, next(iter(tests.values()), None)
    from recbole_diffusion.compat import init_seed

    state = _load(path, None, _Torch.trusts_all or path in recbole_trainer.torch.written)
    config = state["config"]
    init_seed(config["seed"], config["reproducibility"])
    dataset = _create_dataset(config)
    train, valid, test = _data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = _get_model(config["model"])(config, train._dataset).to(config["device"])
    model.load_state_dict(state["state_dict"])
    model.load_other_parameter(state.get("other_parameter"))
    return config, model, dataset, train, valid, test
