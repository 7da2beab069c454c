"""Scores x B of EASE and EDLAE, by a matrix of items x items or, where users are fewer, of users x users.

B_ij = -P_ij / P_jj off the diagonal and 0 on it, with P = (X^T X + D)^-1 and D = diag(penalties). Scores need
X B alone, and with Y = X D^-1/2

    X P = X (X^T X + D)^-1 = (X D^-1 X^T + I)^-1 X D^-1 = K X D^-1,    K = (Y Y^T + I)^-1  [n_users, n_users]
    D_j P_jj = 1 - x_j^T K x_j / D_j,    x_j the column of item j

(multiply the first line by X^T X + D from the right and by X D^-1 X^T + I from the left). So for a trained
user u and an item j

    (X B)_uj = X_uj - (K X)_uj / (D_j P_jj),

and a new user with the row x has x P = (x - (x D^-1 X^T) K X) D^-1.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.graph import popularity_discount
from recbole_diffusion.model.ease import Strips, ease_weights, regularised_inverse

USERS = 256  # rows of one product with X
# Below this penalty the matrix of items is taken all the same: the error that single precision of K makes in
# the scores of new users grows with their x D^-1 X^T, as 1 / D.
LEAST_PENALTY = 0.1


class ByItems:
    """x B from B itself, [n_items, n_items].

    Args:
        interactions: X, CSR float32 [n_users, n_items].
        penalties: D, one number for all items or one for each, [n_items].
    """

    def __init__(self, interactions: sp.csr_matrix, penalties: float | np.ndarray) -> None:
        self.interactions = interactions
        self.weights = Strips(ease_weights(interactions, penalties))

    def of_users(self, users: np.ndarray) -> Tensor:
        """Return the scores of trained users, float32 [batch, n_items]."""
        return self.of_rows(self.interactions[users])

    def of_rows(self, rows: sp.csr_matrix) -> Tensor:
        """Return x B for rows x, CSR [batch, n_items]: float32 [batch, n_items]."""
        return self.weights.times(rows)

    def columns(self) -> Iterator[np.ndarray]:
        """Yield blocks of the columns of B one after the other, each float32 [n_items, block]."""
        for strip in self.weights.parts:
            yield strip.numpy()


class ByUsers:
    """The same from K, [n_users, n_users]; the arguments and results are those of :class:`ByItems`.

    Of a trained user it reads one row of K and all of X, of a new one all of K as well.

    Raises:
        LinAlgError: a penalty is 0, without which X^T X has no inverse here.
    """

    def __init__(self, interactions: sp.csr_matrix, penalties: float | np.ndarray) -> None:
        n_items = interactions.shape[1]
        self.interactions = interactions
        self.transposed = interactions.T.tocsr()  # X^T
        self.penalties = np.broadcast_to(np.asarray(penalties, np.float64), n_items)
        if not (self.penalties > 0).all():
            raise np.linalg.LinAlgError("users are fewer than items")
        # Y Y^T is the Gram matrix of Y^T, [n_items, n_users].
        scaled = sp.diags(self.penalties**-0.5) @ interactions.T.astype(np.float64)
        self.kernel, explained = regularised_inverse(scaled.tocsr(), 1.0, self._explained)
        # 1 / (D_j P_jj), at least 1: what the item's own column explains of itself is taken out.
        self.unexplained = 1 / (1 - explained / self.penalties)

    def _explained(self, kernel: np.ndarray) -> np.ndarray:
        """Return x_j^T K x_j of each item from K in double precision, [n_items]."""
        columns = self.transposed
        found = np.zeros(columns.shape[0])
        for item in range(len(found)):
            some = slice(columns.indptr[item], columns.indptr[item + 1])
            users, values = columns.indices[some], columns.data[some]
            found[item] = values @ kernel[users[:, None], users] @ values
        return found

    def of_users(self, users: np.ndarray) -> Tensor:
        """Return the scores of trained users, float32 [batch, n_items]."""
        return self._scores(lambda block: self.kernel[users[block]], self.interactions[users], False)

    def of_rows(self, rows: sp.csr_matrix) -> Tensor:
        """Return x B for rows x, CSR [batch, n_items]: float32 [batch, n_items]."""
        weighted = (rows @ sp.diags(1 / self.penalties)).tocsr()

        def combined(block: slice) -> np.ndarray:
            # (x D^-1 X^T) K: how much each trained user takes part, [block, n_users].
            return np.asarray((weighted[block] @ self.transposed).astype(np.float32) @ self.kernel)

        return self._scores(combined, rows, True)

    def columns(self) -> Iterator[np.ndarray]:
        """Yield blocks of the columns of B one after the other, each float32 [n_items, block].

        Off the diagonal B_ij = -P_ij / P_jj with P = D^-1 - D^-1 X^T K X D^-1 by Woodbury's identity, and so
        B_ij = (X^T K X)_ij / (D_i D_j P_jj).
        """
        by_item = self.interactions.tocsc()
        for start in range(0, by_item.shape[1], USERS):
            some = np.arange(start, min(start + USERS, by_item.shape[1]))
            # K X of these items, [n_users, block], and X^T of that, [n_items, block].
            combined = np.ascontiguousarray((by_item[:, some].T.tocsr() @ self.kernel).T)
            block = np.asarray(self.transposed @ combined)
            block *= (1 / self.penalties).astype(np.float32)[:, None]
            block *= self.unexplained[some].astype(np.float32)
            block[some, np.arange(len(some))] = 0.0
            yield block

    def _scores(self, parts: Callable[[slice], np.ndarray], rows: sp.csr_matrix, new: bool) -> Tensor:
        """Return x_j - (x P D)_j / (D_j P_jj) of some rows x, with x P D = K X, or x - parts X if new.

        Args:
            parts: from a block of the rows to what X is multiplied with, [block, n_users].
            rows: x, CSR [batch, n_items].
            new: whether the rows are new ones.
        """
        found = torch.empty(rows.shape, dtype=torch.float32)
        divisor = torch.from_numpy(self.unexplained.astype(np.float32))
        for start in range(0, rows.shape[0], USERS):
            block = slice(start, min(start + USERS, rows.shape[0]))
            # [n_items, block], of which each item reads the rows of its users.
            product = self.transposed @ np.ascontiguousarray(parts(block).T)
            of_block, own = torch.from_numpy(product).T, torch.from_numpy(rows[block].toarray())
            found[block] = own - (own - of_block if new else of_block) * divisor
        return found


class Discounted:
    """x B diag(f) with a factor f_j of each item's score; used as :class:`ByItems` is.

    Args:
        whole: the term without factors.
        factors: f, float32 [n_items].
    """

    def __init__(self, whole: ByItems | ByUsers, factors: np.ndarray) -> None:
        self.whole, self.interactions = whole, whole.interactions
        self.factors = torch.from_numpy(factors)

    def of_users(self, users: np.ndarray) -> Tensor:
        """Return the scores of trained users, float32 [batch, n_items]."""
        return self.whole.of_users(users) * self.factors

    def of_rows(self, rows: sp.csr_matrix) -> Tensor:
        """Return x B diag(f) for rows x, CSR [batch, n_items]: float32 [batch, n_items]."""
        return self.whole.of_rows(rows) * self.factors

    def columns(self) -> Iterator[np.ndarray]:
        """Yield blocks of the columns of B diag(f) one after the other, each float32 [n_items, block]."""
        start = 0
        for block in self.whole.columns():
            yield block * self.factors[start : start + block.shape[1]].numpy()
            start += block.shape[1]


def discounted(whole: ByItems | ByUsers, power: float) -> ByItems | ByUsers | Discounted:
    """Return x B over a power of the items' counts in train; the term itself where the power is 0."""
    factors = popularity_discount(whole.interactions.getnnz(axis=0), power)
    return Discounted(whole, factors) if power else whole


