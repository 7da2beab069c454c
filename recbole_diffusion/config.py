"""Config: RecBole's configuration with our YAML on top, typed, strict, and without evaluating anything.

Layers, later wins: RecBole's defaults, ``properties/overall.yaml``, the model's YAML, the data set's YAML,
the YAML of the protocol that the model declares, the preset, the user's files, the overrides.
"""

import contextlib
import copy
import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from recbole_diffusion.compat import apply_all

apply_all()

import recbole.config.configurator as recbole_configurator  # noqa: E402

from recbole_diffusion import registry  # noqa: E402
from recbole_diffusion.errors import UsageError, did_you_mean  # noqa: E402
from recbole_diffusion.options import recbole as recbole_options  # noqa: E402
from recbole_diffusion.options.declare import read_options, type_text  # noqa: E402
from recbole_diffusion.options.general import GeneralOptions  # noqa: E402
from recbole_diffusion.options.rating import RatingOptions  # noqa: E402
from recbole_diffusion.options.renamed import renamed_text  # noqa: E402
from recbole_diffusion.options.split import SplitOptions  # noqa: E402
from recbole_diffusion.storage import yaml_io  # noqa: E402
from recbole_diffusion.storage.preset import read_preset, told  # noqa: E402
from recbole_diffusion.storage.properties import properties_path  # noqa: E402

# Replaced as a whole by a higher layer: a merged split would hold two splitting rules.
REPLACED_WHOLE = frozenset({"split", "threshold", "train_neg_sample_args"})
# RecBole's options that a run folder makes meaningless, or that follow from others, with what to use instead.
REFUSED = {
    "device": "use --use_gpu and --gpu_id",
    "MODEL_TYPE": "it follows from the model",
    "MODEL_INPUT_TYPE": "it follows from the model",
    "eval_type": "it follows from the metrics",
    "checkpoint_dir": "a run writes one folder; name it with --run_dir",
    "save_dataset": "RecBole's saved data sets are pickles that go stale; loading is fast, leave it out",
    "dataset_save_path": "RecBole's saved data sets are pickles that go stale; loading is fast, leave it out",
    "save_dataloaders": "RecBole's saved loaders are pickles that go stale; loading is fast, leave it out",
    "dataloaders_save_path": "RecBole's saved loaders are pickles that go stale; loading is fast, leave it "
    "out",
}
NAMES = frozenset({"model", "dataset"})
# Read by RecBole's data set, but in none of its YAML files and lists.
UNLISTED = frozenset({"encoding"})


def defaults_file(model: str, model_class: type) -> Path:
    """Return the YAML file of a model's defaults: in our properties, or beside a module from outside."""
    if registry.is_outside(model):
        return registry.file_beside(model_class, ".yaml")
    return properties_path() / "model" / f"{model}.yaml"


