"""Ranking among a user's rated test items (DGRM, section 4.2), and the error of ratings.

The paper: an item enters the predicted or the actual list when its rating is at least the median of the
rating scale; a list is ranked by rating and cut after N items. It leaves open what happens to equal ratings,
which are the rule in actual lists: a user with eight fives has many "top 5". Here both lists are averaged
over every order of equal values, in closed form, so that nothing depends on the order of rows. A user's
numbers are then expectations: item i is in the actual list with probability w_i and in the predicted one with
probability p_i, independently, and

    Recall@N = sum_i w_i p_i / |I_a|,    DCG@N = sum_i w_i E[discount of i's place]

with |I_a| = min(N, number of relevant items), which has no ties.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from recbole_diffusion.errors import UsageError, counted


@dataclass(frozen=True)
class ListReading:
    """A reading of what the paper leaves open about its two lists.

    Attributes:
        actual: ``top``, the N best rated relevant items, averaged over orders of equal ratings; ``tied``,
            these and all with the same rating as the last of them; ``all``, every relevant item; ``order``,
            the first N, equal ratings by item number.
        filter_predicted: leave out of the predicted list the items whose predicted rating is below the median
            of the scale.
    """

    actual: str = "top"
    filter_predicted: bool = False

    def __post_init__(self) -> None:
        if self.actual not in ("top", "tied", "all", "order"):
            raise UsageError(f"actual is {self.actual!r}; it takes top, tied, all or order")


READINGS = {
    "top, predicted from the median": ListReading(filter_predicted=True),
    "top": ListReading(),
    "top by item number": ListReading("order"),
    "top and tied": ListReading("tied"),
    "all relevant": ListReading("all"),
    "all relevant, predicted from the median": ListReading("all", filter_predicted=True),
}


def _places(owner: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count, for each row, the rows of the same user with a larger value, and with an equal one.

    Args:
        owner: user of each row, [rows].
        values: the values compared, [rows].

    Returns:
        Both counts, int64 [rows] each; the second includes the row itself.
    """
    # Rank of each value among all rows, the largest first, so that owner and rank sort as one number.
    by_value = np.argsort(-values)
    rank = np.empty(len(values), np.int64)
    rank[by_value] = np.arange(len(values))
    order = np.argsort(owner * len(values) + rank)  # in a third of the time of np.lexsort
    user, value = owner[order], values[order]
    # Where a user begins, and where a value does among the sorted rows, bool [rows].
    new_user = np.r_[True, user[1:] != user[:-1]][: len(user)]
    new_tie = new_user | np.r_[True, value[1:] != value[:-1]][: len(user)]
    number = np.arange(len(user))
    starts = np.flatnonzero(new_tie)
    # Which group of equal values a row is in; groups are counted through all users.
    which = np.cumsum(new_tie) - 1
    first_of_user = np.maximum.accumulate(np.where(new_user, number, 0))
    before, equal = np.empty(len(user), np.int64), np.empty(len(user), np.int64)
    # Rows of the user before the group, and the size of the group, at the rows' old positions.
    before[order] = starts[which] - first_of_user
    equal[order] = np.diff(np.r_[starts, len(user)])[which]
    return before, equal


