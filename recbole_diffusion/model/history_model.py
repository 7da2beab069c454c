"""Models that score a user by the training items alone, as a row of 0 and 1."""

import logging
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.model.base import FoldInHistories, Recommender, pairs_of_rows


def history_rows(histories: FoldInHistories, n_items: int) -> sp.csr_matrix:
    """Return histories as rows of 0 and 1, CSR float32 [batch, n_items]."""
    items = histories.items.cpu().numpy()
    # Each user's items, and where the next user's begin.
    offsets = np.r_[histories.starts.cpu().numpy(), len(items)]
    return sp.csr_matrix((np.ones(len(items), np.float32), items, offsets), (len(offsets) - 1, n_items))


class RowModel(Recommender):
    """Scores of all items are a function of a user's row x of 0 and 1, see :meth:`row_scores`.

    So a trained user and a new one with the same items have the same scores.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    takes_histories = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options = config.options
        self.interactions = binary_interactions(dataset)  # R, CSR [n_users, n_items]

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items for rows x, CSR [batch, n_items]; a new tensor [batch, n_items]."""
        raise NotImplementedError

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        return self.row_scores(self.interactions[interaction[self.USER_ID].cpu().numpy()])

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        return pairs_of_rows(self, interaction)

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return scores of all items by the items of histories, [batch, n_items]."""
        return self.row_scores(history_rows(histories, self.n_items))


class HistoryModel(RowModel):
    """A :class:`RowModel` that is computed when it is made: there is nothing to train."""

    computed_when_made = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.untrained = nn.Parameter(torch.zeros(1))  # RecBole's trainers ask for a parameter

    def calculate_loss(self, interaction: Any) -> Tensor:  # noqa: ARG002
        """Return a constant: there is nothing to train."""
        return self.untrained.sum()


def singular_vectors(matrix: sp.csr_matrix, rank: int) -> np.ndarray:
    """Return the right singular vectors of the largest singular values, float32 [columns, at most rank].

    By a Lanczos method to the precision of float64, from a fixed start. Vectors of one singular value are
    any basis of their space, and which of them are left out by ``rank`` is then arbitrary.

    Args:
        matrix: [rows, columns].
        rank: how many; all, where the rows or columns with an entry are fewer.
    """
    from scipy.sparse.linalg import svds

    filled = min(len(np.unique(matrix.nonzero()[axis])) for axis in (0, 1))
    rank = min(rank, filled)
    exact = matrix.astype(np.float64)
    if 2 * rank >= min(matrix.shape):  # a small matrix, of which the Lanczos method cannot give all
        return np.linalg.svd(exact.toarray(), full_matrices=False)[2][:rank].T.astype(np.float32)
    start = np.random.default_rng(0).uniform(0.5, 1.5, min(matrix.shape))
    _, _, found = svds(exact, k=rank, v0=start, return_singular_vectors="vh")
    return np.ascontiguousarray(found[::-1].T, dtype=np.float32)  # ascending as svds gives them


def reproduced(matrix: sp.csr_matrix, vectors: np.ndarray) -> bool:
    """Return whether rows lie in the span of orthonormal columns, up to rounding."""
    inside = float(np.square(matrix @ vectors, dtype=np.float64).sum())  # of the squared lengths of the rows
    whole = float(np.square(matrix.data, dtype=np.float64).sum())
    return whole - inside < 1e-5 * whole


def tell_reproduced(model: str, rank: int, matrix: sp.csr_matrix, vectors: np.ndarray) -> None:
    """Warn if the ideal filter leaves out nothing: a user's row comes back, without a score for other items.

    Args:
        model: its name.
        rank: the option ``ideal_rank``.
        matrix: of users and items, normalised.
        vectors: its right singular vectors, [n_items, at most rank].
    """
    if vectors.shape[1] and reproduced(matrix, vectors):
        logging.getLogger().warning(
            "%s: ideal_rank is %d, and %d singular vectors reproduce each user's row: the ideal filter gives "
            "items that a user does not have in train 0; give a smaller ideal_rank",
            *(model, rank, vectors.shape[1]),
        )


def strongest_of_rows(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Return a CSR matrix with the ``k`` largest entries of each row; of equal ones the first by column."""
    counts = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    # The place of each entry among those of its row, [entries].
    places = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], counts)
    kept = order[places < k]
    result = sp.csr_matrix((matrix.data[kept], (rows[kept], matrix.indices[kept])), matrix.shape)
    result.sort_indices()
    return result
