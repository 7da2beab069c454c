"""The ranking of rated items as the released code of DGRM computes it: a seventh reading of section 4.2.

It differs from every reading of ``evaluation/rated.py``, which stay as they are:

* **Filter.** A rated test item may be in the predicted list if its score is at least the mean of the user's
  whole score row, from which 99 has been subtracted at the training items before. That mean lies far below
  every score on a rating scale as soon as a user has a few per cent of the items, so that the filter takes
  next to nothing out.
* **Ties.** Equal ratings, and equal scores, stay in the order of the rows of the test part.
* **Ideal DCG.** Always that of five places (of N where N is larger), however few relevant items there are, so
  that a user with two of them cannot reach 1.
* **Users.** One without a relevant test item counts as 0, and is not left out.

    Recall@N = hits / |I_a|,    NDCG@N = sum over hits of d(place) / (d(1) + ... + d(5))

with d(p) = 1 / log2(p + 1).
"""

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from recbole_diffusion.evaluation.rated import require_numbers

NAME = "released"  # of the reading, beside those of ``rated.READINGS``
MASK = 99.0  # subtracted from the scores of training items
LEAST_PLACES = 5  # of the ideal list


def row_means(row_sums: Tensor, history_rows: Tensor, n_items: int) -> Tensor:
    """Return the mean of each user's score row after MASK was subtracted at the user's history, [batch].

    Args:
        row_sums: sum of the scores of all items of each user, without the padding item, [batch].
        history_rows: row in the batch of each item of a history, long [cells].
        n_items: number of items, without the padding item.
    """
    # How many items each user has in the parts before the evaluated one, [batch].
    known = history_rows.bincount(minlength=len(row_sums)).to(row_sums.device)
    return (row_sums.double() - MASK * known) / n_items


def released_rankings(
    users: np.ndarray,
    order: np.ndarray,
    ratings: np.ndarray,
    scores: np.ndarray,
    floors: np.ndarray,
    *,
    median: float,
    lengths: Iterable[int],
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return Recall@k and NDCG@k of every user with a rated test item, by k.

    Args:
        users: user of each rated test row, [rows].
        order: the row's place in the test part, by which equal values are ordered, [rows].
        ratings: its rating, [rows].
        scores: its predicted rating, or any score, [rows].
        floors: the mean that the score must reach, see :func:`row_means`, [rows].
        median: median of the rating scale; ratings from there on are relevant.
        lengths: the k, each a length N of the lists.

    Returns:
        Users [n], recall [n] and NDCG [n], float64, ascending by user.

    Raises:
        UsageError: a score is NaN.
    """
    require_numbers(scores)
    distinct, owner = np.unique(users, return_inverse=True)
    relevant, shown = ratings >= median, scores >= floors
    # Place of each row in its user's two lists, from 0; what is in no list lies beyond every k.
    actual = _places(owner, order, ratings, relevant)
    predicted = _places(owner, order, scores, shown)
    n_relevant = np.bincount(owner[relevant], minlength=len(distinct))
    found = {}
    for k in lengths:
        hit = (actual < k) & (predicted < k)
        # Discount of the places 1, 2, ... of the predicted list.
        discount = 1 / np.log2(np.arange(2, max(k, LEAST_PLACES) + 2))
        hits = np.bincount(owner[hit], minlength=len(distinct))
        dcg = np.bincount(owner[hit], discount[predicted[hit]], len(distinct))
        # A user without a relevant item has no hit: 0 / 1.
        recall = hits / np.minimum(n_relevant, k).clip(1)
        found[k] = distinct, recall, dcg / discount.sum()
    return found


def _places(owner: np.ndarray, order: np.ndarray, values: np.ndarray, listed: np.ndarray) -> np.ndarray:
    """Return the place of each listed row in its user's list, the largest value first, int64 [rows].

    Args:
        owner: user of each row as a number from 0, [rows].
        order: what orders equal values, [rows].
        values: what the list is ranked by, [rows].
        listed: which rows are in the list, bool [rows]; others get the largest number that there is.
    """
    places = np.full(len(owner), np.iinfo(np.int64).max)
    rows = np.flatnonzero(listed)
    rows = rows[np.lexsort((order[rows], -values[rows], owner[rows]))]
    # Rows of a user lie side by side now: a row's place is its distance to the user's first.
    starts = np.searchsorted(owner[rows], owner[rows])
    places[rows] = np.arange(len(rows)) - starts
    return places
