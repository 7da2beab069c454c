"""From a configuration to a data set and its three loaders, where this differs from RecBole's preparation.

Longer than most files: what is checked and told on the way from files to loaders, in its order.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from recbole_diffusion import registry
from recbole_diffusion.compat import (
    EvaluatorType,
    FullSortEvalDataLoader,
    KGSampler,
    KnowledgeBasedDataset,
    ModelType,
    NegSampleEvalDataLoader,
    SequentialDataset,
    get_dataloader,
    recbole_datasets,
)
from recbole_diffusion.data.batches import settle_batches
from recbole_diffusion.data.columns import check_labels, labels_are_read
from recbole_diffusion.data.dataset import InteractionDataset, OrderedDataset
from recbole_diffusion.data.evaluated_users import tell_evaluated_users
from recbole_diffusion.data.given_histories import GivenHistories
from recbole_diffusion.data.labelled import LABEL
from recbole_diffusion.data.linked_items import LinkedItems
from recbole_diffusion.data.loader import FullRankingLoader
from recbole_diffusion.data.masked_items import settle_masks
from recbole_diffusion.data.named_features import check_features, unread_numbers
from recbole_diffusion.data.overlap import check_parts
from recbole_diffusion.data.part_times import tell_older_parts
from recbole_diffusion.data.rating_scale import check_relevant, tell_other_scales
from recbole_diffusion.data.ratings import has_ratings, tell_dislikes
from recbole_diffusion.data.sampled_candidates import FixedCandidates
from recbole_diffusion.data.sampling import FastDraws, create_samplers, users_with_few
from recbole_diffusion.data.told_histories import tell_histories
from recbole_diffusion.data.told_labels import tell_label_columns
from recbole_diffusion.data.train_loader import train_loader_class
from recbole_diffusion.data.twin_users import tell_twin_users
from recbole_diffusion.data.unseen_histories import tell_unseen_histories
from recbole_diffusion.data.valid_shift import UNSHIFTED, together
from recbole_diffusion.data.whole_lists import tell_whole_lists, tell_whole_rated_lists
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options import model_needs
from recbole_diffusion.options.evaluation import EVAL_ARGS
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage.run_log import log_again

# Options that RecBole applies before it splits, and so not to given parts.
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
        raise UsageError(
            f"data set {config['dataset']!r} in {config['data_path']} cannot be used with these options: "
            f"{name}{error}"
        ) from error


def create_dataset(config: Any) -> Any:
    """Return the data set of a run, read fast and checked: of the model's class, or RecBole's for its type.

    Raises:
        UsageError: it does not exist, is malformed, or does not fit the options.
    """
    model_needs.check_files(config)
    with refusals_of(config):
        dataset = dataset_class(config)(config)
    _tell_ignored(config, dataset)
    return dataset


def seed_of_split(config: Any) -> int:
    """Return the seed with which a run draws its split: ``split_seed``, or the run's own seed."""
    return config.general.seed if config.general.split_seed is None else config.general.split_seed


def dataset_class(config: Any) -> type:
    """Return the class of a run's data set."""
    declared = registry.part(config.model_class, "dataset_class")
    if declared is not None:
        return declared
    bases = {ModelType.SEQUENTIAL: SequentialDataset, ModelType.KNOWLEDGE: KnowledgeBasedDataset}
    base = getattr(recbole_datasets, f"{config['model']}Dataset", bases.get(config["MODEL_TYPE"]))
    if base is None:
        return OrderedDataset if config.reads_order else InteractionDataset
    mixins = ((LinkedItems, KnowledgeBasedDataset), (GivenHistories, SequentialDataset))
    chosen = [mixin for mixin, kind in mixins if issubclass(base, kind)]
    return type(f"Run{base.__name__}", (*chosen, InteractionDataset, base), {})


def data_options(config: Any) -> dict[str, Any]:
    """Return the options that determine the data set, before its split."""
    names = [
        *config.parameters["Dataset"],
        "dataset",
        "data_path",
        *SplitOptions.__dataclass_fields__,
        "rating_scale",
        "eval_args",
    ]
    return {name: config[name] for name in names}