def by_users(interactions: sp.csr_matrix, penalties: float | np.ndarray) -> bool:
    """Return whether the matrix of users is the smaller one, and the penalties are large enough for it."""
    return interactions.shape[0] < interactions.shape[1] and np.min(penalties) >= LEAST_PENALTY


# What :func:`one_kept` keeps, under what it was computed from, with its seconds; None: it keeps nothing.
_kept: dict[str, tuple[ByItems | ByUsers, float]] | None = None
_spared = 0.0  # seconds


@contextlib.contextmanager
def one_kept() -> Iterator[None]:
    """Keep the last scores for the next model with the same ones, such as the runs of a search.

    On Gowalla they take a quarter of an hour to compute. Those before are given up before others are
    computed, so that there is never more than one beside those in use, and the last at the end; of one
    within another, at the end of the outer one.
    """
    global _kept
    outer = _kept is None
    if outer:
        _kept = {}
    try:
        yield
    finally:
        if outer:
            _kept = None


def spared_seconds() -> float:
    """Return the time that this process has spared so far by :func:`one_kept`: a run tells its whole cost."""
    return _spared


def linear_scores(interactions: sp.csr_matrix, penalties: float | np.ndarray) -> ByItems | ByUsers:
    """Return EASE's scores by the smaller of the two matrices; with tiny penalties by that of items.

    Args:
        interactions: X, CSR float32 [n_users, n_items].
        penalties: D, one number for all items or one for each, [n_items]; positive.
    """
    global _spared
    make = ByUsers if by_users(interactions, penalties) else ByItems
    kept = _kept  # another thread may end it meanwhile
    if kept is None:
        return make(interactions, penalties)
    key = _key(interactions, penalties)
    if key in kept:
        scores, seconds = kept[key]
        _spared += seconds
        return scores
    kept.clear()
    clock = time.perf_counter()
    scores = make(interactions, penalties)
    kept[key] = scores, time.perf_counter() - clock
    return scores


def _key(interactions: sp.csr_matrix, penalties: float | np.ndarray) -> str:
    """Return a name of all that the scores depend on."""
    digest = hashlib.sha256(repr(interactions.shape).encode())
    for array in (interactions.indptr, interactions.indices, interactions.data, np.asarray(penalties)):
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def edlae_penalties(interactions: sp.csr_matrix, reg_weight: float, dropout_prob: float) -> np.ndarray:
    """Return D of EDLAE, p / (1 - p) times an item's users plus lambda, [n_items]; p = 0: EASE's.

    Steck: "Autoencoders that don't overfit towards the Identity", NeurIPS 2020.
    """
    return dropout_prob / (1 - dropout_prob) * interactions.getnnz(axis=0) + reg_weight
