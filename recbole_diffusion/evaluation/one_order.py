"""Lists that are one list: a model that ranks the items alike for all users recommends nothing to anybody.

A collapsed training does that, as of a network whose units are all 0, or of vectors that weight_decay has
taken away. Its recall is that of a fixed order of the items, often near that of popularity, and looks right.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse.csgraph import connected_components

USERS = 500  # whose lists are compared
LEAST_USERS, LEAST_PLACES = 20, 3
LISTS_OF_AN_ITEM = 10  # on average: of items that few users are listed, any order is one
UNLIKE = 0.01  # share of the pairs, and of the places, that may have another order


def in_one_order(items: np.ndarray, seen: Callable[[int], np.ndarray]) -> bool:
    """Return whether lists are what one order of the items leaves without those that each user has seen.

    Args:
        items: item ids from the first place to the last, [n, K]; 0 where no items were left.
        seen: returns the items left out of the list in a row.
    """
    n, places = items.shape
    if n < LEAST_USERS or places < LEAST_PLACES:
        return False
    rows = np.linspace(0, n - 1, min(n, USERS)).astype(int)
    lists = items[rows]
    ids = np.unique(lists[lists > 0])
    listed = np.count_nonzero(lists)
    if listed < LISTS_OF_AN_ITEM * max(len(ids), 1):
        return False
    numbers = np.searchsorted(ids, lists)
    # How often an item stands above another one, [items, items].
    upper, lower = np.triu_indices(places, 1)
    there = lists[:, lower] > 0
    cells = numbers[:, upper][there] * len(ids) + numbers[:, lower][there]
    above = np.bincount(cells, minlength=len(ids) ** 2).reshape(len(ids), len(ids))
    if np.minimum(above, above.T).sum() / 2 > UNLIKE * above.sum():
        return False
    over = above > above.T
    if connected_components(over, directed=False)[0] > 1:  # users of other items each
        return False
    # An item above one that the user is listed is listed too, or seen, [users, items].
    known = np.zeros((len(rows), len(ids)), bool)
    users, column = (lists > 0).nonzero()
    known[users, numbers[users, column]] = True
    missing = (known.astype(np.float32) @ over.T.astype(np.float32) > 0) & ~known
    for place, row in enumerate(rows):
        missing[place, np.isin(ids, seen(int(row)))] = False
    return bool(missing.sum() <= UNLIKE * listed)