def release_dataset(dataset: Any) -> Any:
    """Remove the configuration from a data set, so that another process can adopt it."""
    dataset.made_for, dataset.config = data_options(dataset.config), None
    return dataset


def adopt_dataset(config: Any, dataset: Any) -> Any:
    """Return a data set from :func:`release_dataset` with the configuration of this run.

    Its ``told``, if it has that, are warnings of its making, which belong into the log of each run.

    Raises:
        UsageError: it was made for other data options.
    """
    own = dataset.config_from(config)
    wanted = data_options(own)
    other = [name for name, value in wanted.items() if dataset.made_for.get(name) != value]
    if other:
        values = ", ".join(
            f"{name} {dataset.made_for.get(name)!r} and not {wanted[name]!r}" for name in other
        )
        raise UsageError(
            f"the prepared data set was made for {values}; prepare it with the options of the run"
        )
    dataset.config = own
    told = getattr(dataset, "told", None)
    if told is None:
        _tell_ignored(config, dataset)
    else:
        log_again(told)
    return dataset


def check_cut_offs(config: Any, dataset: Any) -> None:
    """Raise UsageError if a list would be longer than the catalogue: its metrics divide by its length."""
    largest = max(config["topk"])
    if config["eval_type"] == EvaluatorType.RANKING and largest >= dataset.item_num:
        raise UsageError(
            f"topk is {largest}, but data set {config['dataset']!r} has only "
            f"{counted(dataset.item_num - 1, 'item')}; give smaller cut-offs"
        )


def check_fit(config: Any, dataset: Any) -> None:
    """Check, before anything is trained or ranked, what RecBole would find in the first epoch or after it.

    Raises:
        UsageError: the data set cannot be evaluated with these options, or has labels that nothing reads.
    """
    check_cut_offs(config, dataset)
    name = config["dataset"]
    if config.general.valid_metric.lower().startswith("rated_") and not has_ratings(dataset):
        column, asked = config["RATING_FIELD"], config.general.valid_metric
        raise UsageError(
            f"valid_metric is {asked!r}, which needs the ratings of held-out items, but data set {name!r} is "
            f"loaded without the column {column!r}; name it in load_col.inter, such as [user_id, item_id, "
            "rating], and with RATING_FIELD if it has another name"
        )
    label, modes = config["LABEL_FIELD"], config["eval_args"]["mode"].values()
    if "labeled" in modes and label not in dataset.inter_feat:
        raise UsageError(
            f"eval_args.mode labeled needs the column {label!r}, which is not loaded of data set {name!r}; "
            "add it to load_col.inter, name another with LABEL_FIELD, or make it with threshold, such as "
            "{rating: 3}"
        )
    check_labels(config, dataset)
    # Labels say which rows are positives.
    judged = labels_are_read(config) and config["LABEL_FIELD"] in dataset.inter_feat
    if not config.stored and not judged:
        tell_dislikes(config, dataset)
    if not config.stored:
        tell_label_columns(config, dataset)
    check_features(config, dataset)


def _tell_ignored(config: Any, dataset: Any) -> None:
    """Warn about changed options that have no effect, since the parts are given or made in another way."""
    default, standard = config.internal_config_dict, EVAL_ARGS | config.internal_config_dict["eval_args"]
    changed = [name for name in ("split", "order", "group_by") if config["eval_args"][name] != standard[name]]
    ignored = [f"eval_args.{name}" for name in changed]
    if config.split.shift != "none":
        why = "shift splits the data"
    elif dataset.benchmark_filename_list is not None:
        given = "benchmark_filename" if config["benchmark_filename"] else f"{LABEL} in the file"
        why = f"the parts of {given} are taken as they are"
        ignored = [*(name for name in NOT_FOR_PARTS if config[name] != default.get(name)), *ignored]
    elif hasattr(dataset, "source"):
        why = "the parts are divided by users, see cold_user_ratio"
    else:
        ignored = []
    _tell_unread_scale(config, dataset)
    _tell_filled(config, dataset)
    if ignored:
        logging.getLogger().warning("%s: no effect of %s", why, ", ".join(ignored))
    drawn = ("shift_seed",) if config.split.valid_shift != "popularity" else ()  # which draws with it too
    for option, names in (
        ("shift", (*drawn, "shift_ratio", "shift_rest")),
        ("valid_shift", ("valid_shift_ratio",)),
    ):
        unused = [name for name in names if config[name] != default.get(name)]
        if unused and config[option] == "none":
            logging.getLogger().warning("%s is none: no effect of %s", option, ", ".join(unused))


