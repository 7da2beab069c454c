"""Options of RecBole that only some kinds of models read, and that others pass over in silence."""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.compat import ModelType, recbole_transform
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import refusal
from recbole_diffusion.options.keys_read import keys_read_by

OF_SEQUENCES = ("MAX_ITEM_LIST_LENGTH", "LIST_SUFFIX", "ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD")
OF_GRAPHS = ("kg_reverse_r", "entity_kg_num_interval", "relation_kg_num_interval")
OF_FEATURES = ("numerical_features", "discretization")
WITH_FEATURES = (ModelType.CONTEXT, ModelType.SEQUENTIAL, ModelType.DECISIONTREE)
FEATURE_LAYERS = frozenset({"FeatureSeqEmbLayer", "ContextSeqEmbLayer"})  # of RecBole's sequential models
OVER_GRAPHS = ("KSR", "GRU4RecKG")  # sequential models with a graph of knowledge
OURS = ("recbole", "recbole_diffusion")  # packages of models whose code is known
# The column that each transform adds to a batch, by the name under which a model reads it.
ADDED = {
    "mask_itemseq": "MASK_ITEM_SEQ",
    "inverse_itemseq": "INVERSE_ITEM_SEQ",
    "crop_itemseq": "CROP_ITEM_SEQ",
    "reorder_itemseq": "REORDER_ITEM_SEQ",
}

_NO_CODE = (lambda: None).__code__


def unread_by(model: str, model_class: type[Any]) -> dict[str, str]:
    """Return the options that a model of this kind does not read, each with the reason.

    Args:
        model: its name.
        model_class: its class.
    """
    kind, read = model_class.type, _read(model_class)
    reasons: dict[str, str] = {}
    if kind != ModelType.SEQUENTIAL:
        reasons |= dict.fromkeys(OF_SEQUENCES, f"{model} reads no sequences")
    if kind != ModelType.KNOWLEDGE:
        reasons |= dict.fromkeys(OF_GRAPHS, f"{model} reads no graph of knowledge")
    ours = model_class.__module__.partition(".")[0] in OURS
    names = _names_of_code(model_class)
    plain = ours and kind == ModelType.SEQUENTIAL and not names & FEATURE_LAYERS
    if kind not in WITH_FEATURES or plain:
        reasons |= dict.fromkeys(OF_FEATURES, f"{model} embeds no columns of numbers")
    if ours and "get_preload_weight" not in names:
        reasons["preload_weight"] = f"{model} asks for no given vectors"
    reasons["save_step"] = "a first stage has the checkpoints of every run, see checkpoint_interval"
    reasons["require_pow"] = f"the loss of {model} has no such penalty"
    return {name: reason for name, reason in reasons.items() if name not in read}


def unread_files(final: Mapping[str, Any], model_class: type[Any]) -> list[str]:
    """Return the files that ``load_col`` names and no data set of this run loads."""
    suffixes = final.get("additional_feat_suffix") or []
    loaded = {"inter", "user", "item", *([suffixes] if isinstance(suffixes, str) else suffixes)}
    if model_class.type == ModelType.KNOWLEDGE or model_class.__module__.partition(".")[0] not in OURS:
        loaded |= {"kg", "link"}
    if final["model"] in OVER_GRAPHS:
        loaded |= {"kg", "link"}
    return [name for name in final.get("load_col") or () if name not in loaded]


def _names_of_code(model_class: type[Any]) -> frozenset[str]:
    """Return the names that the methods of a class and its parents read or call."""
    functions = (one for parent in model_class.__mro__ for one in vars(parent).values())
    return frozenset(name for one in functions for name in getattr(one, "__code__", _NO_CODE).co_names)


def _read(model_class: type[Any]) -> frozenset[str]:
    # mypy takes a class for unhashable: it looks up __hash__ of its instances.
    return keys_read_by(model_class)  # type: ignore[arg-type]


def check_transform(final: Mapping[str, Any], model_class: type[Any]) -> None:
    """Check ``transform``: it adds a column of changed sequences to a batch, which few models read.

    A model from elsewhere may read that column by any name, or make its own: RecBole's and ours alone are
    judged.

    Raises:
        UsageError: no such name, or one that the model does not read, or none although it reads one; or masks
            too few to mask an item.
    """
    name, read = final.get("transform"), _read(model_class)
    if name not in (*ADDED, "user_defined", None):
        raise refusal("transform", name, f"{', '.join(ADDED)}, user_defined or null")
    if name == "user_defined" and recbole_transform.UserDefinedTransform.__call__.__module__.startswith(
        "recbole."
    ):
        raise UsageError(
            "transform is 'user_defined', but RecBole's class of this name is empty; give "
            "recbole.data.transform.UserDefinedTransform a __call__ of your own, or leave transform out"
        )
    share, most = final.get("mask_ratio"), final.get("MAX_ITEM_LIST_LENGTH")
    if name == "mask_itemseq" and share is not None and most and int(share * most) < 1:
        raise refusal(
            "mask_ratio",
            share,
            f"{1 / most:.3g} or more with MAX_ITEM_LIST_LENGTH {most}: one item is masked then",
        )
    if name == "user_defined" or model_class.__module__.partition(".")[0] not in OURS:
        return
    needed = [one for one, column in ADDED.items() if column in read]
    if needed and name not in needed:
        raise refusal("transform", name, f"{needed[0]} with {final['model']}, which reads what it makes")
    if name in ADDED and not needed:
        raise UsageError(
            f"transform is {name!r}, but {final['model']} does not read the sequences that it makes; leave "
            "it out"
        )
