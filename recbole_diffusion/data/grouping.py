"""Rows in groups and distinct numbers, by one sort instead of a list or a hash for each."""

from collections.abc import Callable, Iterator

import numpy as np


class Groups:
    """The rows of each group, in order of the groups' first rows; the rows of a group stay in their order.

    Attributes:
        rows: row numbers, group after group, int64 [rows].
        sizes: number of rows of each group, int64 [groups].

    Args:
        keys: the group of each row, whole numbers from 0, [rows].
    """

    def __init__(self, keys: np.ndarray) -> None:
        keys, numbers = np.asarray(keys).astype(np.int64), np.arange(len(keys), dtype=np.int64)
        first = np.full(keys.max(initial=-1) + 1, len(keys), dtype=np.int64)
        first[keys[::-1]] = numbers[::-1]  # of several values for a place, the last one stays
        # One sort of numbers that hold both, the group's first row above the row's own.
        both = np.sort((first[keys] << 32) | numbers)
        self.rows, firsts = both & 0xFFFFFFFF, both >> 32
        starts = np.flatnonzero(np.r_[True, firsts[1:] != firsts[:-1]][: len(keys)])
        self.sizes = np.diff(np.r_[starts, len(keys)])

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the rows of each group as a list."""
        for rows in np.split(self.rows, np.cumsum(self.sizes)[:-1]) if len(self.rows) else ():
            yield rows.tolist()

    def divided(self, cuts: Callable[[int], list[int]], parts: int) -> list[np.ndarray]:
        """Return the rows of each part, group after group.

        Args:
            cuts: gives the places where a group of some size is cut, ``parts - 1`` ascending numbers.
            parts: number of parts.
        """
        sizes, which = np.unique(self.sizes, return_inverse=True)
        table = np.array([cuts(int(size)) for size in sizes], dtype=np.int64).reshape(len(sizes), parts - 1)
        ends = np.cumsum(self.sizes)
        place = np.arange(len(self.rows)) - np.repeat(ends - self.sizes, self.sizes)
        part = np.zeros(len(self.rows), dtype=np.int8)
        for column in table.T:
            part += place >= np.repeat(column[which], self.sizes)
        return [self.rows[part == number] for number in range(parts)]


def cuts_for_last(size: int, parts: int) -> list[int]:
    """Return where a group is cut so that each of its last rows is alone in one of the last parts.

    The first part has at least one row: of a group of two rows, the first and the last part have one each.
    """
    alone = min(parts - 1, size - 1)
    return [size - min(alone, left) for left in range(parts - 1, 0, -1)]


def distinct(numbers: np.ndarray) -> np.ndarray:
    """Return the different numbers of an array, ascending.

    ``numpy.unique`` does the same, but since numpy 2.3 by a hash table: a hundred times slower on millions of
    numbers.
    """
    ordered = np.sort(numbers)
    return ordered[np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]]