def _tell_unread_scale(config: Any, dataset: Any) -> None:
    """Warn about a scale of ratings that was given for data without ratings: there are no metrics of them."""
    if config.stored or config.given.get("rating_scale") is None or config["rating_scale"] is None:
        return
    column, unused = config["RATING_FIELD"], (config["unused_col"] or {}).get("inter") or ()
    if column in unused or not has_ratings(dataset):
        logging.getLogger().warning(
            "no effect of rating_scale: data set %r has no ratings here; load the column %r with load_col, "
            "and leave it out of unused_col",
            *(config["dataset"], column),
        )


def _tell_filled(config: Any, dataset: Any) -> None:
    """Warn of numbers that no file gives, which RecBole fills with the mean of their column."""
    for name, missing in getattr(dataset, "gaps", {}).items():
        unused = ((config["unused_col"] or {}).get("inter") or (), config["TIME_FIELD"])
        if name not in unused[0] and name != unused[1]:  # times that are read have no gaps
            count = int(missing.sum())
            logging.getLogger().warning(
                "data set %r: %s no value in the column %r and %s the mean of the others; leave these rows "
                "out with val_interval: {%s: '(-inf,inf)'}, or write the values",
                *(config["dataset"], counted(count, "row", "have"), name, agreeing(count, "get"), name),
            )


