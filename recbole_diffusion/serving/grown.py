"""Users whose rows are newer than the training: their lists come from histories that have these rows."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.ratings import rating_column
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.serving.scoring import (
    Cells,
    FindForUsers,
    check_takes_histories,
    finder_for_histories,
)
from recbole_diffusion.serving.served_run import ServedRun

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GrownHistories:
    """Histories of the known users that have rows, or ratings, in no part of the training's data.

    Attributes:
        users: their internal numbers, int64 [n], ascending.
        rows: what they had in train and have anew, CSR [n, n_items]; its data are the ratings, or ones.
        rated: whether the data are ratings.
    """

    users: np.ndarray
    rows: sp.csr_matrix
    rated: bool

    def of(self, places: np.ndarray, device: Any) -> FoldInHistories:
        """Return the histories of the users at some places of :attr:`users`, for a model."""
        some = self.rows[places]
        owners = np.repeat(np.arange(len(places)), np.diff(some.indptr))
        arrays = (some.indices.astype(np.int64), some.indptr[:-1].astype(np.int64), owners)
        items, starts, rows = (torch.from_numpy(array).to(device) for array in arrays)
        return FoldInHistories(
            items, starts, rows, torch.from_numpy(some.data).to(device) if self.rated else None
        )


def grown_histories(run: ServedRun) -> GrownHistories | None:
    """Return the histories of known users with new rows; None if there are none, or the model takes none.

    For a model that reads ratings, a pair whose rating has changed is a new row, which takes the place of the
    old one; a warning says how many there are.
    """
    if not (run.model.takes_histories and run.changed.kept) or run.today is run.parts:
        return None
    rated = bool(run.model.predicts_ratings)
    train = _rows_of(run.parts["train"], rated)
    old, now = (_joined(_rows_of(part, rated) for part in of.values()) for of in (run.parts, run.today))
    new = now[~_among(now, old)].iloc[::-1]  # the last of a pair counts
    if not len(new):
        return None
    changed = new.loc[_among(new[["user", "item"]], old[["user", "item"]]), ["user", "item"]]
    if len(changed := changed.drop_duplicates()):
        users = changed["user"].nunique()
        logger.warning(
            "%s changed since the training: the %s of %s made from the new ratings",
            f"{counted(len(changed), 'rating')} {'has' if len(changed) == 1 else 'have'}",
            *("list" if users == 1 else "lists", f"{counted(users, 'user')} {'is' if users == 1 else 'are'}"),
        )
    rows = _joined([new, train[train["user"].isin(new["user"])]])
    rows = rows.drop_duplicates(["user", "item"]).sort_values(["user", "item"])
    users, counts = np.unique(rows["user"], return_counts=True)
    starts = np.append(0, np.cumsum(counts))
    ratings = rows["rating"].to_numpy(np.float32) if rated else np.ones(len(rows), np.float32)
    shape = len(users), run.parts["train"].item_num
    return GrownHistories(users, sp.csr_matrix((ratings, rows["item"].to_numpy(), starts), shape), rated)


def _rows_of(part: Any, rated: bool) -> pd.DataFrame:
    """Return users and items of a part, internal numbers, and their ratings if these are asked for."""
    columns = {"user": part.uid_field, "item": part.iid_field}
    rows = pd.DataFrame({role: np.asarray(part.inter_feat[field]) for role, field in columns.items()})
    return rows.assign(rating=rating_column(part)) if rated else rows


def _joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(tables), ignore_index=True)


def _among(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Return whether each row is one of the others, bool [rows]."""
    numbers = _joined([rows, others]).groupby([*rows.columns], sort=False, dropna=False).ngroup().to_numpy()
    return np.isin(numbers[: len(rows)], numbers[len(rows) :])


def with_grown(model: Any, seed: int, find: FindForUsers, grown: GrownHistories) -> FindForUsers:
    """Return a function like ``find`` in which users with new rows are folded in; ``seed`` of the noise."""
    fold_in = finder_for_histories(model)

    def found(users: Tensor, k: int, cells: Cells) -> tuple[Tensor, Tensor]:
        scores, items = find(users, k, cells)
        numbers = users.cpu().numpy()
        places = np.searchsorted(grown.users, numbers).clip(max=len(grown.users) - 1)
        mine = np.flatnonzero(grown.users[places] == numbers)
        if not len(mine):
            return scores, items
        rows = torch.from_numpy(mine).to(users.device)
        own = None
        if cells is not None:
            # The block's cells of these users, with their rows counted among them alone.
            place = torch.full((len(numbers),), -1, device=users.device)
            place[rows] = torch.arange(len(mine), device=users.device)
            owners = place[cells[0]]
            own = owners[owners >= 0], cells[1][owners >= 0]
        histories = grown.of(places[mine], users.device)
        new_scores, new_items = fold_in(histories, noise_seed(seed, int(numbers[mine[0]])), k, own)
        scores, items = scores.clone(), items.clone()
        scores[rows], items[rows] = new_scores.to(scores.dtype), new_items
        return scores, items

    return found


def histories_of_new_users(run: ServedRun) -> pd.DataFrame:
    """Return the rows of users whom the run does not know, of items that it knows: user, item, and rating.

    Raises:
        UsageError: the model takes no histories, or the run has not kept its ids.
    """
    check_takes_histories(run.model)
    if run.changed.new is None and getattr(run.parts["train"], "source", None) is not None:
        raise UsageError(
            f"the run in {run.folder.path} has two domains, of which no ids are kept, so that its new users "
            "are not known; give their ratings of the source domain as histories"
        )
    if run.changed.new is None:
        raise UsageError(
            f"the run in {run.folder.path} has not kept its ids (data.npz), so that its new users are not "
            "known; train again with keep_rows True, or give their rows as histories"
        )
    rows = run.changed.new.histories.drop_duplicates(["user", "item"], keep="last", ignore_index=True)
    return rows if run.model.predicts_ratings else rows[["user", "item"]]
