"""Users with the very items of another one: one person under two names, as of a file appended twice."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from recbole_diffusion.data.user_items import pair_keys
from recbole_diffusion.errors import counted

LEAST = 5  # items: fewer are the same by chance
CATALOGUE = 50  # items: of fewer many users have the same ones
SHARE = 0.1  # of the users with so many items

logger = logging.getLogger(__name__)


def tell_twin_users(dataset: Any, parts: Mapping[str, Any]) -> None:
    """Warn if many users have exactly the items of another user, in all parts together.

    What is held out of the one is then among the training rows of the other.

    Args:
        dataset: the whole data set.
        parts: train, valid and the test parts by name.
    """
    if dataset.item_num <= CATALOGUE:
        return
    users, items = np.divmod(pair_keys(list(parts.values())), dataset.item_num)
    sizes = np.bincount(users, minlength=dataset.user_num)
    marks = np.random.default_rng(0).random((dataset.item_num, 2))
    sums = np.stack([np.bincount(users, one[items], dataset.user_num) for one in marks.T], axis=1)
    several = np.flatnonzero(sizes >= LEAST)
    if not len(several):
        return
    of_users = np.column_stack([sizes[several], sums[several].round(6)])
    _, first, group, counts = np.unique(
        of_users, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    again = np.setdiff1d(np.arange(len(several)), first)
    if len(again) >= max(SHARE * len(several), 2):
        group = group.reshape(-1)
        pair = several[[first[group[again[0]]], again[0]]]
        logger.warning(
            "data set %r: %d of the %s with %d items and more have exactly those of another, such as %s: if "
            "they are one person under two names, held-out items of the one are among the training rows of "
            "the other; keep one of them",
            *(dataset.dataset_name, int((counts[group] > 1).sum()), counted(len(several), "user"), LEAST),
            " and ".join(map(str, dataset.id2token(dataset.uid_field, pair))),
        )
