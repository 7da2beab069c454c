"""Requirements of RecBole's models, checked before data loads; RecBole would fail in the first epoch.

Longer than most files: what single models and kinds of models need, one after the other.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.compat import InputType, ModelType, UserDataLoader, get_dataloader
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.evaluation import EVAL_ARGS
from recbole_diffusion.options.first_stages import settle_epochs
from recbole_diffusion.options.partitions import check_partitions, check_size

# Models that a run of this package cannot hold.
REFUSED_MODELS = {
    "XGBoost": "a library trains its trees in one call: there are no epochs to stop and no weights to keep",
    "LightGBM": "a library trains its trees in one call: there are no epochs to stop and no weights to keep",
}
# Packages that RecBole imports in the middle of a run, by the model that uses them.
PACKAGES = {"KGAT": "dgl", "KGIN": "torch_scatter", "MCCLK": "torch_scatter", "NCL": "faiss"}
# The same where a value of an option does, with the name under which the package is installed.
PACKAGES_OF_VALUES = {"NNCF": ("neigh_info_method", "louvain", "community", "python-louvain")}
# Options by which RecBole's models begin with the weights of a file: a checkpoint, or a pickled model.
PRETRAINED = {
    "ConvNCF": ("train_method", "after_pretrain"),
    "KD_DAGFM": ("phase", "distillation", "finetuning"),
    "NAIS": ("pretrain_path",),
    "NeuMF": ("use_pretrain",),
}
ONE_NEGATIVE = {"distribution": "uniform", "sample_num": 1}
# Types of models that rank all items once per user, so that held-out ratings can be ranked too.
BY_USER = (ModelType.GENERAL, ModelType.TRADITIONAL, ModelType.KNOWLEDGE)


def ranks_by_user(model_class: type[Any]) -> bool:
    """Return whether a model ranks all items once per user, and not once per row or step of a sequence."""
    return model_class.type in BY_USER


def reads_whole_rows(name: str) -> bool:
    """Return whether a model of RecBole learns from whole rows of users: nothing draws negatives for it."""
    return get_dataloader({"model": name, "MODEL_TYPE": None}, "train") is UserDataLoader


def refuse_model(name: str) -> None:
    """Refuse a model that cannot run here.

    Raises:
        UsageError: it is one of REFUSED_MODELS; the message has the reason.
    """
    if name in REFUSED_MODELS:
        raise UsageError(f"{name} of RecBole does not run here: {REFUSED_MODELS[name]}; use RecBole itself")


def complete(
    final: dict[str, Any],
    given: Mapping[str, Any],
    model_class: type[Any],
    by_user: bool,
    below: Mapping[str, Any],
) -> list[str]:
    """Reset options that one of RecBole's models does not use, and set those that it cannot do without.

    The former are the rating scale of a model that does not rank by user, the negatives of a sequential one
    whose loss compares with all items, and the epochs of a first stage that has its own; the latter the order
    of a sequential one's rows.

    Args:
        final: the values of all layers; changed in place.
        given: the values that the user gave.
        model_class: the model.
        by_user: whether it ranks all items once per user.
        below: the values of the layers below the user's.

    Returns:
        Lines for the log.
    """
    notes = []
    if not by_user and final["rating_scale"] is not None:
        final["rating_scale"] = None
        notes.append(
            f"no effect of rating_scale: {final['model']} ranks single rows, not a user's rated items"
        )
    if model_class.type == ModelType.SEQUENTIAL:
        notes += [*_with_lists(final), *_in_order(final, given, below["eval_args"])]
    columns = (final.get("load_col") or {}).get("inter")
    labels = final.get("threshold") or not isinstance(columns, list) or final["LABEL_FIELD"] in columns
    mode = {**EVAL_ARGS, **final["eval_args"]}["mode"]
    ranks = "labeled" not in (mode.values() if isinstance(mode, Mapping) else [mode])
    if (
        model_class.type == ModelType.CONTEXT
        and ranks
        and not labels
        and "train_neg_sample_args" not in given
    ):
        final["train_neg_sample_args"] = {**(final["train_neg_sample_args"] or {}), **ONE_NEGATIVE}
        notes.append(
            f"train_neg_sample_args is one uniform negative a row: {final['model']} learns from labels, and "
            "none are loaded"
        )
    notes += settle_epochs(final, given)
    if _compares_with_all(final, model_class) and "train_neg_sample_args" not in given:
        final["train_neg_sample_args"] = None
        notes.append("loss_type is CE, which compares with all items: no negatives are drawn")
    return notes


def _with_lists(final: dict[str, Any]) -> list[str]:
    """Give the histories of a sequential model's given parts the numbering of its items.

    Raises:
        UsageError: the parts have no loaded column of histories, or the model reads more than these.
    """
    if not final.get("benchmark_filename"):
        return []
    if final["model"] == "DIEN":
        raise UsageError(
            "DIEN reads a history of negatives too, which RecBole draws where it makes the histories itself: "
            "give one .inter file with times and no benchmark_filename"
        )
    item = final["ITEM_ID_FIELD"]
    history, columns = item + final["LIST_SUFFIX"], (final.get("load_col") or {}).get("inter")
    if isinstance(columns, list) and history not in columns:
        raise UsageError(
            f"{final['model']} reads the history of each row of given parts (benchmark_filename) from "
            f"a column {history}:token_seq, which load_col does not name; give it, or one .inter file with "
            "times and no benchmark_filename"
        )
    aliases = final.get("alias_of_item_id") or []
    if history in aliases:
        return []
    final["alias_of_item_id"] = [*aliases, history]
    return [f"alias_of_item_id has {history}: the items of a history are numbered as items"]


def _in_order(final: dict[str, Any], given: Mapping[str, Any], standard: Mapping[str, Any]) -> list[str]:
    """Give an ``eval_args`` without an order that of sequential models, which train by no other."""
    if standard["order"] != "TO":  # RecBole's defaults of KSR and GRU4RecKG are not those of such models
        standard = {"split": {"LS": "valid_and_test"}, "order": "TO"}
        if "eval_args" not in given and not final.get("benchmark_filename"):
            final["eval_args"] = {
                name: value for name, value in final["eval_args"].items() if name not in standard
            }
    if final.get("benchmark_filename") or "order" in final["eval_args"]:
        return []
    added = {name: standard[name] for name in ("split", "order") if name not in final["eval_args"]}
    final["eval_args"] = {**added, **final["eval_args"]}
    said = " and ".join(f"{name} is {value}" for name, value in added.items())
    return [f"eval_args: {said}, as for every sequential model that is given none"]


def _compares_with_all(final: Mapping[str, Any], model_class: type[Any]) -> bool:
    """Return whether the loss of a sequential model compares with all items."""
    by_loss = model_class.type == ModelType.SEQUENTIAL and not hasattr(model_class, "input_type")
    return by_loss and final.get("loss_type") == "CE"


def check(final: Mapping[str, Any], model_class: type[Any], by_user: bool) -> None:
    """Check the requirements of one of RecBole's models.

    Args:
        final: the values of all layers.
        model_class: the model.
        by_user: whether it ranks all items once per user.

    Raises:
        UsageError: one of them is not met.
    """
    name, kind = final["model"], model_class.type.name.lower()
    if not by_user and final["shift"] != "none":
        raise UsageError(
            f"{name} is a {kind} model, whose data set cannot be split by shift; leave shift out, or use a "
            "general recommender"
        )
    if model_class.type == ModelType.SEQUENTIAL and final["valid_part"] != "iid":
        raise UsageError(
            f"{name} is a sequential model, whose parts follow the order of each user's rows; leave "
            "valid_part out"
        )
    order = final["eval_args"]["order"]
    if model_class.type == ModelType.SEQUENTIAL and not final.get("benchmark_filename") and order != "TO":
        raise UsageError(
            f"eval_args.order is {order!r}, but {name} is a sequential model, whose parts follow the order "
            "of each user's rows; give order: TO, or leave it out"
        )
    negatives = final.get("train_neg_sample_args")
    if _compares_with_all(final, model_class) and negatives not in (None, "None"):
        raise UsageError(
            f"train_neg_sample_args is {negatives}, but {name} with loss_type CE compares with all items; "
            "leave it out, or give loss_type: BPR"
        )
    if not by_user and final["valid_shift"] != "none":
        raise UsageError(
            f"{name} is a {kind} model, whose training part cannot be cut by valid_shift; leave valid_shift "
            "out, or use a general recommender"
        )
    package = PACKAGES.get(name, "")
    if name in PACKAGES and importlib.util.find_spec(package) is None:
        raise UsageError(
            f"{name} of RecBole imports {package}, which is not installed; install it, or use another model"
        )
    option, value, package, distribution = PACKAGES_OF_VALUES.get(name, ("", None, "", ""))
    if option and final.get(option) == value and importlib.util.find_spec(package) is None:
        raise UsageError(
            f"{option} is {value!r}, for which {name} of RecBole imports {package}, which is not installed; "
            f"pip install {distribution}, or give another {option}"
        )
    stage = final.get("train_stage")
    if stage in ("finetune", "critic_pretrain"):
        raise UsageError(
            f"train_stage is {stage!r}: {name} of RecBole then reads the weights of its previous stage from "
            "a file that torch refuses to read since release 2.6; only its first stage runs here"
        )
    check_partitions(final)
    option, *with_file = PRETRAINED.get(name, ("",))
    given = final.get(option)
    if given in with_file or (given and not with_file):
        raise UsageError(
            f"{option} is {given!r}: {name} of RecBole then reads weights from a file that torch refuses to "
            f"read since release 2.6; leave {option} out"
        )
    if _lacks_negatives(final, model_class):
        raise UsageError(
            f"{name} learns from pairs and needs negatives; set train_neg_sample_args to {{distribution: "
            "uniform}"
        )


def _lacks_negatives(final: Mapping[str, Any], model_class: type[Any]) -> bool:
    """Return whether a model compares positives with negatives, but its batches would have none."""
    loss = final.get("loss_type")
    if model_class.loader_class is not None or final.get("negative_sampler") is not None:
        return False  # the model draws them itself, or needs none
    if loss in ("CE", "NLL"):
        return False  # SINE is pairwise by its class, but not with these losses
    by_loss = InputType.PAIRWISE if loss == "BPR" else None
    pairwise = getattr(model_class, "input_type", by_loss) == InputType.PAIRWISE
    negatives = final.get("train_neg_sample_args")
    none = negatives in (None, "None") or negatives.get("distribution") in (None, "none", "None")
    return pairwise and none and not reads_whole_rows(final["model"])


def check_files(config: Any) -> None:
    """Check the files that a model reads besides the interactions.

    RecBole reads a pickled array too, which can run code: it is refused before that.

    Raises:
        UsageError: one is missing, or holds no finite numbers.
    """
    path = Path(config["data_path"]) / "item_emb.npy"
    if config["model"] != "LDiffRec" or config["n_cate"] <= 1:
        return
    remedy = "write a row of numbers for each item, in RecBole's internal order, or set n_cate to 1"
    asked = f"n_cate is {config['n_cate']}: LDiffRec clusters items by their vectors in {path}, which"
    if not path.is_file():
        raise UsageError(f"{asked} is missing; {remedy}")
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{asked} cannot be read as a plain .npy file ({error}); {remedy}") from error
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not np.isfinite(vectors).all():
        raise UsageError(f"{asked} holds {vectors.dtype} of shape {vectors.shape}, or gaps; {remedy}")


def fit_to_data(config: Any, dataset: Any) -> list[str]:
    """Lower options that a model cannot have on a data set of this size; return lines for the log.

    Raises:
        UsageError: one of them cannot be lowered for the user.
    """
    check_size(config, dataset)
    if config["model"] != "NCL":
        return []
    most = min(dataset.user_num, dataset.item_num) - 1
    if config["num_clusters"] <= most:
        return []
    asked, config["num_clusters"] = config["num_clusters"], most
    return [
        f"num_clusters is {most}, not {asked}: NCL cannot make more clusters than there are users or items"
    ]
