"""Filters of the user-item graph that nothing trains: LinkProp, BSPM and ChebyCF.

With R~ = D_U^-1/2 R D_I^-1/2 and P = R~^T R~, [n_items, n_items], the score of a row x is x times a
polynomial of P, plus a projection on the lowest frequencies of the graph, the first right singular vectors of
R~. P is never built: a block of rows times P is two products with the sparse R~.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.graph import degree_powers, scaled
from recbole_diffusion.model.graph.options import BSPMOptions, ChebyCFOptions, LinkPropOptions
from recbole_diffusion.model.history_model import HistoryModel, singular_vectors, tell_reproduced
from recbole_diffusion.model.propagation import SparseMatrix

LINK_CELLS = 2**22  # scores of a block of users, while the best links of all users are chosen


class LinkProp(HistoryModel):
    """All paths user - item - other user - item, weighted by powers of the four degrees.

    Fu, Poirson, Lee, Wang: "Revisiting Neighborhood-based Link Prediction for Collaborative Filtering", WWW
    2022 companion::

        S = D_U^-alpha R D_I^-beta R^T D_U^-gamma R D_I^-delta

    alpha multiplies all scores of a user, so it changes no list of its own, only which links are added.

    With ``rounds`` above 1 it is LinkProp-Multi: each round but the last takes the highest scores of all
    users among the pairs without a training row, as many as ``link_share`` times the training rows (of equal
    scores the first by user and item), and the next round's degrees are of the training rows and these links.
    R stays as it is. That the share is of the training rows, and that R stays, is our reading: the authors'
    code is not public, and two others differ in it.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: LinkPropOptions = self.options
        R = self.interactions
        self.degrees = R.getnnz(axis=1), R.getnnz(axis=0)  # [n_users], [n_items]
        self._take_degrees()
        for _ in range(o.rounds - 1):
            users, items = self._best_links(round(o.link_share * R.nnz))
            self.degrees = (
                R.getnnz(axis=1) + np.bincount(users, minlength=self.n_users),
                R.getnnz(axis=0) + np.bincount(items, minlength=self.n_items),
            )
            self._take_degrees()

    def _take_degrees(self) -> None:
        """Make D_I^-beta R^T and D_U^-gamma R D_I^-delta of the present degrees."""
        o, R, (users, items) = self.options, self.interactions.astype(np.float64), self.degrees
        self.back = (sp.diags(degree_powers(items, -o.beta)) @ R.T).tocsr().astype(np.float32)
        left, right = degree_powers(users, -o.gamma), degree_powers(items, -o.delta)
        self.forth = SparseMatrix((sp.diags(left) @ R @ sp.diags(right)).tocsr().astype(np.float32))

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items, [batch, n_items]; a row's own degree is its number of items."""
        return self._paths(rows, rows.getnnz(axis=1))

    def _paths(self, rows: sp.csr_matrix, degrees: np.ndarray) -> Tensor:
        # d_u^-alpha x D_I^-beta R^T, the weight of each other user, [batch, n_users].
        others = (rows @ self.back).toarray() * degree_powers(degrees, -self.options.alpha)[:, None]
        others = torch.from_numpy(others.astype(np.float32)).to(self.device)
        # Times D_U^-gamma R D_I^-delta, [batch, n_items].
        return self.forth.back(others.T).T.contiguous()

    @torch.no_grad()
    def _best_links(self, many: int) -> tuple[np.ndarray, np.ndarray]:
        """Return users and items of the highest scores of all users at once, int64 [many] each."""
        R, block = self.interactions, max(LINK_CELLS // self.n_items, 1)
        kept, pairs = np.empty(0, np.float32), np.empty(0, np.int64)
        for start in range(0, self.n_users, block):
            rows = R[start : start + block]
            scores = self._paths(rows, self.degrees[0][start : start + block]).cpu().numpy()
            scores[rows.nonzero()] = 0.0
            # A later pair enters by a higher score alone; a pair without a path is no candidate.
            least = kept[-1] if len(kept) >= many > 0 else 0.0
            found = np.flatnonzero(scores > least)  # by user, then by item
            kept = np.r_[kept, scores.ravel()[found]]
            pairs = np.r_[pairs, found + start * self.n_items]
            best = np.argsort(-kept, kind="stable")[:many]
            kept, pairs = kept[best], pairs[best]
        return pairs // self.n_items, pairs % self.n_items


class SpectralFilter(HistoryModel):
    """The product with P, and the projection on the first right singular vectors V of R~."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        normalised = scaled(self.interactions, 0.5, 0.5)  # R~
        self.graph = SparseMatrix(normalised)
        o = self.options
        rank = o.ideal_rank if o.ideal_weight else 0
        empty = np.zeros((self.n_items, 0), np.float32)
        vectors = singular_vectors(normalised, rank) if rank else empty
        tell_reproduced(config["model"], rank, normalised, vectors)
        # [n_items, rank], in checkpoints: vectors of equal singular values could be others another time.
        self.register_buffer("ideal", torch.from_numpy(np.ascontiguousarray(vectors)))

    def smooth(self, columns: Tensor) -> Tensor:
        """Return P times columns, [n_items, batch]; P is its own transpose."""
        return self.graph.back(self.graph(columns))

    def item_powers(self, power: float) -> np.ndarray:
        """Return the items' degrees to a power, float32 [n_items]."""
        return degree_powers(self.interactions.getnnz(axis=0), power).astype(np.float32)

    def columns(self, rows: sp.csr_matrix) -> Tensor:
        """Return rows as a dense block of columns, [n_items, batch]."""
        return torch.from_numpy(np.ascontiguousarray(rows.toarray().T)).to(self.device)

    def projected(self, rows: sp.csr_matrix) -> Tensor:
        """Return V V^T times the rows as columns, [n_items, batch]."""
        share = torch.from_numpy(rows @ self.ideal.cpu().numpy()).to(self.device)  # x V, [batch, rank]
        return self.ideal @ share.T


class BSPM(SpectralFilter):
    """A row blurred by P and an ideal low-pass filter, then sharpened by dy/dt = -y P.

    Choi, Hong, Park, Cho: "Blurring-Sharpening Process Models for Collaborative Filtering", SIGIR 2023. The
    blur is one Euler step of dx/dt = x P - x over [0, 1], x P, as in all of the authors' settings, and x Lo
    with Lo = D_I^-1/2 V V^T D_I^1/2. A step of a Runge-Kutta solver for a linear equation is a polynomial
    q(h P), the exponential's series up to the solver's order. Without sharpening (``sharpening_time: 0``) it
    is GF-CF.
    """

    options: BSPMOptions

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        o = self.options
        blurred = self.smooth(self.columns(rows))  # x P, as columns
        ideal = self.projected(rows @ sp.diags(self.item_powers(-0.5)))
        ideal *= o.ideal_weight * torch.from_numpy(self.item_powers(0.5)).to(self.device)[:, None]
        states = [blurred + ideal if o.merge == "early" else blurred]
        for _ in range(o.sharpening_steps):
            states.append(self.sharpened(states[-1]))
        # The mean with the blurred row, in which the low-pass filter has no part.
        score = torch.stack([blurred, *states[1:]]).mean(0) if o.combination else states[-1]
        return (score if o.merge == "early" else score + ideal).T.contiguous()

    def sharpened(self, columns: Tensor) -> Tensor:
        """Return columns after one step, q(h P) times them: 1 - z, or 1 - z + z^2/2 - z^3/6 + z^4/24."""
        o = self.options
        step, order = o.sharpening_time / o.sharpening_steps, 1 if o.solver == "euler" else 4
        term, total = columns, columns.clone()
        for n in range(1, order + 1):
            term = self.smooth(term) * (-step / n)
            total += term
        return total


class ChebyCF(SpectralFilter):
    """A Chebyshev polynomial of the Laplacian with a plateau, plus an ideal low-pass filter.

    Kim, Sung, Han, Lee: "Graph Spectral Filtering with Chebyshev Interpolation for Recommendation", SIGIR
    2025::

        s = x D_I^-b [sum_k c_k T_k(I - 2P) + a V V^T] D_I^b

    a is ``ideal_weight`` and b is ``degree_power``; the coefficients are :func:`chebyshev_coefficients`.
    """

    options: ChebyCFOptions

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        o = self.options
        rows = rows @ sp.diags(self.item_powers(-o.degree_power))
        coefficients = chebyshev_coefficients(o.order, o.flatness, o.nodes)
        # T_0 = 1, T_1 = L' = I - 2P, T_k+1 = 2 L' T_k - T_k-1, each times the columns.
        before = self.columns(rows)
        now = before - 2 * self.smooth(before)
        total = coefficients[0] * before + coefficients[1] * now
        for coefficient in coefficients[2:]:
            before, now = now, 2 * (now - 2 * self.smooth(now)) - before
            total += coefficient * now
        total += o.ideal_weight * self.projected(rows)
        return (
            total * torch.from_numpy(self.item_powers(o.degree_power)).to(self.device)[:, None]
        ).T.contiguous()


def chebyshev_coefficients(order: int, flatness: float, nodes: str) -> list[float]:
    """Return c_0 .. c_order of the interpolated plateau h, 1 at -1 and 0 at 1.

    h(y) is 1/2 + |y|^flatness / 2 below 0 and 1/2 - y^flatness / 2 above. ``consistent`` interpolates it at
    the first-kind nodes. ``released``, the authors' code, takes the values at the second-kind points,
    both rounded to three decimals, and uses them as if they were at the first-kind nodes.
    """
    places = np.arange(order + 1)
    angles = (order + 0.5 - places) * np.pi / (order + 1)  # of the first-kind nodes, ascending
    points = np.cos(angles if nodes == "consistent" else (order - places) * np.pi / order)
    if nodes == "released":
        points = points.round(3)
    values = 0.5 - np.sign(points) * np.abs(points) ** flatness / 2
    if nodes == "released":
        values = values.round(3)
    # c_k = 2 / (K + 1) sum_j h_j T_k(y_j), with T_k(cos t) = cos(k t); half of it for k = 0.
    found = 2 / (order + 1) * np.cos(np.outer(places, angles)) @ values
    found[0] /= 2
    return found.tolist()
