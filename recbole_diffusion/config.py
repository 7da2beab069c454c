"""Config: RecBole's configuration with our YAML on top, typed, strict, and without evaluating anything.

Layers, later wins: RecBole's defaults, ``properties/overall.yaml``, the model's YAML, the data set's YAML,
RecBole's YAML for its sequential, context-aware and knowledge models, the YAML of the protocol that the
model declares, the preset, the user's files, the overrides.

Our code reads ``general``, ``split``, ``rating`` and ``options``; ``config["name"]`` is for RecBole's own
options and for RecBole's code.

Longer than most files: the layers of one configuration and the checks between them.
"""

import contextlib
import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import torch

from recbole_diffusion import registry
from recbole_diffusion.compat import ModelType, RecBoleConfig
from recbole_diffusion.errors import UsageError, nearest
from recbole_diffusion.options import evaluation, model_needs, old_keys, recbole_ranges
from recbole_diffusion.options import recbole as recbole_options
from recbole_diffusion.options.declare import read_options, unread, unread_text
from recbole_diffusion.options.general import OF_EPOCHS, GeneralOptions, SolvedOptions
from recbole_diffusion.options.given import files_given, plain_options
from recbole_diffusion.options.keys_read import keys_of_classes
from recbole_diffusion.options.kind_options import check_transform, unread_by, unread_files
from recbole_diffusion.options.linear_term import check_on_validation
from recbole_diffusion.options.negatives import (
    NegativeOptions,
    check_sampler,
    negative_notes,
    samplers_of,
    takes_none,
)
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole import REFUSED, REPLACED_WHOLE
from recbole_diffusion.options.recbole_unread import unread_of_recbole
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.options.whole_number import whole_number
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.preset import Preset, read_preset, replaced, told
from recbole_diffusion.storage.properties import (
    dataset_values,
    model_values,
    pairwise_values,
    properties_path,
)

DIGITS = 6  # of metrics by default
OF_BATCHES = ("train_batch_size", "learning_rate")  # that follow from the data with train_batch_size auto
NAMES = frozenset({"model", "dataset"})


def defaults_of(model: str, model_class: type[Any]) -> dict[str, Any]:
    """Return a model's defaults: of our properties, or of the file beside a module from outside.

    Raises:
        UsageError: a model with options of its own has none.
    """
    if registry.is_outside(model):
        file = registry.file_beside(model_class, ".yaml")
        values, missing = yaml_io.load_yaml(file, packaged=True) if file.is_file() else {}, str(file)
    else:
        values, missing = model_values(model), f"{model} in {properties_path() / 'model'}"
    if registry.options_class(model) and not values:
        raise UsageError(
            f"{missing} is missing: it has the defaults of the options of {model_class.__name__}; "
            + ("put it there" if registry.is_outside(model) else "install the package again")
        )
    return values


