"""Sparse matrices of items x items, one small regression for each item: SLIM and SparseEASE.

Both score a user's row x of 0 and 1 by x W, with the diagonal of W at 0, and regress each item's column of
the interactions X on those of a few other items. Columns are solved one by one from the columns of X that
take part, so that no matrix of items x items is held but the sparse result.
"""

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.graph import degree_powers
from recbole_diffusion.model.history_model import HistoryModel, strongest_of_rows
from recbole_diffusion.model.rows.options import SLIMOptions, SparseEASEOptions

CELLS = 2**22  # items of a block times all items, while the items that go with them are counted
SWEEPS, TOLERANCE = 1000, 1e-4  # of coordinate descent: most of them, and the gap as a share of |x_j|^2
SAMPLED = 512  # items whose residuals are computed


class _ColumnByColumn(HistoryModel):
    """Scores x W for a sparse W whose columns are regressions of their own."""

    weights: sp.csr_matrix

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.columns = self.interactions.astype(np.float64).tocsc()  # X, by item
        self.degrees = self.interactions.getnnz(axis=0)
        # Of each column j the items i that have a weight, and W_ij.
        found = list(self._solved())
        sizes = [len(items) for items, _ in found]
        indices, data = (np.concatenate(parts) for parts in zip(*found, strict=True))
        shape = (self.n_items, self.n_items)
        columns = sp.csc_matrix((data.astype(np.float32), indices, np.r_[0, np.cumsum(sizes)]), shape)
        self.weights = columns.tocsr()

    def _together(self) -> Iterator[tuple[int, sp.csr_matrix]]:
        """Yield blocks of the rows of X^T X without its diagonal, with the first item of each."""
        transposed, block = self.columns.T.tocsr(), max(CELLS // self.n_items, 1)
        for start in range(0, self.n_items, block):
            found = (transposed[start : start + block] @ self.interactions).tocoo()
            others = found.row + start != found.col
            entries = found.data[others], (found.row[others], found.col[others])
            yield start, sp.csr_matrix(entries, found.shape)

    def _solved(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield for each item the items of its regression and their weights."""
        raise NotImplementedError

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return x W, [batch, n_items]."""
        return torch.from_numpy((rows @ self.weights).toarray()).to(self.device)


class SLIM(_ColumnByColumn):
    """Non-negative elastic net of each item on all others, by coordinate descent.

    Ning, Karypis: "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011, Eq. 4::

        min 1/2 |x_j - X w|^2 + beta/2 |w|^2 + lambda |w|_1,  w >= 0,  w_j = 0

    As no count of X^T X is negative, an item i with (X^T X)_ij <= lambda has weight 0 whatever the others
    have: the derivative by w_i is at least lambda - (X^T X)_ij. So each item is regressed on the items that
    more than lambda users have together with it, which is exact. RecBole's SLIMElastic takes all items, in a
    random order, 100 sweeps at most.
    """

    options: SLIMOptions

    def _solved(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import ElasticNet

        o, stopped = self.options, 0
        # scikit-learn's objective is this one by number of rows.
        total = o.l1_weight + o.l2_weight
        net = ElasticNet(
            alpha=total / self.columns.shape[0],
            l1_ratio=o.l1_weight / total,
            positive=True,
            fit_intercept=False,
            max_iter=SWEEPS,
            tol=TOLERANCE,
        )
        for start, counts in self._together():
            for row in range(counts.shape[0]):
                of_item = slice(counts.indptr[row], counts.indptr[row + 1])
                items = counts.indices[of_item][counts.data[of_item] > o.l1_weight]
                if not len(items):
                    yield items, np.zeros(0)
                    continue
                items.sort()
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always", ConvergenceWarning)
                    net.fit(self.columns[:, items], self.columns[:, [start + row]].toarray().ravel())
                stopped += len(told)
                kept = net.coef_ > 0
                yield items[kept], net.coef_[kept]
        if stopped:
            logging.getLogger().warning("SLIM: %d regressions stopped after %d sweeps", stopped, SWEEPS)


class SparseEASE(_ColumnByColumn):
    """EASE, or EDLAE, whose matrix has ``k`` entries in each column at most: the best there are, exactly.

    Each item j is regressed on its ``k`` most similar items S by the cosine of their columns::

        W_Sj = (X_S^T X_S + Lambda_S)^-1 X_S^T x_j,  Lambda_i = lambda + p / (1 - p) |x_i|^2

    which is the minimum of EASE's objective (of EDLAE's with ``dropout_prob`` p > 0) over the columns that
    are 0 outside of S, and column j of EASE itself where S is all other items. So it is an approximate
    inverse of X^T X + Lambda with a given pattern, as Steck has it ("Markov Random Fields for Collaborative
    Filtering", NeurIPS 2019, section 3.2, with r = 0). SANSA (Spisak et al., RecSys 2023) has the same aim by
    an incomplete Cholesky factor and its approximate inverse. What the pattern leaves out is told by
    :meth:`final_diagnostics`.
    """

    options: SparseEASEOptions

    def _solved(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        o = self.options
        penalties = o.dropout_prob / (1 - o.dropout_prob) * self.degrees + o.reg_weight
        lengths = sp.diags(degree_powers(self.degrees, -0.5))
        for start, counts in self._together():
            # The row's own length changes no order in it.
            nearest = strongest_of_rows((counts @ lengths).tocsr(), o.k)
            for row in range(nearest.shape[0]):
                items = nearest.indices[nearest.indptr[row] : nearest.indptr[row + 1]]
                some = self.columns[:, items]
                gram = (some.T @ some).toarray()
                gram[np.diag_indices(len(items))] += penalties[items]
                counted = some.T @ self.columns[:, [start + row]].toarray().ravel()
                yield items, np.linalg.solve(gram, counted)

    def final_diagnostics(self) -> dict[str, Any]:
        """Return what is left of the normal equations outside the pattern, as a share; 0 for EASE itself.

        Of evenly spaced items j: the root of the summed squares of X^T (x_j - X w) outside of S and j, over
        that of X^T x_j outside of j.
        """
        items = np.unique(np.linspace(1, self.n_items - 1, min(SAMPLED, self.n_items - 1)).astype(int))
        left, whole, W = 0.0, 0.0, self.weights.tocsc()
        for some in np.array_split(items, -(-len(items) // 64)):
            columns = self.columns[:, some]
            wanted = (self.columns.T @ columns).toarray()  # X^T x_j, [n_items, some]
            missing = wanted - self.columns.T @ (self.columns @ W[:, some]).toarray()
            wanted[some, np.arange(len(some))] = 0.0
            missing[some, np.arange(len(some))] = 0.0
            missing[W[:, some].nonzero()] = 0.0
            left, whole = left + np.square(missing).sum(), whole + np.square(wanted).sum()
        return {"residual": float(np.sqrt(left / whole)) if whole else 0.0, "weights": int(self.weights.nnz)}