class Config(recbole_configurator.Config):
    """RecBole's Config with checked options.

    Args:
        model: name of a model of ours or of RecBole, ``package.module:Class``, or a class. By None it is the
            one of the files or overrides, which must not be from outside, unless it was named before; see
            ``registry``.
        dataset: name of a data set.
        config_files: YAML files, later ones win.
        overrides: option values, of their real types; they win over everything.
        stored: the overrides are the whole configuration of an earlier run; no preset is laid under them.

    Raises:
        UsageError: an unknown option, preset or model, a wrong type, a value out of range, or options that
            contradict.
    """

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_files: Iterable[str | Path] = (),
        overrides: Mapping[str, Any] | None = None,
        stored: bool = False,
    ) -> None:
        external: dict[str, Any] = {}
        for file in config_files:
            external = yaml_io.merged(external, yaml_io.load_yaml(file), REPLACED_WHOLE)
        external = yaml_io.merged(external, copy.deepcopy(dict(overrides or {})), REPLACED_WHOLE)
        self.given = external
        model = registry.name_of(model) if model else external.get("model")
        dataset = dataset or external.get("dataset")
        for name, value in (("model", model), ("dataset", dataset)):
            if not isinstance(value, str) or not value:
                what = "missing" if value in (None, "") else f"{value!r}, which is no name"
                raise UsageError(
                    f"--{name} is {what}; give both, for example --model=TVDiff --dataset=ml-100k"
                )
        if "/" in dataset or "\\" in dataset or dataset in (".", ".."):
            raise UsageError(
                f"dataset {dataset!r} is a path; give its name alone, and the folder that holds the folder "
                "of it with --data_path"
            )
        named = None if stored else external.get("preset")
        self.preset = None if named is None else read_preset(named, model, dataset)
        try:
            super().__init__(model, dataset)
        except UsageError:
            raise
        except (ValueError, TypeError, KeyError, NotImplementedError, RuntimeError, AttributeError) as error:
            raise UsageError(f"configuration refused by RecBole: {error}") from error

    def preset_line(self) -> str | None:
        """Return the log's line on presets, None where there is nothing to say."""
        return told(self.preset, self.model, self.dataset, self.internal_config_dict)

    # RecBole's seams, each replaced by the smallest thing that closes a trap.

    def compatibility_settings(self) -> None:
        """Only names that are missing; RecBole's version reads names that numpy 2 has removed."""
        apply_all()

    def _init_parameters_category(self) -> None:
        super()._init_parameters_category()
        # RecBole appends to these module-level lists with every Config.
        self.parameters = {name: list(keys) for name, keys in self.parameters.items()}

    def _build_yaml_loader(self) -> type:
        return yaml_io._Loader

    def _load_config_files(self, file_list: Any) -> dict[str, Any]:  # noqa: ARG002
        preset = copy.deepcopy(self.preset.options) if self.preset else {}
        return yaml_io.merged(preset, self.given, REPLACED_WHOLE)

    def _load_variable_config_dict(self, config_dict: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def _load_cmd_line(self) -> dict[str, Any]:
        """Nothing: the command line is read once, by ``cli``, not by every Config."""
        return {}

    def _get_model_and_dataset(self, model: str, dataset: str) -> tuple[str, type, str]:
        return model, registry.model_class(model), dataset

    def _load_internal_config_dict(self, model: str, model_class: type, dataset: str) -> None:
        super()._load_internal_config_dict(model, model_class, dataset)
        folder = properties_path()
        model_file = defaults_file(model, model_class)
        if registry.options_class(model) and not model_file.is_file():
            raise UsageError(
                f"{model_file} is missing: it holds the defaults of the options of {model_class.__name__}; "
                + ("put it there" if registry.is_outside(model) else "install the package again")
            )
        layers = self.internal_config_dict
        files = [folder / "overall.yaml", model_file, folder / "dataset" / f"{dataset}.yaml"]
        files += [_protocol_file(folder / "protocol", model_class)] if model_class.protocol else []
        for file in files:
            if file.is_file():
                layers = yaml_io.merged(layers, yaml_io.load_yaml(file), REPLACED_WHOLE)
        self.internal_config_dict = layers
        self._refuse_unknown(model_class)

    def _get_final_config_dict(self) -> dict[str, Any]:
        final = yaml_io.merged(self.internal_config_dict, self.external_config_dict, REPLACED_WHOLE)
        final |= {"model": self.model, "dataset": self.dataset}
        own = registry.options_class(self.model)
        declared = [GeneralOptions, SplitOptions, RatingOptions, *([own] if own else [])]
        self._check_types(final, {name for cls in declared for name in cls.__dataclass_fields__})
        self.general = read_options(GeneralOptions, final)
        self.split = read_options(SplitOptions, final)
        self.rating = read_options(RatingOptions, final)
        self.options = read_options(own, final) if own else None
        final |= self.options.resolved(final) if hasattr(self.options, "resolved") else {}
        recbole_options.check(final, self.rating.names(self.model_class.predicts_ratings))
        for name in ("data_path", "load_checkpoint", "shift_test"):
            if final[name] is not None:
                final[name] = str(Path(final[name]).expanduser().resolve())
        self.resolved = {
            key: copy.deepcopy(value)
            for key, value in final.items()
            if _is_plain(value) and key not in REFUSED
        }
        self.resolved["run_dir"] = None
        return final

    def _set_default_parameters(self) -> None:
        given = self.final_config_dict["data_path"]
        super()._set_default_parameters()
        final = self.final_config_dict
        own = Path(given or "", final["dataset"])
        if final["dataset"] == "ml-100k" and given and own.is_dir():  # RecBole takes the copy that it ships
            final["data_path"] = str(own)
        if final["valid_metric"].lower() in ("rated_mae", "rated_rmse"):
            final["valid_metric_bigger"] = False

    def _init_device(self) -> None:
        """Choose the device without writing CUDA_VISIBLE_DEVICES, which would undo what a scheduler has set."""
        final = self.final_config_dict
        chosen = "" if final["gpu_id"] is None else final["gpu_id"]
        final["gpu_id"] = ",".join(map(str, chosen)) if isinstance(chosen, list | tuple) else str(chosen)
        on_gpu = final["use_gpu"] and final["gpu_id"] != "" and torch.cuda.is_available()
        first = final["gpu_id"].split(",")[0].strip()
        if on_gpu and not (first.isdigit() and int(first) < torch.cuda.device_count()):
            raise UsageError(
                f"gpu_id is {final['gpu_id']!r}; this process sees the GPUs 0 to "
                f"{torch.cuda.device_count() - 1}"
            )
        final["device"] = torch.device("cuda", int(first)) if on_gpu else torch.device("cpu")
        final["single_spec"], final["local_rank"] = True, 0

    # Checks.

    def _refuse_unknown(self, model_class: type) -> None:
        known = (
            {key for keys in self.parameters.values() for key in keys}
            | set(self.internal_config_dict)
            | NAMES
        )
        known |= keys_read_by(model_class) | UNLISTED
        known |= {
            name for cls in (GeneralOptions, SplitOptions, RatingOptions) for name in cls.__dataclass_fields__
        }
        for key, value in self.external_config_dict.items():
            if key in REFUSED and value not in (None, False):
                raise UsageError(f"option {key!r} is not supported: {REFUSED[key]}")
            if key not in known:
                unknown = f"unknown option {key!r}{did_you_mean(str(key), known)}"
                raise UsageError(
                    renamed_text(key, known) or f"{unknown}; --model={self.model} --help lists the options"
                )

    def _check_types(self, final: dict[str, Any], declared: set[str]) -> None:
        """Compare each given value with the type of its default; numbers for text options (``gpu_id: 0``) are taken as text."""
        for key in self.external_config_dict.keys() - declared:
            default, value = self.internal_config_dict.get(key), final[key]
            if default is None or value is None:
                continue
            if isinstance(default, list):
                fits = isinstance(value, list | tuple | str | int | float)
            elif isinstance(default, bool) or isinstance(value, bool):
                fits = isinstance(value, type(default))
            elif isinstance(default, int | float):
                fits = isinstance(value, int | float)
            elif isinstance(default, str):
                fits = isinstance(value, str | int | float | list)
            else:
                fits = isinstance(value, type(default))
            if not fits:
                raise UsageError(
                    f"option {key!r} is {value!r}; it takes {type_text(type(default))}, by default "
                    f"{default!r}"
                )


def _protocol_file(folder: Path, model_class: type) -> Path:
    file = folder / f"{model_class.protocol}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml")))
        raise UsageError(
            f"{model_class.__name__}.protocol is {model_class.protocol!r}; it takes {known} or None"
        )
    return file


def keys_read_by(model_class: type) -> set[str]:
    """Return the option names that a model class and its parents read as ``config["name"]``; RecBole's YAML does not hold all."""
    names: set[str] = set()
    libraries = ("torch.", "builtins", "typing", "abc")
    for cls in model_class.__mro__:
        if not cls.__module__.startswith(libraries):
            with contextlib.suppress(OSError, TypeError):  # a class written in a notebook may have no source
                names |= set(re.findall(r"""config\[["']([\w-]+)["']\]""", inspect.getsource(cls)))
    return names


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)
