"""Fingerprints of a run's data, which tell different splits apart, and changed data under a trained model."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import ModelType
from recbole_diffusion.data.ratings import rating_column

BESIDE = ("features", "neighbours")  # what a model reads beside interactions, by the start of its name
BY_ID = (*BESIDE, "columns of users", "columns of items")  # whose rows are in the order of the ids
BLOCK = 4096  # rows of features that are read at once


def part_fingerprints(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the number of interactions and the fingerprints of each part.

    A fingerprint is a sum over the part's pairs of user and item **tokens**: it does not depend on the order
    of rows, on internal ids or on other columns, and the fingerprint of two parts together is the sum of
    theirs (:func:`joined`). Each other column, such as ratings and times, has a fingerprint of its own, a sum
    over pairs with their values.

    Args:
        parts: data sets by name; each has ``inter_feat``, and fields of user and item.

    Returns:
        ``rows``, ``fingerprint`` (16 hexadecimal digits) and ``columns`` (the same by name) by part; nothing
        for data without users or items.
    """
    if any(
        field not in part.inter_feat for part in parts.values() for field in (part.uid_field, part.iid_field)
    ):
        return {}
    hashes: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # the parts of one data set share their tokens
    found = {}
    for name, part in parts.items():
        key = id(part.field2id_token[part.uid_field])
        if key not in hashes:
            hashes[key] = _hashes_of(part)
        users, items = (np.asarray(part.inter_feat[field]) for field in (part.uid_field, part.iid_field))
        pairs = _of_pairs(*hashes[key], users, items)
        columns = {column: _digits(_with(pairs, values)) for column, values in _columns_of(part).items()}
        found[name] = {"rows": len(users), "fingerprint": _digits(pairs), "columns": columns}
    return found


def first_rows(parts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the number and the fingerprint of interactions that sequential parts hold in histories alone.

    The first one of each user has no history before it, and so no row of its own. None for other parts, for
    histories that the files give, and for those of one item, all of which look like first ones.
    """
    found, rows = np.uint64(0), 0
    for part in parts.values():
        config = part.config
        if config["MODEL_TYPE"] != ModelType.SEQUENTIAL or config["benchmark_filename"]:
            return None
        if config["MAX_ITEM_LIST_LENGTH"] == 1:
            return None
        alone = np.asarray(part.inter_feat[config["ITEM_LIST_LENGTH_FIELD"]]) == 1
        users = np.asarray(part.inter_feat[part.uid_field])[alone]
        items = np.asarray(part.inter_feat[part.iid_field + config["LIST_SUFFIX"]])[alone, 0]
        pairs = _of_pairs(*_hashes_of(part), users, items)
        found, rows = found + pairs.sum(dtype=np.uint64), rows + len(pairs)
    return {"rows": rows, "fingerprint": f"{int(found):016x}"}


def data_fingerprints(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return :func:`part_fingerprints` and, in the same form, those of all else that a run may learn from.

    These are, where the data has them, the ``source`` domain, the ``columns of users``, ``of items`` and
    ``of the graph`` of knowledge, and the ``features NAME`` of each modality.

    Args:
        parts: the parts of one data set by name, ``train`` among them.
    """
    return part_fingerprints(parts) | _beside(parts["train"])


def whole_fingerprints(dataset: Any) -> dict[str, dict[str, Any]]:
    """Return :func:`data_fingerprints` of a data set before it is split, its interactions as ``data``."""
    return part_fingerprints({"data": dataset}) | _beside(dataset)


def _beside(train: Any) -> dict[str, dict[str, Any]]:
    """Return the fingerprints of what a data set has beside its interactions."""
    found: dict[str, dict[str, Any]] = {}
    if getattr(train, "source", None) is not None:
        found |= part_fingerprints({"source": train.source})
    for name, feat in (("users", "user_feat"), ("items", "item_feat"), ("the graph", "kg_feat")):
        table = getattr(train, feat, None)
        if table is not None:
            rows = np.arange(len(table), dtype=np.uint64)
            columns = [column for column in table.columns if not _of_lists(table[column])]
            values = {column: _digits(_with(_mixed(rows), table[column])) for column in columns}
            found[f"columns of {name}"] = {"rows": len(rows), "fingerprint": "", "columns": values}
    for name, modality in (getattr(train, "modalities", None) or {}).items():
        found[f"features {name}"] = {"rows": len(modality.rows), "fingerprint": _of_features(modality)}
    for name, content in (getattr(train, "neighbour_prints", None) or {}).items():
        size = len(train.modalities[name].rows)
        found[f"neighbours {name}"] = {"rows": size, "fingerprint": content}
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any], same_ids: bool = True) -> dict[str, str]:
    """Return what is new in each part of the data that has changed, as text by the part's name.

    What was not recorded before, or is not loaded now, is not compared.

    Args:
        before: from :func:`data_fingerprints` or :func:`part_fingerprints`, also of an earlier version; empty
            if nothing was recorded.
        now: from the same function.
        same_ids: whether users and items have the numbers that they had, by which features are in order.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys((*before, *now)) if before and now else ():
        if name not in before or name not in now:
            if not name.startswith(("columns", *BESIDE)) and name != "source":
                found[name] = f"{name} is {'no longer' if name in before else 'now'} there"
            continue
        old, new = before[name], now[name]
        both = old.get("columns", {}).keys() & new.get("columns", {}).keys()
        changed = sorted(column for column in both if old["columns"][column] != new["columns"][column])
        if old["rows"] != new["rows"]:
            found[name] = f"{name} has {new['rows']:,} rows where it had {old['rows']:,}"
        elif not same_ids and name.startswith(BY_ID):
            if changed or old["fingerprint"] != new["fingerprint"]:
                found[name] = (
                    f"{name} cannot be compared, as users or items have another order (they go by their ids)"
                )
        elif old["fingerprint"] != new["fingerprint"] and name.startswith(BESIDE):
            found[name] = f"{name} are not what they were"
        elif old["fingerprint"] != new["fingerprint"]:
            found[name] = f"{name} has other rows, {new['rows']:,} as before"
        elif changed:
            found[name] = f"{name} has other values of {', '.join(changed)}"
    return found


def joined(*fingerprints: str) -> str:
    """Return the fingerprint of several parts together."""
    return f"{sum(int(one, 16) for one in fingerprints) % 2**64:016x}"


def _hashes_of(part: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return 64-bit hashes of the tokens of all users and of all items, [n_users] and [n_items]."""
    return _of_tokens(part.field2id_token[part.uid_field]), _of_tokens(part.field2id_token[part.iid_field])


