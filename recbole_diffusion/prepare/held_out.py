"""A validation part out of published training rows: the same rows on every machine, those of the tables.

Each row gets a number from the generator of :data:`SEED`, in the order of the file; of a user's rows those
with the smallest numbers are held out, a tenth of them, and each item keeps a row in training.
"""

import numpy as np

SEED = 2026  # of the published tables


def lowest_tenth(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Hold out the whole tenth of each user's rows; of an item without any other row, all stay.

    Args:
        users: codes from 0, int64 [rows].
        items: codes from 0, int64 [rows].

    Returns:
        Which rows are held out, bool [rows].
    """
    order, place, size = _by_draw(users)
    chosen = np.zeros(len(users), bool)
    chosen[order] = place < size // 10
    left = np.bincount(items[~chosen], minlength=int(items.max(initial=-1)) + 1)
    return chosen & (left[items] > 0)


def nearest_tenth(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Hold out the tenth of each user's rows, rounded, half up; a row that is its item's last gives way.

    The user's row with the next number takes its place. Users are taken in the order of their codes.

    Args:
        users: codes from 0, int64 [rows].
        items: codes from 0, int64 [rows].

    Returns:
        Which rows are held out, bool [rows].
    """
    order, _, size = _by_draw(users)
    left = np.bincount(items).tolist()
    taken = [0] * (int(users.max(initial=-1)) + 1)
    chosen = np.zeros(len(users), bool)
    columns = (column.tolist() for column in (order, size, users[order], items[order]))
    for row, many, user, item in zip(*columns, strict=True):
        # floor(n / 10 + 1/2) in whole numbers
        if taken[user] < (many + 5) // 10 and left[item] > 1:
            chosen[row] = True
            taken[user] += 1
            left[item] -= 1
    return chosen


def _by_draw(users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows user by user in the order of their draws, their places therein, and the users' rows."""
    draw = np.random.default_rng(SEED).random(len(users))
    order = np.lexsort((draw, users))
    counts = np.bincount(users)
    begins = np.repeat(np.cumsum(counts) - counts, counts)
    return order, np.arange(len(users)) - begins, np.repeat(counts, counts)
