"""Config: RecBole's configuration with our YAML on top, typed, strict, and without evaluating anything.

Layers, later wins: RecBole's defaults, ``properties/overall.yaml``, the model's YAML, the data set's YAML, the user's files, the overrides.
"""

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

from recbole_diffusion import registry, yaml_io  # noqa: E402
from recbole_diffusion.errors import UsageError, did_you_mean  # noqa: E402
from recbole_diffusion.general_options import GeneralOptions  # noqa: E402
from recbole_diffusion.options import read_options  # noqa: E402

# Replaced as a whole by a higher layer: a merged split would hold two splitting rules.
REPLACED_WHOLE = frozenset({"split", "threshold", "train_neg_sample_args"})
# RecBole's options that a run folder makes meaningless, with what to use instead.
REFUSED = {
    "checkpoint_dir": "a run writes one folder; name it with --run_dir",
    "save_dataset": "RecBole's saved data sets are pickles that go stale; loading is fast, leave it out",
    "dataset_save_path": "RecBole's saved data sets are pickles that go stale; loading is fast, leave it out",
    "save_dataloaders": "RecBole's saved loaders are pickles that go stale; loading is fast, leave it out",
    "dataloaders_save_path": "RecBole's saved loaders are pickles that go stale; loading is fast, leave it out",
}
NAMES = frozenset({"model", "dataset"})


def properties_path() -> Path:
    """Return the folder of our YAML files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "properties", package.parent / "properties"):
        if (folder / "overall.yaml").is_file():
            return folder
    raise UsageError(f"the properties folder is missing beside {package}; install the package again")


class Config(recbole_configurator.Config):
    """RecBole's Config with checked options.

    Args:
        model: name of a model of ours or of RecBole.
        dataset: name of a data set.
        config_files: YAML files, later ones win.
        overrides: option values, of their real types; they win over everything.

    Raises:
        UsageError: an unknown option, a wrong type, a value out of range, an unknown model, or options that contradict each other.
    """

    def __init__(
        self,
        model: str | None = None,
        dataset: str | None = None,
        config_files: Iterable[str | Path] = (),
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        external: dict[str, Any] = {}
        for file in config_files:
            external = yaml_io.merged(external, yaml_io.load_yaml(file), REPLACED_WHOLE)
        external = yaml_io.merged(external, copy.deepcopy(dict(overrides or {})), REPLACED_WHOLE)
        self.given = external
        model, dataset = model or external.get("model"), dataset or external.get("dataset")
        for name, value in (("model", model), ("dataset", dataset)):
            if not isinstance(value, str):
                raise UsageError(f"--{name} is {value!r}; give the name of a {name}, for example --model=TVDiff --dataset=ml-100k")
        try:
            super().__init__(model, dataset)
        except UsageError:
            raise
        except (ValueError, TypeError, KeyError, NotImplementedError, RuntimeError, AttributeError) as error:
            raise UsageError(f"configuration refused by RecBole: {error}") from error
        self._check_valid_metric()

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
        return self.given

    def _load_variable_config_dict(self, config_dict: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def _load_cmd_line(self) -> dict[str, Any]:
        """Nothing: the command line is read once, by ``cli``, not by every Config."""
        return {}

    def _get_model_and_dataset(self, model: str, dataset: str) -> tuple[str, type, str]:
        cls = registry.model_class(model)
        return cls.__name__, cls, dataset

    def _load_internal_config_dict(self, model: str, model_class: type, dataset: str) -> None:
        super()._load_internal_config_dict(model, model_class, dataset)
        folder = properties_path()
        model_file = folder / "model" / f"{model}.yaml"
        if model in registry.MODELS and not model_file.is_file():
            raise UsageError(f"{model_file} is missing: the model has no defaults; install the package again")
        layers = self.internal_config_dict
        for file in (folder / "overall.yaml", model_file, folder / "dataset" / f"{dataset}.yaml"):
            if file.is_file():
                layers = yaml_io.merged(layers, yaml_io.load_yaml(file), REPLACED_WHOLE)
        self.internal_config_dict = layers
        self._refuse_unknown(model_class)

    def _get_final_config_dict(self) -> dict[str, Any]:
        final = yaml_io.merged(self.internal_config_dict, self.external_config_dict, REPLACED_WHOLE)
        final |= {"model": self.model, "dataset": self.dataset}
        self._check_types(final)
        self.general = read_options(GeneralOptions, final)
        spec = registry.MODELS.get(self.model)
        self.options = read_options(registry.resolve(spec.options), final) if spec else None
        final["data_path"] = str(Path(self.general.data_path).expanduser().resolve())
        self.resolved = {key: copy.deepcopy(value) for key, value in final.items() if _is_plain(value) and key not in REFUSED}
        self.resolved["run_dir"] = None
        return final

    def _init_device(self) -> None:
        """Choose the device without writing CUDA_VISIBLE_DEVICES, which would undo what a scheduler has set."""
        final = self.final_config_dict
        final["gpu_id"] = ",".join(map(str, final["gpu_id"])) if isinstance(final["gpu_id"], list | tuple) else str(final["gpu_id"])
        on_gpu = final["use_gpu"] and final["gpu_id"] != "" and torch.cuda.is_available()
        first = final["gpu_id"].split(",")[0]
        final["device"] = torch.device("cuda", int(first) if first.isdigit() else 0) if on_gpu else torch.device("cpu")
        final["single_spec"], final["local_rank"] = True, 0

    # Checks.

    def _refuse_unknown(self, model_class: type) -> None:
        known = {key for keys in self.parameters.values() for key in keys} | set(self.internal_config_dict) | NAMES
        known |= keys_read_by(model_class) | set(GeneralOptions.__dataclass_fields__)
        for key in self.external_config_dict:
            if key in REFUSED and self.external_config_dict[key]:
                raise UsageError(f"option {key!r} is not supported: {REFUSED[key]}")
            if key not in known:
                raise UsageError(f"unknown option {key!r}{did_you_mean(str(key), known)}; --model={self.model} --help lists the options")

    def _check_types(self, final: dict[str, Any]) -> None:
        """Compare each given value with the type of its default; numbers for text options (``gpu_id: 0``) are taken as text."""
        for key in self.external_config_dict:
            default, value = self.internal_config_dict.get(key), final[key]
            if default is None or value is None or key in GeneralOptions.__dataclass_fields__:
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
                raise UsageError(f"option {key!r} is {value!r}; it takes a {type(default).__name__}, by default {default!r}")

    def _check_valid_metric(self) -> None:
        from recbole.evaluator import metric_types
        from recbole.utils import EvaluatorType

        computed = set()
        for metric in self["metrics"]:
            ranking = metric_types[metric.lower()] == EvaluatorType.RANKING
            computed |= {f"{metric.lower()}@{k}" for k in self["topk"]} if ranking else {metric.lower()}
        if self["valid_metric"].lower() not in computed:
            raise UsageError(
                f"valid_metric is {self['valid_metric']!r}, which is not computed; metrics and topk give {', '.join(sorted(computed))}"
            )


def keys_read_by(model_class: type) -> set[str]:
    """Return the option names that a model class and its parents read as ``config["name"]``; RecBole's YAML does not hold all."""
    names: set[str] = set()
    for cls in model_class.__mro__:
        if cls.__module__.startswith(("recbole.", "recbole_diffusion.")):
            names |= set(re.findall(r"""config\[["']([\w-]+)["']\]""", inspect.getsource(cls)))
    return names


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)
