"""From a configuration to a data set and its three loaders; only what differs from RecBole's own preparation."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import recbole.data
from recbole.data.utils import create_samplers, get_dataloader
from recbole.utils import EvaluatorType, InputType, ModelType

from recbole_diffusion import registry
from recbole_diffusion.data.dataset import InteractionDataset, require_files
from recbole_diffusion.errors import UsageError

# What RecBole applies before it splits, and so not to given parts.
NOT_FOR_PARTS = (
    "user_inter_num_interval",
    "item_inter_num_interval",
    "val_interval",
    "rm_dup_inter",
    "filter_inter_by_user_or_item",
)


@contextlib.contextmanager
def refusals_of(config: Any) -> Iterator[None]:
    """Turn the errors by which RecBole's data code refuses files or options into ours."""
    try:
        yield
    except UsageError:
        raise
    except (ValueError, KeyError, NotImplementedError) as error:
        name = type(error).__name__ + ": " if isinstance(error, KeyError) else ""
        raise UsageError(f"data set {config['dataset']!r} in {config['data_path']} cannot be used so: {name}{error}") from error


def create_dataset(config: Any) -> Any:
    """Return the data set of a run: the model's own class, our fast one, or RecBole's for sequential and knowledge models.

    Raises:
        UsageError: it is not there, is malformed, or does not fit the options.
    """
    with refusals_of(config):
        dataset = _create(config)
    _check_fit(config, dataset)
    _tell_ignored(config)
    return dataset


def _create(config: Any) -> Any:
    spec = registry.MODELS.get(config["model"])
    if spec is not None:
        return registry.resolve(spec.dataset)(config)
    if config["MODEL_TYPE"] in (ModelType.GENERAL, ModelType.TRADITIONAL):
        return InteractionDataset(config)
    require_files(config)
    return recbole.data.create_dataset(config)


def _check_fit(config: Any, dataset: Any) -> None:
    """Check what RecBole would find out in the first epoch, or after it."""
    name, largest = config["dataset"], max(config["topk"])
    if config["eval_type"] == EvaluatorType.RANKING and largest >= dataset.item_num:
        raise UsageError(f"topk is {largest}, but data set {name!r} has only {dataset.item_num - 1} items; give smaller cut-offs")
    label, modes = config["LABEL_FIELD"], config["eval_args"]["mode"].values()
    if "labeled" in modes and label not in dataset.inter_feat:
        raise UsageError(
            f"eval_args.mode labeled needs the column {label!r}, which data set {name!r} has not; name another with LABEL_FIELD, "
            "or make it with threshold, such as {rating: 3}"
        )
    negatives = config["train_neg_sample_args"]["distribution"]
    if config["model"] not in registry.MODELS and config["MODEL_INPUT_TYPE"] == InputType.PAIRWISE and negatives == "none":
        raise UsageError(
            f"{config['model']} learns from pairs and needs negatives; set train_neg_sample_args to {{distribution: uniform}}"
        )


def _tell_ignored(config: Any) -> None:
    """Warn of options that differ from their defaults and have no effect, because the parts are given."""
    if not config["benchmark_filename"]:
        return
    default = config.internal_config_dict
    ignored = [name for name in NOT_FOR_PARTS if config[name] != default.get(name)]
    given, standard = config["eval_args"], default["eval_args"]
    ignored += [f"eval_args.{name}" for name in ("split", "order", "group_by") if given[name] != standard.get(name)]
    if ignored:
        logging.getLogger().warning("the parts of benchmark_filename are taken as they are: no effect of %s", ", ".join(ignored))


def prepare_data(config: Any, dataset: Any) -> tuple[Any, Any, Any]:
    """Return the loaders of train, valid and test; the model's own training loader where its registry line names one.

    Raises:
        UsageError: the data set cannot be split or sampled as the options say.
    """
    spec = registry.MODELS.get(config["model"])
    with refusals_of(config):
        if spec is None or spec.train_loader is None:
            return recbole.data.data_preparation(config, dataset)
        parts = dataset.build()
        samplers = create_samplers(config, dataset, parts)
        train = registry.resolve(spec.train_loader)(config, parts[0], samplers[0], shuffle=config["shuffle"])
        phases = zip(("valid", "test"), parts[1:], samplers[1:], strict=True)
        valid, test = (get_dataloader(config, phase)(config, part, sampler, shuffle=False) for phase, part, sampler in phases)
        return train, valid, test
