"""Biases and a ridge regression of each item's rating residuals on the others', in closed form.

The regression is EASE (Steck: "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019) on what biases
leave of ratings, with 0 at unrated cells. ``itemridge.py`` is the model of it, and it is DGRM's ``base``.
"""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.ease import Strips, ease_parts
from recbole_diffusion.model.rows.options import RatedFitOptions

SWEEPS = 10  # of items' biases, then users'; they move by less than 1e-3 of a rating after three
BLOCK = 512  # users whose dense rows are held at once
LEAST_REST = 1e-3  # of 1 - h, the share of a rating's own weight that is left


class RatedFit:
    """A rating is mu + b_u + b_i + s sum over j of e_uj B_ji, e_uj = r_uj - mu - b_u - b_j at rated cells.

    b_i and b_u are means of what is left of an item's and of a user's ratings, shrunken to 0 by a number of
    ratings. B has a diagonal of 0. At unrated cells e is 0 as a target too, which draws predictions to 0: s
    takes that back, where ``stretch`` is set, by least squares on :meth:`left_out`.

    A prediction is a function of the user's row, so that a trained user and a new one with the same ratings
    have the same; b_u is computed last for that.

    Args:
        ratings: of the training part, CSR [n_users, n_items], on the rating scale.
        options: shrinkages, penalty and stretch.
        ridge: False: the biases alone.
    """

    def __init__(self, ratings: sp.csr_matrix, options: RatedFitOptions, ridge: bool = True) -> None:
        self.ratings, self.options = ratings.astype(np.float64), options
        self.mean = float(self.ratings.data.mean())
        users, items = self._owners(self.ratings), ratings.indices
        centred, shape = self.ratings.data - self.mean, ratings.shape
        self.of_items = np.bincount(items, minlength=shape[1])
        self.user_bias, self.item_bias = np.zeros(shape[0]), np.zeros(shape[1])
        for _ in range(SWEEPS):
            self._before = self.user_bias  # by which the items' biases are computed
            sums = np.bincount(items, centred - self._before[users], minlength=shape[1])
            self.item_bias = sums / np.maximum(self.of_items + options.item_shrinkage, 1e-9)
            rest, self.user_bias = self.residuals(self.ratings)
        self.weights, self.diagonal, self.scale = None, np.zeros(shape[1]), 1.0
        if ridge:
            try:
                B, self.diagonal = ease_parts(rest, options.reg_weight)
            except np.linalg.LinAlgError as error:
                raise UsageError(
                    f"reg_weight {options.reg_weight:g} is too small for this data set: {error}"
                ) from error
            self.weights = Strips(B)
            if options.stretch:
                base, linear = self._left_out_parts()
                squares = float(linear @ linear)
                wanted = self.ratings.data - base
                self.scale = max(float(linear @ wanted) / squares, 0.0) if squares > 0 else 1.0

    @staticmethod
    def _owners(rows: sp.csr_matrix) -> np.ndarray:
        return np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))

    def residuals(self, rows: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray]:
        """Return e of rows of ratings, CSR [batch, n_items], and their b_u, [batch]."""
        owner, counts = self._owners(rows), np.diff(rows.indptr)
        rest = rows.data.astype(np.float64) - self.mean - self.item_bias[rows.indices]
        shrunken = np.maximum(counts + self.options.user_shrinkage, 1e-9)
        bias = np.bincount(owner, rest, minlength=rows.shape[0]) / shrunken
        return sp.csr_matrix((rest - bias[owner], rows.indices, rows.indptr), rows.shape), bias

    def _times(self, rows: sp.csr_matrix) -> np.ndarray:
        """Return rows times B, float64 [batch, n_items]."""
        assert self.weights is not None
        return self.weights.times(rows.astype(np.float32)).numpy().astype(np.float64)

    def scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return predicted ratings of all items for rows of ratings, float32 [batch, n_items]."""
        rest, bias = self.residuals(rows)
        found = self.mean + bias[:, None] + self.item_bias
        if self.weights is not None:
            found += self.scale * self._times(rest)
        return torch.from_numpy(found.astype(np.float32))

    def left_out(self) -> np.ndarray:
        """Return the prediction of each training rating without that rating, [ratings], in CSR order.

        What a model learns beside this fit would otherwise be taught on residuals that are smaller than those
        of ratings that nobody has seen. See :meth:`_left_out_parts`.
        """
        base, linear = self._left_out_parts()
        return base + self.scale * linear

    def _left_out_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mu + b'_u + b'_i and the linear part of each training rating without itself, [ratings] each.

        b'_i and b'_u are means without the rating, the other side's biases as they are. e'_uj = e_uj + d with
        d = b_u - b'_u are the residuals beside b'_u. The regression of item i is without the user's row: with
        P = (E^T E + lambda I)^-1, g = E P at (u, i), so that e - (E B) = g / P_ii, the identity of ridge
        regressions without a row gives::

            h   = e_u P e_u^T - g^2 / P_ii                                       the row's own weight
            l   = e_ui - (g / P_ii) / (1 - h)                                    e_u without the row
            l'  = l + d [(m B)_i - (m P e_u^T - (m P)_i g / P_ii) (g / P_ii) / (1 - h)]      e'_u, the same

        for m the row of ones at rated cells: exact, and no regression is solved again. What still knows the
        rating: mu, and the biases b_j in other users' residuals, by one part in the item's number of ratings.
        """
        R, o = self.ratings, self.options
        users, items, many = self._owners(R), R.indices, np.diff(R.indptr)
        centred, E = R.data - self.mean, self.residuals(R)[0]

        def without(bias: np.ndarray, counts: np.ndarray, own: np.ndarray) -> np.ndarray:
            # (sum - own) / (n - 1 + shrinkage); 0 for a single rating without shrinkage.
            left = counts - 1
            return np.where(left > 1e-9, (bias * counts - own) / np.maximum(left, 1e-9), 0.0)

        of_user = without(
            self.user_bias[users], many[users] + o.user_shrinkage, centred - self.item_bias[items]
        )
        of_item = without(
            self.item_bias[items], self.of_items[items] + o.item_shrinkage, centred - self._before[users]
        )
        base, linear = self.mean + of_user + of_item, np.zeros(len(items))
        if self.weights is None:
            return base, linear
        shift = self.user_bias[users] - of_user  # d, [ratings]
        for block, cells in self._blocks():
            e, own = E[block], (self._owners(R[block]), items[cells])
            m = sp.csr_matrix((np.ones(e.nnz), e.indices, e.indptr), e.shape)
            P = self.diagonal[own[1]]
            fitted, of_ones = self._times(e)[own], self._times(m)[own]
            # g / P_ii, and m P at the cell: P_ii (m_i - (m B)_i) with m_i = 1.
            error, ones_p = e.data - fitted, P * (1 - of_ones)

            def by_user(values: np.ndarray, owner: np.ndarray = own[0], n: int = e.shape[0]) -> np.ndarray:
                return np.bincount(owner, values, minlength=n)[owner]

            h = by_user(e.data * P * error) - P * error**2
            missed = error / np.maximum(1 - h, LEAST_REST)
            across = by_user(P * error) - ones_p * error
            linear[cells] = e.data - missed + shift[cells] * (of_ones - across * missed)
        return base, linear

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield users in blocks, and where their ratings stand."""
        n, starts = self.ratings.shape[0], self.ratings.indptr
        for first in range(0, n, BLOCK):
            last = min(first + BLOCK, n)
            yield slice(first, last), slice(starts[first], starts[last])


def csr_of(items: Tensor, starts: Tensor, ratings: Tensor, n_items: int) -> sp.csr_matrix:
    """Return rows of ratings as CSR [batch, n_items], from items and ratings [cells] and starts [batch]."""
    offsets = np.r_[starts.cpu().numpy(), len(items)]
    return sp.csr_matrix((ratings.cpu().numpy(), items.cpu().numpy(), offsets), (len(starts), n_items))
