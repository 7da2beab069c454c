"""The rows that the weights of a new run were trained on before, in earlier runs one after the other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.data.kept_rows import EARLIER, KeptRows
from recbole_diffusion.trainer.moved_weights import shared_ids


def learned_before(kept: KeptRows, train: Any) -> dict[str, np.ndarray]:
    """Return the pairs that an earlier run has learned, itself or in the weights that it began with.

    Args:
        kept: the rows of that run.
        train: a part of today's data.

    Returns:
        Today's ids by column of users and of items, int64 [pairs], each pair once; those of users and items
        whom today's data lacks are left out.
    """
    parts = [kept.parts["train"], *([kept.parts[EARLIER]] if EARLIER in kept.parts else [])]
    keys = []
    for ids, field in zip(shared_ids(kept, train), (kept.user_field, kept.item_field), strict=True):
        today = np.zeros(ids.sizes[0], np.int64)
        today[ids.old.numpy()] = ids.new.numpy()
        keys.append(today[np.concatenate([part[field] for part in parts])])
    both = (keys[0] > 0) & (keys[1] > 0)
    pairs = np.unique(np.stack([keys[0][both], keys[1][both]], 1), axis=0)
    return {train.uid_field: pairs[:, 0], train.iid_field: pairs[:, 1]}


def seen_rows(earlier: Mapping[str, np.ndarray], parts: Mapping[str, Any]) -> dict[str, int]:
    """Return, by held-out part of today's data, how many of its rows are pairs that were learned before.

    Args:
        earlier: the pairs, from :func:`learned_before`.
        parts: today's held-out data sets by name.
    """
    found = {}
    for name, part in parts.items():
        users, items = (np.asarray(part.inter_feat[field]) for field in (part.uid_field, part.iid_field))
        learned = earlier[part.uid_field] * part.item_num + earlier[part.iid_field]
        found[name] = int(np.isin(users * part.item_num + items, learned).sum())
    return found
