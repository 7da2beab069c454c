"""The items of users as CSR arrays: what is held out of each, and what is left out of each list."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_diffusion.compat import RepeatableSampler
from recbole_diffusion.data.grouping import distinct

Cells = tuple[Tensor, Tensor]  # rows of a block of users and item ids, long [pairs] each


class UserItems:
    """Distinct items of users: those of user u are ``items[starts[u] : starts[u + 1]]``.

    Attributes:
        starts: int64 [n_users + 1].
        items: int32 [pairs], ascending within a user.

    Args:
        keys: from :func:`pair_keys`.
        n_users: number of user ids.
        n_items: number of item ids.
    """

    def __init__(self, keys: np.ndarray, n_users: int, n_items: int) -> None:
        self.starts = np.searchsorted(keys, np.arange(n_users + 1, dtype=np.int64) * n_items)
        self.items = (keys % n_items).astype(np.int32)

    def of(self, user: int) -> np.ndarray:
        """Return the items of one user, int32."""
        return self.items[self.starts[user] : self.starts[user + 1]]

    def cells(self, users: np.ndarray) -> Cells:
        """Return the pairs of a block of users, int64 [block], ascending, as rows of the block and items."""
        counts = self.starts[users + 1] - self.starts[users]
        rows = np.repeat(np.arange(len(users)), counts)
        if len(users) and users[-1] - users[0] + 1 == len(users):  # one after the other, as is usual
            items = self.items[self.starts[users[0]] : self.starts[users[-1] + 1]]
        else:
            items = self.items[
                np.arange(len(rows)) + (self.starts[users] - (np.cumsum(counts) - counts))[rows]
            ]
        return torch.from_numpy(rows), torch.from_numpy(items.astype(np.int64))


def pair_keys(parts: Sequence[Any]) -> np.ndarray:
    """Return the distinct pairs of data sets as ``user * n_items + item``, int64, ascending."""
    keys = [
        np.asarray(part.inter_feat[part.uid_field]).astype(np.int64) * part.item_num
        + np.asarray(part.inter_feat[part.iid_field])
        for part in parts
    ]
    return distinct(np.concatenate([np.zeros(0, np.int64), *keys]))


def without(keys: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the keys that are not among others; both ascending and distinct."""
    if not len(others):
        return keys
    return keys[others[np.searchsorted(others, keys).clip(max=len(others) - 1)] != keys]


def used_parts(sampler: Any) -> list[Any]:
    """Return the data sets whose pairs a sampler of RecBole counts as used; none if items are repeatable."""
    if isinstance(sampler, RepeatableSampler):
        return []
    return sampler.datasets[: sampler.phases.index(sampler.phase) + 1]
