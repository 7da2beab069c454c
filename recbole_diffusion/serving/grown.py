"""Users whose rows are newer than the training: their lists come from histories that have these rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.ratings import rating_column
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.serving.ranking import pairs_of
from recbole_diffusion.serving.scoring import (
    Cells,
    FindForUsers,
    check_takes_histories,
    finder_for_histories,
)
from recbole_diffusion.serving.served_run import ServedRun


@dataclass(frozen=True)
class GrownHistories:
    """Histories of the known users that have rows in no part of the training's data.

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
    """Return the histories of known users with new rows; None if there are none, or the model takes none."""
    if not (run.model.takes_histories and run.changed.kept) or run.today is run.parts:
        return None
    new = pairs_of(run.today, list(run.today)) > pairs_of(run.parts, list(run.parts))
    users = np.flatnonzero(np.diff(new.indptr))
    if not len(users):
        return None
    n_items, rated = new.shape[1], bool(run.model.predicts_ratings)
    keys, values = [], []
    for part in (run.parts["train"], *run.today.values()):
        ids, items = (np.asarray(part.inter_feat[field]) for field in (part.uid_field, part.iid_field))
        keep = np.isin(ids, users)
        if part is not run.parts["train"]:
            keep[keep] = np.asarray(new[ids[keep], items[keep]]).ravel()
        keys.append((ids * n_items + items)[keep])
        values.append(rating_column(part)[keep] if rated else np.ones(int(keep.sum())))
    pairs, first = np.unique(np.concatenate(keys), return_index=True)
    ratings = np.concatenate(values)[first].astype(np.float32)
    starts = np.searchsorted(pairs, np.append(users, users[-1] + 1) * n_items)
    return GrownHistories(
        users, sp.csr_matrix((ratings, pairs % n_items, starts), (len(users), n_items)), rated
    )


def with_grown(run: ServedRun, find: FindForUsers, grown: GrownHistories) -> FindForUsers:
    """Return a function like ``find`` in which users with new rows are folded in."""
    fold_in, seed = finder_for_histories(run.model), run.config.general.seed

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
    if run.changed.new is None:
        raise UsageError(
            f"the run in {run.folder.path} has not kept its ids (data.npz), so that its new users are not "
            "known; train again with keep_rows True, or give their rows as histories"
        )
    rows = run.changed.new.histories.drop_duplicates(["user", "item"], keep="last", ignore_index=True)
    return rows if run.model.predicts_ratings else rows[["user", "item"]]
