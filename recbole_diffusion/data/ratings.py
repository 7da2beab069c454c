"""Rating rows of users: sparse, and checked against the scale of the data set."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.keys_read import keys_read_by


class KeptRatings:
    """Ratings by user and item of a data set whose rating column became a label (``threshold``).

    Args:
        users: internal ids, [rows].
        items: internal ids, [rows].
        ratings: [rows].
        n_items: number of items.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, ratings: np.ndarray, n_items: int) -> None:
        self.n_items = n_items
        self._keys, first = np.unique(self._key(users, items), return_index=True)
        self._ratings = np.asarray(ratings, np.float64)[first]

    def _key(self, users: Any, items: Any) -> np.ndarray:
        return np.asarray(users).astype(np.int64) * self.n_items + np.asarray(items).astype(np.int64)

    def of(self, users: Any, items: Any) -> np.ndarray:
        """Return the ratings of pairs that were kept, float64 [pairs]."""
        return self._ratings[np.searchsorted(self._keys, self._key(users, items))]


def has_ratings(dataset: Any) -> bool:
    """Return whether the ratings of a data set's rows are known, as a column or as kept ratings."""
    return (
        dataset.config["RATING_FIELD"] in dataset.inter_feat
        or getattr(dataset, "kept_ratings", None) is not None
    )


def rating_column(dataset: Any) -> np.ndarray:
    """Return the ratings of a data set's rows, float64 [rows].

    Raises:
        UsageError: there is no rating column.
    """
    name, feat = dataset.config["RATING_FIELD"], dataset.inter_feat
    if not has_ratings(dataset):
        raise UsageError(
            f"data set {dataset.dataset_name!r} is loaded without the rating column {name!r}; name it in "
            "load_col.inter, such as [user_id, item_id, rating], and with RATING_FIELD if it has another name"
        )
    if name in feat:
        return np.asarray(feat[name], dtype=np.float64)
    return dataset.kept_ratings.of(feat[dataset.uid_field], feat[dataset.iid_field])


def check_scale(dataset: Any, low: float, high: float) -> None:
    """Check that each rating is a number on the scale.

    Raises:
        UsageError: one is not; the message names the first rows.
    """
    ratings = rating_column(dataset)
    wrong = np.flatnonzero(~((ratings >= low) & (ratings <= high)))
    if len(wrong):
        users, items = (
            np.asarray(dataset.inter_feat[name])[wrong[:3]] for name in (dataset.uid_field, dataset.iid_field)
        )
        users, items = dataset.id2token(dataset.uid_field, users), dataset.id2token(dataset.iid_field, items)
        rows = zip(users, items, ratings[wrong[:3]], strict=True)
        first = ", ".join(f"{rating:g} of user {user} on item {item}" for user, item, rating in rows)
        raise UsageError(
            f"{counted(len(wrong), 'rating')} of data set {dataset.dataset_name!r} "
            f"{agreeing(len(wrong), 'are')} outside rating_scale [{low:g}, {high:g}] (nan: none is given): "
            f"{first}; correct rating_scale, or drop these rows with val_interval"
            f"{of_domains(dataset)}"
        )


def dislikes_in(dataset: Any) -> tuple[int, int]:
    """Return the ratings of 0 and below, and all ratings, of a loaded column before anything scales it."""
    name, frame = dataset.config["RATING_FIELD"], dataset.inter_feat
    if name not in frame or dataset.field2type[name] != FeatureType.FLOAT:
        return dataset.dislikes
    return int((frame[name] <= 0).sum()), len(frame)


def tell_dislikes(config: Any, dataset: Any, reader: str = "") -> None:
    """Warn of ratings of 0 and below that nothing reads: their rows are positives like all others.

    Args:
        config: the run's configuration.
        dataset: the whole data set.
        reader: who reads no ratings; by default the run's model, if it is so.
    """
    name, (low, total) = config["RATING_FIELD"], dataset.dislikes
    scaled = config.rating.rating_scale is not None or config["threshold"] is not None
    if scaled or hasattr(dataset, "source") or not 0 < low < total:
        return
    if not reader and "RATING_FIELD" in keys_read_by(config.model_class):
        return
    fields = (dataset.uid_field, dataset.iid_field, name, dataset.time_field)
    loading = [field for field in fields if field == name or field in dataset.inter_feat]
    dataset.logger.warning(
        "%d of the %s of data set %r %s 0 or below (column %r), and %s reads no ratings: it takes these rows "
        "as positives, in training and in test; if they are dislikes, or no ratings, keep the others alone "
        'with --val_interval="{%s: \'(0,inf)\'}" and --load_col="{inter: [%s]}"',
        *(low, counted(total, "rating"), dataset.dataset_name, agreeing(low, "are"), name),
        *(reader or config["model"], name, ", ".join(dict.fromkeys(loading))),
    )


def of_domains(dataset: Any) -> str:
    """Return what is said of a scale that has to fit two domains, or an empty string."""
    if not getattr(dataset, "shares_scale", False):
        return ""
    return "; it is one scale for both domains: if they have different ones, write the ratings of both on one"


def rating_rows(train: Any, low: float, high: float) -> sp.csr_matrix:
    """Return the ratings of the training part, float32 CSR [n_users, n_items], items ascending.

    Row and column 0 are empty. A stored 0 is a rating of 0: exactly the rated pairs are stored.

    Raises:
        UsageError: no rating column, a rating outside the scale, a pair rated twice, or a user without a
            rating.
    """
    check_scale(train, low, high)
    users, items = (
        np.asarray(train.inter_feat[name]).astype(np.int64) for name in (train.uid_field, train.iid_field)
    )
    ratings = rating_column(train)
    given = train.config["benchmark_filename"]  # parts that are taken as they are
    order = np.lexsort((items, users))
    users, items, ratings = users[order], items[order], ratings[order]
    again = np.flatnonzero((users[1:] == users[:-1]) & (items[1:] == items[:-1]))
    if len(again):
        user, item = (
            train.id2token(train.uid_field, users[again[0]]),
            train.id2token(train.iid_field, items[again[0]]),
        )
        keep = "in the file of the part" if given else "with --rm_dup_inter=last (or first)"
        raise UsageError(
            f"{counted(len(again), 'row')} of data set {train.dataset_name!r} "
            f"{agreeing(len(again), 'rate')} an item a second time, first user {user} on item {item}; keep "
            f"one {keep}"
        )
    counts = np.bincount(users, minlength=train.user_num)
    without = np.flatnonzero(counts[1:] == 0) + 1
    if len(without):
        first = ", ".join(map(str, train.id2token(train.uid_field, without[:5])))
        leave = (
            "take their rows out of the other parts"
            if given
            else ("leave them out with user_inter_num_interval '[2,inf)'")
        )
        raise UsageError(
            f"{counted(len(without), 'user')} of data set {train.dataset_name!r} "
            f"{agreeing(len(without), 'have')} no rated item in train: "
            f"{first}{', ...' if len(without) > 5 else ''}; {leave}, or move one row of each into train"
        )
    offsets = np.r_[0, np.cumsum(counts)]
    return sp.csr_matrix((ratings.astype(np.float32), items, offsets), shape=(train.user_num, train.item_num))
