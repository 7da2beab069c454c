"""Columns that RecBole's models read as features, by name or by type, checked before a model is made.

RecBole looks them up in the middle of making the model, or of the first batch, without the option's name;
names in ``fields`` that no column has are passed over.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureSource, FeatureType, ModelType
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import refusal

OF_SEQUENCES = ("FDSA", "GRU4RecF", "SASRecF")  # read selected_features, columns of the items
# Sequential models that read the features of users and items, as context-aware ones do.
SEQUENCES_WITH_FEATURES = ("DIN", "DIEN")
WITH_FIELDS = ("FFM", "FwFM")  # read fields, groups of all features
NUMBERS = (FeatureType.FLOAT, FeatureType.FLOAT_SEQ)


def check_numerical(dataset: Any) -> None:
    """Check that ``numerical_features`` has loaded columns of numbers, before RecBole changes them.

    Raises:
        UsageError: it names another column, or one of labels or ratings, which a feature would replace.
    """
    config = dataset.config
    plain = [config["LABEL_FIELD"], *(config["threshold"] or ())]
    plain += [config["RATING_FIELD"]] if config.rating.rating_scale is not None else []
    for name in config["numerical_features"] or ():
        if name in plain:
            raise UsageError(
                f"numerical_features names the column {name!r}, which is read as the number that it is "
                "(LABEL_FIELD, threshold or rating_scale), and not embedded; leave it out of "
                "numerical_features"
            )
        kind = dataset.field2type.get(name)
        if kind not in NUMBERS:
            raise UsageError(
                f"numerical_features names the column {name!r}, which is "
                f"{'not loaded' if kind is None else kind.value}; it takes loaded columns of numbers (float, "
                "float_seq)"
            )


def check_shared_names(dataset: Any) -> None:
    """Check that no two of the loaded files have a column of one name.

    RecBole knows a column by its name alone: it filters and changes that of the last file, and joins its
    values to each row in place of the others.

    Raises:
        UsageError: two have a column of tokens, or one of numbers that an option or the model reads; or a
            file of ``additional_feat_suffix`` has tokens of which nothing says what they name.
    """
    config, ids = dataset.config, {"user": dataset.uid_field, "item": dataset.iid_field}
    columns: dict[str, dict[str, Any]] = {}
    further = config["additional_feat_suffix"] or ()
    for kind in ("inter", "user", "item", *further):
        feat = getattr(dataset, f"{kind}_feat")
        for name in () if feat is None else feat.columns:
            if kind in further:
                _check_numbered(dataset, kind, name)
            if name != ids.get(kind):
                columns.setdefault(name, {})[kind] = feat[name]
    read = {*(config["val_interval"] or ()), *(config["numerical_features"] or ())}
    for name, found in columns.items():
        if len(found) < 2:
            continue
        tokens = not all(map(_are_numbers, found.values()))
        asked = tokens or name in read or config["MODEL_TYPE"] == ModelType.CONTEXT
        text = (
            f"data set {dataset.dataset_name!r}: the column {name!r} is in the files "
            f"{' and '.join(f'.{kind}' for kind in found)}; RecBole knows a column by its name alone and "
            f"reads that of .{list(found)[-1]}: give one another name, or leave it out with load_col or "
            "unload_col"
        )
        if asked and not config.stored:  # an earlier run was trained with it
            raise UsageError(text)
        dataset.logger.warning("%s", text)


def _are_numbers(values: pd.Series) -> bool:
    """Return whether a column as it is read has numbers in each cell, one or several, or nothing."""
    return values.dtype.kind == "f" or all(np.asarray(cell).dtype.kind == "f" for cell in values)


def _check_numbered(dataset: Any, kind: str, name: str) -> None:
    """Refuse tokens of a further file that RecBole gives no numbers, and cannot make a tensor of.

    Raises:
        UsageError: no ``alias_of_...`` names the column.
    """
    config, ends = dataset.config, ("user_id", "item_id", "entity_id", "relation_id")
    known = {one for end in ends for one in config[f"alias_of_{end}"] or ()}
    known |= set(config["preload_weight"] or ())  # which is checked with the ids
    if dataset.field2type[name] not in NUMBERS and name not in known:
        own = f"more_{name}" if name in (dataset.uid_field, dataset.iid_field) else name
        raise UsageError(
            f"data set {dataset.dataset_name!r}: the column {name!r} of the file .{kind} "
            "(additional_feat_suffix) has tokens, and nothing says whose ids they are; "
            f"{'' if own == name else f'give it a name of its own, such as {own}, and '}name it in one of "
            f"{', '.join(f'alias_of_{end}' for end in ends)}, such as alias_of_item_id: [{own}], or leave it "
            "out with load_col"
        )


def check_features(config: Any, dataset: Any) -> None:
    """Check the features that a model of RecBole reads.

    Args:
        config: the run's configuration.
        dataset: the whole data set.

    Raises:
        UsageError: a named column is not loaded, or of a kind that the model does not read; or the items that
            are ranked have no such column.
    """
    _check_context(config, dataset)
    if config["model"] == "S3Rec":
        _check_attribute(config, dataset)
    elif config["model"] in OF_SEQUENCES:
        _check_selected(config, dataset)
    elif config["model"] in WITH_FIELDS and config["fields"] is not None and not config.stored:
        # An earlier run was trained with names that RecBole passed over.
        _check_fields(config["fields"], _features(config, dataset))


def _check_attribute(config: Any, dataset: Any) -> None:
    name = config["item_attribute"]
    if not isinstance(name, str):
        raise refusal("item_attribute", name, "the name of a column of the items, such as class")
    _require_column("item_attribute", name, dataset, [FeatureType.TOKEN, FeatureType.TOKEN_SEQ])


def _check_selected(config: Any, dataset: Any) -> None:
    names = config["selected_features"]
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise refusal("selected_features", names, "a list of columns of the items, such as [class]")
    for name in names:
        if name == dataset.iid_field:  # always there, also without a file of the items
            continue
        numbers = NUMBERS if name in (config["numerical_features"] or ()) else ()
        _require_column(
            "selected_features", name, dataset, [FeatureType.TOKEN, FeatureType.TOKEN_SEQ, *numbers]
        )


def _require_column(option: str, name: str, dataset: Any, kinds: Sequence[FeatureType]) -> None:
    """Refuse a name that no loaded column of the items has, or one of another kind."""
    model, table = dataset.config["model"], dataset.item_feat
    if table is None or name not in table:
        id_field = dataset.iid_field
        there = [] if table is None else [one for one in table.columns if one != id_field]
        only = f", only {', '.join(there)}" if there else ""
        raise UsageError(
            f"{option} names {name!r}, but data set {dataset.dataset_name!r} has no such column of the items "
            f"here{only}; {model} reads features of the items: load them with load_col, such as item: "
            f"[{id_field}, {name}], and name them with {option}"
        )
    kind = dataset.field2type[name]
    if kind not in kinds:
        among = "; numbers are read if numerical_features names them" if option != "item_attribute" else ""
        raise UsageError(
            f"{option} names the column {name!r}, which is {kind.value}; {model} reads "
            f"{', '.join(one.value for one in kinds)} there{among}"
        )


def _features(config: Any, dataset: Any) -> list[str]:
    """Return the columns that a context-aware model of RecBole embeds."""
    sources = ["INTERACTION", "USER", "USER_ID", "ITEM", "ITEM_ID"]
    names = dataset.fields(source=[getattr(FeatureSource, one) for one in sources])
    return [
        name
        for name in names
        if name != config["LABEL_FIELD"]
        and (dataset.field2type[name] not in NUMBERS or name in (config["numerical_features"] or ()))
    ]


def _check_fields(fields: Any, features: list[str]) -> None:
    """Check groups of features by number: RecBole takes the number for a place in a list."""
    example = "{0: [user_id], 1: [item_id, class]}"
    lists = isinstance(fields, dict) and all(isinstance(one, list) for one in fields.values())
    if not lists or not fields or set(fields) != set(range(len(fields))):
        takes = f"lists of columns by whole numbers from 0 without a gap, such as {example}"
        raise refusal("fields", fields, takes)
    named = [name for one in fields.values() for name in one]
    there = f"the features here are {', '.join(features)}"
    if unknown := [str(name) for name in named if name not in features]:
        raise UsageError(f"fields names {', '.join(unknown)}, which is no feature of the model; {there}")
    if others := [name for name in features if named.count(name) != 1]:
        raise UsageError(
            f"fields has {', '.join(others)} not at all or several times; each feature is in one field, and "
            f"{there}"
        )


def _check_context(config: Any, dataset: Any) -> None:
    """Check that a context-aware model of RecBole that ranks all items reads no column of interactions.

    Raises:
        UsageError: it does; the items that a user does not have lack such a value.
    """
    of_recbole = config.model_class.__module__.startswith("recbole.model.")
    if config.model_class.type != ModelType.CONTEXT or not of_recbole:
        return
    if "full" not in config["eval_args"]["mode"].values():
        return
    plain = {config[option] for option in ("USER_ID_FIELD", "ITEM_ID_FIELD", "LABEL_FIELD")}
    plain |= {*((config["unused_col"] or {}).get("inter") or ())}
    numbers = config["numerical_features"] or ()
    kinds = {name: dataset.field2type[name].value for name in dataset.inter_feat}
    read = [
        name
        for name, kind in kinds.items()
        if name not in plain and (kind.startswith("token") or name in numbers)
    ]
    if read:
        raise UsageError(
            f"eval_args.mode full ranks all items, but {config['model']} reads {', '.join(read)} of each "
            "interaction, which an item that the user does not have lacks; leave such columns out of "
            "load_col.inter, or take eval_args.mode uni100, whose drawn items have those of the held-out row"
        )


def unread_numbers(config: Any, dataset: Any) -> list[str]:
    """Return a line on columns of numbers that a model with features leaves out: no option names them."""
    if config.model_class.type != ModelType.CONTEXT and config["model"] not in SEQUENCES_WITH_FEATURES:
        return []
    read = {*(config["numerical_features"] or ()), *(config["threshold"] or ())}
    read |= {config[option] for option in ("LABEL_FIELD", "RATING_FIELD", "TIME_FIELD")}
    feats = (dataset.inter_feat, dataset.user_feat, dataset.item_feat)
    columns = dict.fromkeys(name for feat in feats if feat is not None for name in feat)
    unread = [
        name for name in columns if name not in read and dataset.field2type[name].value.startswith("float")
    ]
    if not unread or config.stored:
        return []
    return [
        f"{config['model']} reads the columns of numbers that numerical_features names, and not "
        f"{', '.join(unread)}"
    ]
