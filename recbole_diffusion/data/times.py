"""The time of each interaction, in 64 bits, wherever rows are ordered by it.

RecBole's tensors hold times in float32, which cannot tell today's time stamps apart that are less than a
minute or two apart; it fills gaps with the mean of the column, and orders tokens by their codes.
"""

from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.errors import UsageError


def times_of(dataset: Any, why: str) -> np.ndarray:
    """Return the times of a data set's interactions, still a pandas frame, float64 [rows].

    Args:
        dataset: read, before its gaps are filled.
        why: what needs the times, for messages, such as "shift is temporal".

    Raises:
        UsageError: there is no such column, it is no column of numbers, or rows have no time; the message has
            their lines.
    """
    field, frame, name = dataset.time_field, dataset.inter_feat, dataset.dataset_name
    if field not in frame:
        raise UsageError(
            f"{why}, but data set {name!r} has no column {field!r}; add it to load_col.inter, or name its "
            "time column with TIME_FIELD"
        )
    kind = dataset.field2type[field]
    if kind != FeatureType.FLOAT:
        raise UsageError(
            f"{dataset.header_place()}: the column {field!r} is no number but {kind.value}, and {why}; "
            f"declare it as {field}:float, with dates as seconds since 1970, or name another with TIME_FIELD"
        )
    times = frame[field].to_numpy(np.float64)
    without = np.flatnonzero(~np.isfinite(times))
    if len(without):
        raise UsageError(
            f"{dataset.places_of(without)}: no time in the column {field!r} ({len(without)} rows), but "
            f"{why}; write the times, or leave these rows out with val_interval: {{{field}: '(-inf,inf)'}}"
        )
    return times


def drop_repeated(dataset: Any, keep: str) -> None:
    """Keep the first or last row in time of each pair of user and item, in order of time."""
    times = times_of(dataset, f"rm_dup_inter keeps the {keep} row of each pair in time")
    ordered: pd.DataFrame = dataset.inter_feat.iloc[np.argsort(times, kind="stable")]
    dataset.inter_feat = ordered.drop_duplicates([dataset.uid_field, dataset.iid_field], keep=keep)


def rows_before_and_after(
    times: np.ndarray, users: np.ndarray, shares: list[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row numbers of train, valid and test of RecBole's split ``TS``.

    The test part are the rows later than the quantile 1 - test share of all times. What a user has before is
    divided into train and valid, in order of time.

    Args:
        times: of each row, [rows], ascending for each user.
        users: of each row, [rows].
        shares: of train, valid and test; any positive sum.
    """
    shares = [one / sum(shares) for one in shares]
    _, first, codes = np.unique(users, return_index=True, return_inverse=True)
    users = np.argsort(np.argsort(first))[codes]  # numbered in order of appearance, as RecBole takes them
    later = times > np.percentile(times, 100 * (1 - shares[2]))
    before, after = (
        rows[np.argsort(users[rows], kind="stable")] for rows in map(np.flatnonzero, (~later, later))
    )
    counts = np.bincount(users[before], minlength=len(first))
    place = np.arange(len(before)) - np.repeat(np.cumsum(counts) - counts, counts)
    of_train = place < np.repeat((counts * (shares[0] / (1 - shares[2]))).astype(np.int64), counts)
    return before[of_train], before[~of_train], after