def rated_rankings(
    users: np.ndarray,
    items: np.ndarray,
    ratings: np.ndarray,
    scores: np.ndarray,
    *,
    median: float,
    lengths: Iterable[int],
    reading: ListReading = READINGS["top"],
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return Recall@k (Eq. 23) and NDCG@k (Eq. 24, 25) of each user who has a relevant test item, by k.

    Args:
        users: user of each rated test row, [rows].
        items: its item, [rows]; used only by the reading ``order``.
        ratings: its rating, [rows].
        scores: its predicted rating, or any score to rank by, [rows].
        median: median of the rating scale; ratings from there on are relevant.
        lengths: the k, each a length N of the lists.
        reading: how to read what the paper leaves open.

    Returns:
        Users [n], recall [n] and NDCG [n], float64, ascending by user. A user without a relevant item is not
        among them.

    Raises:
        UsageError: a score is NaN.
    """
    require_numbers(scores)
    # Relevant rows, and the user of each row as a place among the distinct ones, [rows].
    relevant = ratings >= median
    distinct, owner = _distinct(users)
    if reading.actual == "order":
        # Equal ratings by item number: a rank takes the place of the rating.
        order = np.lexsort((items[relevant], -ratings[relevant]))
        wanted = np.empty(len(order))
        wanted[order] = -np.arange(len(order), dtype=float)
    else:
        wanted = ratings[relevant]
    actual_places = _places(owner[relevant], wanted)
    # Rows that may be in the predicted list, bool [rows].
    shown = scores >= median if reading.filter_predicted else np.ones(len(scores), bool)
    before, equal = _places(owner[shown], scores[shown])
    found = {}
    for k in lengths:
        discount = np.r_[0.0, np.cumsum(1 / np.log2(np.arange(2, k + 2)))]  # of the first 0, 1, ..., k places
        weight = np.zeros(len(ratings))  # probability of being in the actual list
        weight[relevant] = _in_actual(*actual_places, k, reading)
        chance, gain = np.zeros(len(scores)), np.zeros(len(scores))
        # p_i: of ``equal`` rows at one value, the first k - before are listed, each with the same chance.
        chance[shown] = np.clip(k - before, 0, equal) / equal
        # E[discount of i's place]: the mean discount of the places that the group takes, 0 beyond k.
        gain[shown] = (discount[np.minimum(before + equal, k)] - discount[np.minimum(before, k)]) / equal
        actual = np.bincount(owner, weight, len(distinct))  # |I_a|, whole
        kept = actual > 0
        # sum_i w_i p_i / |I_a| of each user with a relevant item, [n].
        recall = np.bincount(owner, weight * chance, len(distinct))[kept] / actual[kept]
        # The best DCG puts |I_a| items in the first places.
        ideal = discount[np.minimum(np.rint(actual[kept]).astype(int), k)]
        dcg = np.bincount(owner, weight * gain, len(distinct))[kept]
        found[k] = distinct[kept], recall, dcg / ideal
    return found


def require_numbers(scores: np.ndarray) -> None:
    """Raise UsageError if a score is NaN."""
    if np.isnan(scores).any():
        raise UsageError(
            f"{counted(int(np.isnan(scores).sum()), 'predicted rating', 'are')} NaN; the model has diverged, "
            "use a smaller learning_rate"
        )


def _distinct(users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct users, ascending, and the place among them of each row's."""
    new = np.r_[True, users[1:] != users[:-1]][: len(users)]
    if (users[1:] < users[:-1]).any():
        return np.unique(users, return_inverse=True)
    return users[new], np.cumsum(new) - 1  # the rows are in order already


def _in_actual(before: np.ndarray, equal: np.ndarray, k: int, reading: ListReading) -> np.ndarray:
    """Return the probability that each relevant row is in its user's actual list, [rows]."""
    # w_i: with ``tied`` 1 if any order of equal ratings lists the item, by default the share of such orders.
    if reading.actual == "tied":
        return (before < k).astype(float)
    return np.ones(len(before)) if reading.actual == "all" else np.clip(k - before, 0, equal) / equal


def rating_errors(
    ratings: np.ndarray, predicted: np.ndarray, low: float, high: float, clip: bool = True
) -> tuple[float, float]:
    """Return MAE and RMSE of predicted ratings; with ``clip`` they are first clipped to the scale."""
    error = (np.clip(predicted, low, high) if clip else predicted) - ratings
    return float(np.abs(error).mean()), float(np.sqrt(np.square(error).mean()))


def errors_by_user(
    asked: np.ndarray,
    users: np.ndarray,
    ratings: np.ndarray,
    predicted: np.ndarray,
    low: float,
    high: float,
    clip: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean absolute and mean squared error by user, float64 [asked] each; NaN without ratings.

    Args:
        asked: the users, distinct.
        users: user of each rating, [rows].
        ratings: the ratings, [rows].
        predicted: the predicted ratings, [rows].
        low: lowest rating of the scale.
        high: highest rating of the scale.
        clip: as in :func:`rating_errors`.
    """
    error = (np.clip(predicted, low, high) if clip else predicted) - ratings
    distinct, owner, counts = np.unique(users, return_inverse=True, return_counts=True)
    # Place of each asked user among those who have ratings.
    place = np.searchsorted(distinct, asked).clip(max=len(distinct) - 1)
    absolute, squared = (
        np.where(distinct[place] == asked, (np.bincount(owner, values) / counts)[place], np.nan)
        for values in (np.abs(error), np.square(error))
    )
    return absolute, squared