class Config(RecBoleConfig):
    """RecBole's Config with checked options.

    Attributes:
        general: the options of every run.
        split: the options of a split under distribution shift.
        rating: the options of ratings.
        options: the model's own options, an instance of its dataclass; None for a model of RecBole.
        reads_order: why the model reads the order of rows in time, and what to do without times; or None.
        negatives: the options of its negatives, for a pairwise model that draws none itself; else None.
        resolved: every option that a run depends on, in plain types, for ``config.yaml``.
        stored: whether this is the configuration of an earlier run.
        notes: lines for the log: options that were ignored, or changed because others require it.
        known_ids: tokens of the users and items of an earlier run by the names of their columns, which a data
            set then keeps, see ``data/known_ids.py``; None for those of the files.
        metrics_asked: whether the metrics are those of an evaluation after the training, and no others count.

    Args:
        model: name of a model of ours or of RecBole, ``package.module:Class``, or a class. None: the one of
            the files or overrides, which must not be from outside unless it was named before; see
            ``registry``.
        dataset: name of a data set.
        config_files: YAML files, later ones win.
        overrides: option values, of their real types; they win over everything.
        stored: the overrides are the whole configuration of an earlier run; no preset is laid under them.
        earlier: it is that run itself which is read or goes on, so that ranges of earlier versions count.

    Raises:
        UsageError: an unknown option, preset or model, a wrong type, a value out of range, or options that
            contradict each other.
    """

    parameters: dict[str, list[str]]
    internal_config_dict: dict[str, Any]
    options: Any
    reads_order: tuple[str, str] | None = None
    negatives: NegativeOptions | None = None
    known_ids: Mapping[str, Any] | None = None
    metrics_asked = False

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_files: Iterable[str | Path] = (),
        overrides: Mapping[str, Any] | None = None,
        stored: bool = False,
        earlier: bool = False,
    ) -> None:
        self.stored, self.earlier = stored, earlier
        external: dict[str, Any] = {}
        for file in files_given(config_files):
            external = yaml_io.merged(external, yaml_io.load_yaml(file), REPLACED_WHOLE)
        external = yaml_io.merged(external, copy.deepcopy(plain_options(overrides)), REPLACED_WHOLE)
        self.given, self.notes = old_keys.without_harmless(external)
        old_keys.refuse_old(self.given)
        if self.given.get("train_neg_sample_args") == "None":  # RecBole's documents write it for null
            self.given["train_neg_sample_args"] = None
        model_name = _named("model", registry.name_of(model) if model else external.get("model"), external)
        dataset_name = _named("dataset", dataset or external.get("dataset"), external)
        if "/" in dataset_name or "\\" in dataset_name or dataset_name in (".", ".."):
            raise UsageError(
                f"dataset {dataset_name!r} is a path; give only its name, and with --data_path the folder "
                "that holds its folder"
            )
        named = None if stored else external.get("preset")
        self.preset = None if named is None else read_preset(named, model_name, dataset_name)
        try:
            super().__init__(model_name, dataset_name)
        except UsageError:
            raise
        except (ValueError, TypeError, KeyError, NotImplementedError, RuntimeError, AttributeError) as error:
            raise UsageError(f"configuration refused by RecBole: {error}") from error

    def preset_line(self) -> str | None:
        """Return the log's line on presets, None for a model without presets, or without this one by now."""
        used = self._used_preset()
        if used is None and self["preset"] is not None:
            return None
        return told(used, self.model, self.dataset, self.internal_config_dict, self.given)

    def preset_replaced(self) -> dict[str, Any]:
        """Return the values of the preset in whose place the run has others, by option, in plain types.

        A stored configuration, of a run that goes on, is held against its preset of today.
        """
        used = self._used_preset()
        apart = replaced(used, self.given) if used is not None else {}
        if used is not None and self.stored and used.options.get("train_batch_size") == "auto":
            apart = {name: one for name, one in apart.items() if name not in OF_BATCHES}  # settled
        return {name: copy.deepcopy(wanted) for name, (_, wanted) in apart.items()}

    def _used_preset(self) -> Preset | None:
        """Return the run's preset; None without one, or if that of a stored configuration is gone."""
        if self.preset is None and self.stored and self["preset"] is not None:
            with contextlib.suppress(UsageError):
                return read_preset(self["preset"], self.model, self.dataset)
        return self.preset

    # Overridden RecBole methods.

    def compatibility_settings(self) -> None:
        """Do nothing: ``compat`` has set the missing names; RecBole reads some that numpy 2 has removed."""

    def _init_parameters_category(self) -> None:
        super()._init_parameters_category()
        # A copy: RecBole appends to these module-level lists with every Config.
        self.parameters = {name: list(keys) for name, keys in self.parameters.items()}

    def _build_yaml_loader(self) -> type:
        return yaml_io.PackagedLoader

    def _load_config_files(self, file_list: Any) -> dict[str, Any]:  # noqa: ARG002
        preset = copy.deepcopy(self.preset.options) if self.preset else {}
        return yaml_io.merged(preset, self.given, REPLACED_WHOLE)

    def _load_variable_config_dict(self, config_dict: Any) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def _load_cmd_line(self) -> dict[str, Any]:
        """Return nothing: ``cli`` reads the command line once, not every Config."""
        return {}

    def _get_model_and_dataset(self, model: str, dataset: str) -> tuple[str, type[Any], str]:
        model_needs.refuse_model(model)
        return model, registry.model_class(model), dataset

    def _load_internal_config_dict(self, model: str, model_class: type[Any], dataset: str) -> None:
        folder = properties_path()
        self.samplers = samplers_of(model, model_class)
        self._our_layers = [
            _yaml_of(folder / "overall.yaml"),
            pairwise_values() if self.samplers else {},
            defaults_of(model, model_class),
            dataset_values(dataset),
        ]
        super()._load_internal_config_dict(model, model_class, dataset)
        self._add_our_layers()
        if model_class.protocol:
            self._add_layer(_yaml_of(_protocol_file(folder / "protocol", model_class)))
        if not model_needs.ranks_by_user(model_class):
            self.internal_config_dict["rating_scale"] = None
        self._refuse_unknown(model_class)

    def _update_internal_config_dict(self, file: str) -> dict[str, Any]:
        """Add our YAML before RecBole's for a type of model, which has its split and metrics."""
        if Path(file).parent.name == "quick_start_config":
            self._add_our_layers()
        return super()._update_internal_config_dict(file)

    def _add_our_layers(self) -> None:
        for values in self._our_layers:
            self._add_layer(values)
        self._our_layers = []

    def _add_layer(self, values: Mapping[str, Any]) -> None:
        self.internal_config_dict = yaml_io.merged(self.internal_config_dict, values, REPLACED_WHOLE)

    def _get_final_config_dict(self) -> dict[str, Any]:
        final = yaml_io.merged(self.internal_config_dict, self.external_config_dict, REPLACED_WHOLE)
        final |= {"model": self.model, "dataset": self.dataset}
        own = registry.options_class(self.model)
        declared: list[type[Any]] = [GeneralOptions, SplitOptions, RatingOptions, *([own] if own else [])]
        declared += [NegativeOptions] if self.samplers else []
        names = {name for cls in declared for name in cls.__dataclass_fields__} | {"reranker_CAN_NUM"}
        recbole_options.check_types(self.external_config_dict, self.internal_config_dict, names)
        recbole_options.check_finite(self.given)
        self._read_typed(final)
        self.options = read_options(own, final, self.earlier) if own else None
        if not self.stored and (note := unread_text(self._unread(), self.given)):
            self.notes.append(note)
        dropped = self._read_negatives(final)
        final |= self.options.resolved(final) if hasattr(self.options, "resolved") else {}
        self.reads_order = getattr(self.options, "reads_order", None) or recbole_options.reads_order(final)
        self._complete(final)
        if final["train_neg_sample_args"] and "train_neg_sample_args" in self.never_read():
            # RecBole hands the model to the loader for it; one that draws nothing has no place for it.
            final["train_neg_sample_args"] = {**final["train_neg_sample_args"], "dynamic": False}
        for name in ("data_path", "load_checkpoint", "shift_test"):
            if final[name] is not None:
                final[name] = str(Path(final[name]).expanduser().resolve())
        self._read_typed(final)
        self.resolved = {
            key: copy.deepcopy(value)
            for key, value in final.items()
            if yaml_io.is_plain(value) and key not in {*REFUSED, *old_keys.HARMLESS, *dropped}
        }
        self.resolved["run_dir"] = None
        return final

    def _read_typed(self, values: Mapping[str, Any]) -> None:
        self.general = read_options(GeneralOptions, values, self.earlier)
        self.split = read_options(SplitOptions, values, self.earlier)
        self.rating = read_options(RatingOptions, values, self.earlier)

    def _unread(self) -> dict[str, str]:
        """Return the options without effect, each with the reason."""
        standard, general = self.internal_config_dict, unread(self.general)
        # At their usual values.
        quiet = {*unread_by(self.model, self.model_class), *general, *OF_EPOCHS, "enable_amp"}
        usual = {name for name in quiet if self.given.get(name) == standard.get(name)}
        if self.given.get("train_neg_sample_args") is None:
            usual.add("train_neg_sample_args")
        reasons = {name: why for name, why in (self.never_read() | general).items() if name not in usual}
        if self.given.get("enable_scaler") and not torch.cuda.is_available():
            reasons["enable_scaler"] = "gradients are scaled on a GPU alone"
        of_recbole = unread_of_recbole(self.model, standard | self.given)
        reasons |= {
            name: why for name, why in of_recbole.items() if self.given.get(name) != standard.get(name)
        }
        return reasons | unread(self.options)

    def never_read(self) -> dict[str, str]:
        """Return the options that the model does not read whatever the others are, each with the reason."""
        solved = self.model_class.type == ModelType.TRADITIONAL  # of RecBole: EASE, ItemKNN, ...
        reasons = unread_by(self.model, self.model_class) | (SolvedOptions().unread() if solved else {})
        if solved or self.model_class.computed_when_made:
            reasons |= dict.fromkeys(OF_EPOCHS, "no epochs over batches are trained")
            reasons["train_neg_sample_args"] = "no gradient steps are taken"
        elif self.model_class.loader_class is not None:
            reasons["train_neg_sample_args"] = f"{self.model} draws its negatives itself, if it needs any"
        elif model_needs.reads_whole_rows(self.model):
            reasons["train_neg_sample_args"] = f"{self.model} learns from whole rows of users"
        return reasons

    def _read_negatives(self, final: Mapping[str, Any]) -> set[str]:
        """Read the options of the negatives; return those that the run's configuration does without."""
        if not self.samplers:
            return set()
        self.negatives = read_options(NegativeOptions, final, self.earlier)
        check_sampler(self.negatives.negative_sampler, self.model, self.samplers)
        reasons = unread(self.negatives)
        if self.negatives.negative_sampler is not None:
            reasons |= {"train_neg_sample_args": "negative_sampler is given"}
        if not self.stored and (note := unread_text(reasons, self.given)):
            self.notes.append(note)
        return set(NegativeOptions.__dataclass_fields__) - self.negatives.kept()

    def _loader_draws(self) -> bool:
        """Return whether the negatives of training, if there are any, are those of RecBole's loader."""
        chosen = self.negatives is not None and self.negatives.negative_sampler is not None
        cls = self.model_class
        whole = cls.loader_class is not None or model_needs.reads_whole_rows(self.model)
        return not (chosen or whole or cls.computed_when_made)

    def settle(self, **values: Any) -> None:
        """Set options that follow from the data, here and in :attr:`resolved`."""
        self.final_config_dict.update(values)
        self.resolved.update(values)
        self._read_typed(self.final_config_dict)

    def changed(self, **values: Any) -> Self:
        """Return a copy of this configuration with other values, which are not checked against each other."""
        other = copy.copy(self)
        other.final_config_dict = {**self.final_config_dict, **values}
        other._read_typed(other.final_config_dict)
        return other

    def _complete(self, final: dict[str, Any]) -> None:
        """Choose the values that the given options leave open, note them, and check all options together."""
        given, by_user = self.external_config_dict, model_needs.ranks_by_user(self.model_class)
        below = self.internal_config_dict
        self.notes += model_needs.complete(final, given, self.model_class, by_user, below)
        steps = not self.model_class.computed_when_made and self.model_class.type != ModelType.TRADITIONAL
        if steps and not self.stored and final["eval_step"] > final["epochs"] > 0:
            self.notes.append(
                f"eval_step is {final['eval_step']}, but epochs {final['epochs']}: no epoch is validated on "
                "the way, so that none is chosen and the last one is kept"
            )
        digits = final["metric_decimal_place"]
        if steps and not self.stored and digits < DIGITS and final["epochs"] > 1:
            self.notes.append(
                f"metric_decimal_place is {digits}: epochs are compared by rounded metrics too, and of equal "
                f"ones the last is the best; with {DIGITS} or more the choice does not depend on the rounding"
            )
        if not self.stored and (files := unread_files(final, self.model_class)):
            named = ", ".join(f"load_col.{name}" for name in files)
            self.notes.append(
                f"no effect of {named}: {self.model} loads no such file; additional_feat_suffix names "
                "further ones"
            )
        rated = read_options(RatingOptions, final).names(self.model_class.predicts_ratings)
        self.notes += recbole_options.complete(final, given, below, self.reads_order)
        negatives = final["train_neg_sample_args"] if self._loader_draws() else None
        modes = final["eval_args"]["mode"]
        any_other = bool(final["repeatable"]) and final["MODEL_TYPE"] != ModelType.SEQUENTIAL
        self.notes += negative_notes(negatives, self.samplers, str(modes), any_other)
        self.notes += evaluation.fit(final, self.given, rated)
        evaluation.check(final, rated)
        if not self.stored:  # an earlier run has its weight, and may be evaluated by anything
            check_on_validation(final)
        recbole_options.check(final)
        if not self.stored and (note := recbole_options.check_order(final["benchmark_filename"])):
            self.notes.append(note)
        recbole_ranges.check(final, self.model_class, self.internal_config_dict)
        model_needs.check(final, self.model_class, by_user)
        if not self.stored:  # an earlier run was trained with it
            check_transform(final, self.model_class)

    def _set_default_parameters(self) -> None:
        given = self.final_config_dict["data_path"]
        super()._set_default_parameters()
        final = self.final_config_dict
        own = Path(given or "", final["dataset"])
        if final["dataset"] == "ml-100k" and given and own.is_dir():  # RecBole would take the copy it ships
            final["data_path"] = str(own)
        if final["valid_metric"].lower() in ("rated_mae", "rated_rmse"):
            final["valid_metric_bigger"] = False
        given, bigger = self.given.get("valid_metric_bigger"), final["valid_metric_bigger"]
        if given is not None and given != bigger and not self.stored:
            raise UsageError(
                f"valid_metric_bigger is {given}, but a {'larger' if bigger else 'smaller'} "
                f"{final['valid_metric']} is better; leave it out"
            )

    def _init_device(self) -> None:
        """Choose the device without setting CUDA_VISIBLE_DEVICES, which would override a scheduler."""
        final = self.final_config_dict
        chosen = "" if final["gpu_id"] is None else final["gpu_id"]
        final["gpu_id"] = ",".join(map(str, chosen)) if isinstance(chosen, list | tuple) else str(chosen)
        on_gpu = final["use_gpu"] and final["gpu_id"] != "" and torch.cuda.is_available()
        first = whole_number(final["gpu_id"].split(",")[0].strip())
        if on_gpu and (first is None or not 0 <= first < torch.cuda.device_count()):
            raise UsageError(
                f"gpu_id is {final['gpu_id']!r}; this process sees the GPUs 0 to "
                f"{torch.cuda.device_count() - 1}"
            )
        final["device"] = torch.device("cuda", first) if on_gpu and first is not None else torch.device("cpu")
        final["single_spec"], final["local_rank"] = True, 0

    def known_options(self, model_class: type[Any]) -> set[str]:
        """Return the names of the options that something reads: RecBole, this package, the model."""
        known = {key for keys in self.parameters.values() for key in keys} | set(self.internal_config_dict)
        for options in (GeneralOptions, SplitOptions, RatingOptions):
            known |= options.__dataclass_fields__.keys()
        known |= NegativeOptions.__dataclass_fields__.keys() if self.samplers else set()
        return known | keys_of_classes(
            model_class, with_transform=bool(self.external_config_dict.get("transform"))
        )

    def _refuse_unknown(self, model_class: type[Any]) -> None:
        known = self.known_options(model_class)
        if "negative_sampler" in self.external_config_dict.keys() - known:
            raise takes_none(self.model)
        recbole_options.refuse_unknown(self.external_config_dict, known | NAMES, self.model)


def _yaml_of(file: Path) -> dict[str, Any]:
    """Return the content of one of our files, empty where there is none."""
    return yaml_io.load_yaml(file, packaged=True) if file.is_file() else {}


def _named(name: str, value: Any, given: Mapping[str, Any]) -> str:
    """Return the name of a model or data set; one that is misspelt among what is given is pointed out.

    Raises:
        UsageError: it is missing, or not a text.
    """
    if not isinstance(value, str) or not value:
        what = "missing" if value in (None, "") else f"{value!r}, which is not a name"
        near = nearest(name, map(str, given), 0.75) if value is None else ""
        what += f", and {near!r} is no option" if near else ""
        raise UsageError(f"--{name} is {what}; give both, for example --model=TVDiff --dataset=ml-100k")
    return value


def _protocol_file(folder: Path, model_class: type[Any]) -> Path:
    file = folder / f"{model_class.protocol}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml")))
        raise UsageError(
            f"{model_class.__name__}.protocol is {model_class.protocol!r}; it takes {known} or None"
        )
    return file
