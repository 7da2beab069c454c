"""What is told of features of items that are as they should be, and of which a model learns little."""

import itertools
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

from recbole_diffusion.errors import counted

LARGE = 1e4  # features of encoders are of size 1 to 1000; models project them as they are
OUTWEIGHS = 0.8  # share of the rows' squared length in one column, of which encoders' largest have a tenth
ALIKE = 0.1  # share of the items with one row of a file; rows made of columns are equal for half as well
FEW = 5  # items with one row, such as the sizes of one product
BLOCK = 4096  # rows compared at once


def tell_of_features(
    modality: Any, items: np.ndarray, largest: np.ndarray, marks: np.ndarray, shares: np.ndarray
) -> None:
    """Warn of large numbers, of one row that many items have, and of a column that outweighs the others.

    Args:
        modality: the modality.
        items: the tokens of the items, in order of their ids, without padding.
        largest: size of the largest number of each item's row, [n].
        marks: of each item's row, equal for equal rows, [n, 3].
        shares: mean share of each column in the squared length of a row, [width].
    """
    _tell_large(modality, items, largest)
    _tell_same(modality, items, marks)
    _tell_column(modality, shares)


def _tell_same(modality: Any, items: np.ndarray, marks: np.ndarray) -> None:
    """Warn of a row that many items have, such as that of a picture which stands in for none."""
    _, group, counts = np.unique(marks, axis=0, return_inverse=True, return_counts=True)
    enough = len(items) / 2
    if isinstance(modality.values, np.memmap):
        enough = min(enough, max(FEW, ALIKE * len(items)))
    if counts.max() < enough or counts.max() == 1:
        return
    rows = modality.rows[np.flatnonzero(group.ravel() == counts.argmax())]
    same = [row for row in rows if (modality.values[row] == modality.values[rows[0]]).all()]
    if len(same) >= enough:
        logging.getLogger().warning(
            "%s: %d of the %s have one and the same row, row %d: this modality does not tell them apart; if "
            "it stands in for items without features, leave these out, or take another modality",
            *(modality.origin, len(same), counted(len(items), "item"), same[0]),
        )


def _tell_column(modality: Any, shares: np.ndarray) -> None:
    """Warn of a column in which nearly all of the rows' length lies, such as a number of the row."""
    column = int(shares.argmax())
    if len(shares) > 1 and shares[column] >= OUTWEIGHS:
        logging.getLogger().warning(
            "%s: column %d has %.0f %% of the squared length of the rows: neighbours, and what models "
            "project, follow this number alone; leave it out if it is an id or a number of the row, or bring "
            "each column to mean 0 and deviation 1",
            *(modality.origin, column, 100 * shares[column]),
        )


def _tell_large(modality: Any, items: np.ndarray, largest: np.ndarray) -> None:
    """Warn of features that drown what a model learns."""
    rows = np.flatnonzero(largest >= LARGE)
    if len(rows):
        first = int(largest.argmax())
        logging.getLogger().warning(
            "%s: %s numbers of size %g and more, the largest %.4g in row %d (item %s); models project "
            "features as they are, so that these outweigh all else: divide each row by its length, or bring "
            "each column to mean 0 and deviation 1",
            *(modality.origin, counted(len(rows), "row", "have"), LARGE, largest[first]),
            *(modality.rows[first], items[first]),
        )


def tell_equal_modalities(modalities: Iterable[Any]) -> None:
    """Warn of two modalities whose items have the same features: one file under two names."""
    for one, other in itertools.combinations(modalities, 2):
        if one.width == other.width and _equal(one, other):
            logging.getLogger().warning(
                "modalities %s and %s have the same features of all items (%s, %s): one of them is counted "
                "twice, or a file is the other's copy",
                *(one.name, other.name, one.origin, other.origin),
            )


def _equal(one: Any, other: Any) -> bool:
    """Return whether two modalities of one width are equal for each item; the first other block ends it."""
    return all(
        np.array_equal(*(side.values[side.rows[start : start + BLOCK]] for side in (one, other)))
        for start in range(0, len(one.rows), BLOCK)
    )
