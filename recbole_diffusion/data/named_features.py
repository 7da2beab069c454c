"""Columns that options of RecBole's models name as features, checked before a model is made.

RecBole looks them up in the middle of making the model, or of the first batch, without the option's name;
names in ``fields`` that no column has are passed over.
"""

from collections.abc import Sequence
from typing import Any

from recbole_diffusion.compat import FeatureSource, FeatureType
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import refusal

OF_SEQUENCES = ("FDSA", "GRU4RecF", "SASRecF")  # read selected_features, columns of the items
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


def check_features(config: Any, dataset: Any) -> None:
    """Check the features that the options of a model of RecBole name.

    Args:
        config: the run's configuration.
        dataset: the whole data set.

    Raises:
        UsageError: a column is not loaded, or of a kind that the model does not read.
    """
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