def prepare_data(config: Any, dataset: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return the loaders of train (the model's or RecBole's), of valid, and of each test part by name.

    If the split has no validation part the second is None, and without a test part the third is empty. Each
    of two test parts has its own sampler, so that neither is masked when the other is ranked. With two
    validation parts (``valid_shift``) the second loader has the other's as ``unshifted``.

    Raises:
        UsageError: the data set cannot be split, sampled or ranked with these options, or would give false
            metrics.
    """
    check_fit(config, dataset)
    for line in (*model_needs.fit_to_data(config, dataset), *unread_numbers(config, dataset)):
        logging.getLogger().warning(line)
    parts = parts_of(config, dataset)
    dataset.overlap = check_parts(config, dataset, parts)
    tell_other_scales(config, parts)
    if not config.stored and {dataset.uid_field, dataset.iid_field} <= dataset.field2type.keys():
        tell_histories(config, dataset, parts)
        tell_older_parts(dataset, parts)
        tell_evaluated_users(config, dataset, parts)
        tell_twin_users(dataset, parts)
    return loaders_of(config, dataset, parts)


def parts_of(config: Any, dataset: Any) -> dict[str, Any]:
    """Return train, valid and the test parts of a data set, by name; can be called once.

    Raises:
        UsageError: the data set cannot be split with these options.
    """
    with refusals_of(config):
        parts = dataset.build()
    tests = getattr(dataset, "test_names", None) or test_names(config)
    held_out = ["valid", UNSHIFTED] if config.split.valid_shift != "none" else ["valid"]
    return dict(zip(["train", *held_out, *tests], parts, strict=True))


def loaders_of(config: Any, dataset: Any, parts: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return the loaders of the parts from :func:`parts_of`, as :func:`prepare_data` does.

    Raises:
        UsageError: the parts cannot be sampled with these options.
    """
    with refusals_of(config):
        others = dict(parts)
        train_part, valid_part, unshifted = (others.pop(name, None) for name in ("train", "valid", UNSHIFTED))
        test_parts = list(others.values())
        samplers = create_samplers(config, dataset, [train_part, valid_part, test_parts[0]])
        train = _train_loader(config, dataset, train_part, samplers[0])
        if unshifted is None:
            valid = _evaluated(config, "valid", "valid", valid_part, samplers[1])
        else:
            valid = _two_validations(config, dataset, train_part, valid_part, unshifted, test_parts[0])
            valid_part = together(valid_part, unshifted)
            samplers = create_samplers(config, dataset, [train_part, valid_part, test_parts[0]])
        tests: dict[str, Any] = {}
        for name, part in others.items():
            first = part is test_parts[0]
            before = getattr(part, "masked", None) or valid_part  # a sampler masks the parts before its own
            sampler = (
                samplers[2] if first else create_samplers(config, dataset, [train_part, before, part])[2]
            )
            loader = _evaluated(config, "test", name, part, sampler)
            tests |= {name: loader} if loader is not None else {}
        return train, valid, tests


def _two_validations(config: Any, dataset: Any, train: Any, valid: Any, unshifted: Any, test: Any) -> Any:
    """Return the loader of the shifted validation part, with that of the other one as ``unshifted``.

    Each is ranked without what the user has in train and in the other one.
    """
    loaders = []
    for name, part, other in (("valid", valid, unshifted), (UNSHIFTED, unshifted, valid)):
        _, sampler, _ = create_samplers(config, dataset, [together(train, other), part, test])
        loaders.append(_evaluated(config, "valid", name, part, sampler))
    loaders[0].unshifted = loaders[1]
    return loaders[0]


def _train_loader(config: Any, dataset: Any, part: Any, sampler: Any) -> Any:
    settle_batches(config, part)
    kind = registry.part(config.model_class, "loader_class") or train_loader_class(config)
    if config["MODEL_TYPE"] != ModelType.KNOWLEDGE:
        loader = kind(config, part, sampler, shuffle=config["shuffle"])
        settle_masks(config, loader)
        return loader
    negatives = config["train_neg_sample_args"]
    triples = KGSampler(dataset, negatives["distribution"], negatives["alpha"])
    return kind(config, part, sampler, triples, shuffle=True)


def _evaluated(config: Any, phase: str, name: str, part: Any, sampler: Any) -> Any:
    """Return the loader of a held-out part, or None if the part is empty."""
    if not len(part):
        return None
    _tell_few_candidates(config, phase, part, sampler)
    kind = get_dataloader(config, phase)
    if kind is NegSampleEvalDataLoader:
        loader = FixedCandidates(config, part, sampler, seed_of_split(config), name)
    else:
        kind = FullRankingLoader if kind is FullSortEvalDataLoader else kind
        loader = kind(config, part, sampler, shuffle=False)
    settle_masks(config, loader)
    tell_unseen_histories(config, name, part)
    tell_whole_lists(config, phase, name, loader, sampler)
    if isinstance(loader, FullSortEvalDataLoader):
        check_relevant(config, phase, name, part)
        tell_whole_rated_lists(config, name, part)
    return loader


def _tell_few_candidates(config: Any, phase: str, part: Any, sampler: Any) -> None:
    """Warn if users have no more items to draw than draws for one held-out item: they rank most items."""
    number, mode = config[f"{phase}_neg_sample_args"].get("sample_num"), config["eval_args"]["mode"][phase]
    if not isinstance(number, int) or not isinstance(sampler, FastDraws):
        return
    few, users = users_with_few(sampler, part, number)
    if few:
        logging.getLogger().warning(
            "eval_args.mode %s: %d of the %s of %s %s %s or fewer to draw from, so that most or all of them "
            "are in the list, as in a full ranking, and some are drawn several times",
            *(mode, few, counted(users, "user"), phase, agreeing(few, "have"), counted(number, "item")),
        )


def test_names(config: Any) -> list[str]:
    """Return the names of the test parts: ``test``, or those of two benchmark files or of a shift."""
    if config.split.shift != "none":
        return ["test_iid", "test_ood"]
    parts = config["benchmark_filename"]
    return list(parts[2:]) if parts and len(parts) > 3 else ["test"]