def _of_pairs(of_users: np.ndarray, of_items: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return a hash of each pair, [n], from the hashes of tokens and the pairs' ids."""
    return _mixed(_mixed(of_users[users]) + of_items[items])


def _of_tokens(tokens: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each token, [n]."""
    return pd.util.hash_array(np.asarray(tokens, dtype=str).astype(object))


def _columns_of(part: Any) -> dict[str, Any]:
    """Return the columns of a part besides user and item, ratings that became labels included."""
    columns = {name: part.inter_feat[name] for name in part.inter_feat.columns}
    columns = {
        name: values
        for name, values in columns.items()
        if np.ndim(values) == 1 and not _of_lists(values)  # no sequences
    }
    if getattr(part, "kept_ratings", None) is not None:
        columns[part.config["RATING_FIELD"]] = rating_column(part)
    return {name: values for name, values in columns.items() if name not in (part.uid_field, part.iid_field)}


def _of_lists(values: Any) -> bool:
    """Return whether a column holds sequences, in a table that is no tensor yet."""
    return getattr(values, "dtype", None) == np.dtype(object)


def _with(hashes: np.ndarray, values: Any) -> np.ndarray:
    """Return hashes of rows [n] together with the values of a column, [n] or [n, width]."""
    numbers = np.asarray(values, dtype=np.float64) + 0.0  # -0.0 becomes 0.0
    numbers = np.where(np.isnan(numbers), np.nan, numbers).reshape(len(hashes), -1)
    for column in np.ascontiguousarray(numbers.T).view(np.uint64):
        hashes = _mixed(_mixed(hashes) + column)
    return hashes


def _of_features(modality: Any) -> str:
    """Return a fingerprint of the rows of a modality in the order of the items."""
    digest = hashlib.blake2b(digest_size=8)
    for rows in np.array_split(modality.rows, -(-len(modality.rows) // BLOCK)):
        digest.update(modality.values[rows].astype(np.float32).tobytes())
    return digest.hexdigest()


def _digits(hashes: np.ndarray) -> str:
    """Return the sum of hashes as 16 hexadecimal digits."""
    return f"{int(hashes.sum(dtype=np.uint64)):016x}"


def _mixed(values: np.ndarray) -> np.ndarray:
    """Return 64-bit hashes, in which every bit depends on every given bit (the finalizer of SplitMix64)."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> np.uint64(27))
    values = values * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def id_fingerprint(dataset: Any) -> str:
    """Return a short text that differs if users or items have other internal ids, to which weights belong.

    It includes those of a source domain.
    """
    digest, source = hashlib.sha256(), getattr(dataset, "source", None)
    for domain in (dataset, source) if source is not None else (dataset,):
        for field in (domain.uid_field, domain.iid_field):
            digest.update("\n".join(map(str, domain.field2id_token[field])).encode() + b"\0")
    return digest.hexdigest()[:16]
