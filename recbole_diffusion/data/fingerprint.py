"""Fingerprints of the parts of a run's data, which tell runs on different splits apart."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd


def part_fingerprints(parts: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the number of interactions and a fingerprint of each part.

    A fingerprint is a sum over the part's pairs of user and item **tokens**: it does not depend on the order
    of rows, on internal ids or on other columns, and the fingerprint of two parts together is the sum of
    theirs (:func:`joined`).

    Args:
        parts: data sets by name; each has ``inter_feat``, and fields of user and item.

    Returns:
        ``rows`` and ``fingerprint`` (16 hexadecimal digits) by part; nothing for data without users or items.
    """
    if any(
        field not in part.inter_feat for part in parts.values() for field in (part.uid_field, part.iid_field)
    ):
        return {}
    hashes: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # the parts of one data set share their tokens
    found = {}
    for name, part in parts.items():
        tokens = part.field2id_token[part.uid_field], part.field2id_token[part.iid_field]
        key = id(tokens[0])
        if key not in hashes:
            user_hashes, item_hashes = (
                pd.util.hash_array(np.asarray(column, dtype=str).astype(object)) for column in tokens
            )
            hashes[key] = user_hashes, item_hashes
        of_users, of_items = hashes[key]
        users, items = (part.inter_feat[field].numpy() for field in (part.uid_field, part.iid_field))
        pairs = _mixed(_mixed(of_users[users]) + of_items[items])
        found[name] = {"rows": len(users), "fingerprint": f"{int(pairs.sum(dtype=np.uint64)):016x}"}
    return found


def joined(*fingerprints: str) -> str:
    """Return the fingerprint of several parts together."""
    return f"{sum(int(one, 16) for one in fingerprints) % 2**64:016x}"


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
