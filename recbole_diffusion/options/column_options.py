"""Options of RecBole that name columns, checked before data loads.

RecBole reads a text letter by letter where a list is meant, and finds out about the rest in the middle of
its reading, without the option's name.
"""

from collections.abc import Mapping
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import refusal

LISTS = (
    "normalize_field",
    "numerical_features",
    "alias_of_user_id",
    "alias_of_item_id",
    "alias_of_entity_id",
    "alias_of_relation_id",
)
METHODS = ("ED", "LD")


def check_columns(final: Mapping[str, Any]) -> None:
    """Check the options that name columns.

    Args:
        final: the values of all layers.

    Raises:
        UsageError: one that RecBole would refuse late, or misread.
    """
    users, items = final["USER_ID_FIELD"], final["ITEM_ID_FIELD"]
    if users == items:
        raise UsageError(
            f"USER_ID_FIELD and ITEM_ID_FIELD are both {users!r}; users and items are two columns, name both"
        )
    for name in LISTS:
        value = final.get(name)
        if value is not None and not (
            isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        ):
            raise refusal(name, value, "a list of names of columns, such as [price]")
    lengths = final.get("seq_len")
    if lengths is not None and not (
        isinstance(lengths, dict) and all(type(one) is int and one > 0 for one in lengths.values())
    ):
        raise refusal("seq_len", lengths, "a whole number from 1 by column, such as {words: 50}")
    _check_discretization(final)


def _check_discretization(final: Mapping[str, Any]) -> None:
    given = final.get("discretization")
    if not given:
        return
    if not isinstance(given, dict):
        raise refusal(
            "discretization", given, "a method by column, such as {price: {method: ED, bucket: 10}}"
        )
    for column, how in given.items():
        takes = "{method: ED, bucket: a whole number from 1} or {method: LD}"
        method = how.get("method") if isinstance(how, dict) else None
        known = isinstance(how, dict) and not set(how) - {"method", "bucket"} and method in METHODS
        bucket = how.get("bucket") if known else None
        if not known or (method == "ED" and not (type(bucket) is int and bucket > 0)):
            raise refusal(f"discretization.{column}", how, takes)
        if column not in (final.get("numerical_features") or ()):
            raise UsageError(
                f"discretization names the column {column!r}, which numerical_features does not; add it "
                f"there, such as numerical_features: [{column}]"
            )
        kept = [final["LABEL_FIELD"], *(final.get("threshold") or ())]
        kept += [final["RATING_FIELD"]] if final.get("rating_scale") is not None else []
        if column in kept:
            raise UsageError(
                f"discretization names the column {column!r}, which is read as the number that it is "
                "(LABEL_FIELD, threshold or rating_scale); leave it out of discretization"
            )
