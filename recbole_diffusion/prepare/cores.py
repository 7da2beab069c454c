"""The k-core of interactions: the largest part in which every user and every item has k rows."""

import numpy as np


def k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Return which rows are in the k-core, bool [rows].

    Users and items with fewer than k of the rows that are left go, until none does.

    Args:
        users: codes from 0, int [rows].
        items: codes from 0, int [rows].
        k: least number of rows of a user and of an item.
    """
    kept = np.arange(len(users))
    while True:
        enough = np.ones(len(kept), bool)
        for codes in (users[kept], items[kept]):
            enough &= np.bincount(codes)[codes] >= k
        if enough.all():
            break
        kept = kept[enough]
    found = np.zeros(len(users), bool)
    found[kept] = True
    return found
