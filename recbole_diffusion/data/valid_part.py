"""Validation by the latest rows: train and valid divided anew by time, whatever has made them.

A validation part that is drawn like train (iid) chooses the epoch that ranks more of the same best. What a
model is used for, and a test part under a shift in time, is later than train. ``valid_part: latest`` gives
valid the latest rows of each user among those of train and valid; test parts stay as they are, so that the
two ways of choosing are held against each other on equal test rows.

Nothing here loads torch or RecBole before a data set has: ``prepare`` splits without them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError

ROW = "_row"  # the column that remembers the row of each interaction while RecBole divides them


def latest_rows(users: np.ndarray, times: np.ndarray, share: float) -> np.ndarray:
    """Return bool [rows], the latest rows of each user; among equal times, the later in the file.

    ``floor(share * rows of the user)`` rows, at least one of a user with two or more.

    Args:
        users: whole numbers from 0, [rows].
        times: of each row, [rows].
        share: of the rows, in (0, 1).
    """
    counts = np.bincount(users)
    take = np.floor(share * counts + 1e-9).astype(np.int64)  # 0.29 * 100 is 28.999... in floating point
    take = np.where(counts > 1, np.maximum(take, 1), 0)
    order = np.lexsort((np.arange(len(users)), times, users))
    chosen = np.zeros(len(users), bool)
    chosen[order[place_in_group(counts) >= np.repeat(counts - take, counts)]] = True
    return chosen


def place_in_group(counts: np.ndarray) -> np.ndarray:
    """Return 0, 1, ... within each group, [counts.sum()], for rows sorted by group."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def latest_valid(users: np.ndarray, items: np.ndarray, times: np.ndarray, share: float) -> np.ndarray:
    """Return which rows of train and valid are valid, bool [rows].

    The latest of each user; but of an item whose rows would all be valid, the first in time stays in train,
    where the test parts need it too.

    Args:
        users: whole numbers from 0, [rows].
        items: whole numbers from 0, [rows].
        times: of each row, [rows].
        share: of valid among train and valid.
    """
    valid = latest_rows(users, times, share)
    known = np.zeros(items.max() + 1, bool)
    known[items[~valid]] = True
    lacking = np.flatnonzero(~known[items])
    lacking = lacking[np.argsort(times[lacking], kind="stable")]  # the first in time before the others
    valid[lacking[np.unique(items[lacking], return_index=True)[1]]] = False
    return valid


def check_can_be_latest(config: Any, by_time: bool, parts: Sequence[str] | None) -> None:
    """Refuse ``valid_part: latest`` where it has no meaning.

    Args:
        config: the run's configuration.
        by_time: whether ``eval_args`` divides the rows by time.
        parts: names of given parts, None if the rows are divided here.

    Raises:
        UsageError: valid is later than train already, or there is no valid part.
    """
    if by_time:
        raise UsageError(
            f"valid_part is latest, but eval_args {config['eval_args']} divides by time, so that valid is "
            "later than train already; leave valid_part out, or set eval_args.order to RO"
        )
    if parts is not None and len(parts) < 3:
        raise UsageError(
            f"valid_part is latest, but benchmark_filename {list(parts)} names no valid part whose rows "
            "could be divided anew; name train, valid and test"
        )


def remember_rows(interactions: Any) -> None:
    """Add the column ROW to all interactions, before they are divided."""
    import torch

    from recbole_diffusion.compat import Interaction

    interactions.update(Interaction({ROW: torch.arange(len(interactions))}))


def divide_by_time(dataset: Any, parts: Sequence[Any], times: np.ndarray) -> None:
    """Give valid the latest rows of train and valid, and each part its ``times``; all lose the column ROW.

    Args:
        dataset: the whole data set.
        parts: train, valid and others, as RecBole's ``build`` returns them.
        times: of all rows, [rows], in the order of ROW.

    Raises:
        UsageError: the split has no valid part.
    """
    import torch

    from recbole_diffusion.compat import Interaction

    train, valid = parts[0].inter_feat, parts[1].inter_feat
    if not len(valid):
        raise UsageError(
            "valid_part is latest, but the split has no valid part; give it a share in eval_args.split"
        )
    both = {name: torch.cat([train[name], valid[name]]) for name in train.interaction}
    rows, users, items = (both[name].numpy() for name in (ROW, dataset.uid_field, dataset.iid_field))
    is_valid = latest_valid(users, items, times[rows], len(valid) / len(rows))
    for part, chosen in ((parts[0], ~is_valid), (parts[1], is_valid)):
        numbers = torch.from_numpy(np.flatnonzero(chosen))
        part.inter_feat = Interaction({name: values[numbers] for name, values in both.items()})
    give_times(dataset, parts, times)


def give_times(dataset: Any, parts: Sequence[Any], times: np.ndarray) -> None:
    """Give each part its ``times`` and ``file_rows``; the data set and all parts lose the column ROW.

    Args:
        dataset: the whole data set.
        parts: of it, with the column ROW.
        times: of all rows, [rows], in the order of ROW.
    """
    for part in parts:
        part.file_rows = part.inter_feat[ROW].numpy()
        part.times = times[part.file_rows]
    for one in (dataset, *parts):
        one.inter_feat.drop(ROW)
