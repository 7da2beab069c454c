"""Linear models of rows and neighbours, which every table needs: EDLAE, PureSVD, P3alpha, RP3beta, UserKNN.

All score a user's row x of 0 and 1, and nothing is trained by steps. RecBole has EASE, SLIMElastic and
ItemKNN.
"""

import logging
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.graph import degree_powers
from recbole_diffusion.model.base import FoldInHistories, InnerProducts
from recbole_diffusion.model.ease_scores import discounted, edlae_penalties, linear_scores
from recbole_diffusion.model.history_model import (
    HistoryModel,
    history_rows,
    reproduced,
    singular_vectors,
    strongest_of_rows,
)
from recbole_diffusion.model.rows.options import (
    EDLAEOptions,
    P3alphaOptions,
    PureSVDOptions,
    RP3betaOptions,
    UserKNNOptions,
)

CELLS = 2**22  # items of a block times all items, while neighbours of items are chosen


class EDLAE(HistoryModel):
    """EASE whose input is dropped out, and which has to predict what was dropped: x B with a diagonal of 0.

    Steck: "Autoencoders that don't overfit towards the Identity", NeurIPS 2020. With the emphasis on the
    dropped entries alone (a = 1, b = 0), the expectation over all dropouts has a closed form of full rank::

        B_ij = -C_ij / C_jj,  C = (R^T R + p / (1 - p) diag(R^T R) + lambda I)^-1

    p is ``dropout_prob`` and lambda ``reg_weight``; p = 0 is EASE. Held is a dense matrix of items x items,
    or of users x users where these are fewer (``model/ease_scores.py``). With ``popularity_discount`` a score
    is (x B)_j / count_j^discount, which is not of the paper.
    """

    options: EDLAEOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, R = self.options, self.interactions
        whole = linear_scores(R, edlae_penalties(R, o.reg_weight, o.dropout_prob))
        self.linear = discounted(whole, o.popularity_discount)

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return x B, [batch, n_items]."""
        return self.linear.of_rows(rows).to(self.device)

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        return self.linear.of_users(interaction[self.USER_ID].cpu().numpy()).to(self.device)


class PureSVD(HistoryModel):
    """x V V^T, with V the first right singular vectors of R, in which what is not known is 0.

    Cremonesi, Koren, Turrin: "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys
    2010. The vector of a user is x V, that of an item its row of V.
    """

    options: PureSVDOptions
    has_item_vectors = True
    item_vectors: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        vectors = singular_vectors(self.interactions, self.options.embedding_size)
        if reproduced(self.interactions, vectors):
            logging.getLogger().warning(
                "PureSVD: embedding_size is %d, and %d singular vectors reproduce each user's row: items "
                "that a user does not have in train score 0 up to rounding, and lists are those of chance; "
                "give a smaller embedding_size",
                *(self.options.embedding_size, vectors.shape[1]),
            )
        # [n_items, d], in checkpoints: vectors of equal singular values could be others another time.
        self.register_buffer("item_vectors", torch.from_numpy(vectors))

    def projected(self, rows: sp.csr_matrix) -> Tensor:
        """Return x V, [batch, d]."""
        return torch.from_numpy(rows @ self.item_vectors.cpu().numpy()).to(self.device)

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return x V V^T, [batch, n_items]."""
        return self.projected(rows) @ self.item_vectors.T

    def inner_products(self) -> InnerProducts:
        """Return the vectors of users and items."""
        return InnerProducts(
            lambda users: self.projected(self.interactions[users.cpu().numpy()]), self.item_vectors
        )

    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return the vectors of users by their items, [batch, d]."""
        return self.projected(history_rows(histories, self.n_items))


class RP3beta(HistoryModel):
    """Random walks from the user's items to users to items, which popular items are reached by too easily.

    Paudel, Christoffel, Newell, Bernstein: "Updatable, Accurate, Diverse, and Scalable Recommendations for
    Interactive Applications", ACM TiiS 7(1), 2017, after P3alpha of Cooper et al., WWW 2014. Paudel et al.
    sample walks; here their probabilities are exact, as in the evaluation of Ferrari Dacrema et al. (RecSys
    2019)::

        s_j = sum of W_ij over the user's items i,  W_ij = sum_u (1/d_i)^alpha (1/d_u)^alpha / d_j^beta

    Of each item i the ``k`` strongest W_ij stay, i itself left out. With all of them it is LinkProp with the
    powers (beta, gamma, delta) = (alpha, alpha, beta), but for the diagonal.
    """

    options: RP3betaOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.weights = self._walks(self.options.alpha, self._popularity_power())

    def _popularity_power(self) -> float:
        return self.options.beta

    def _walks(self, alpha: float, beta: float) -> sp.csr_matrix:
        """Return W, CSR float32 [n_items, n_items] with at most ``k`` entries in a row."""
        R = self.interactions.astype(np.float64)
        of_users, of_items = R.getnnz(axis=1), R.getnnz(axis=0)
        back = (sp.diags(degree_powers(of_items, -alpha)) @ R.T).tocsr()  # items to users
        forth = sp.diags(degree_powers(of_users, -alpha)) @ R @ sp.diags(degree_powers(of_items, -beta))
        block, parts = max(CELLS // self.n_items, 1), []
        for start in range(0, self.n_items, block):
            found = (back[start : start + block] @ forth).tocoo()
            # Without the item itself; the blocks follow each other on the diagonal.
            others = found.row + start != found.col
            entries = found.data[others], (found.row[others], found.col[others])
            kept = strongest_of_rows(sp.csr_matrix(entries, found.shape), self.options.k)
            if self.options.normalize:
                sums = np.asarray(kept.sum(axis=1)).ravel()
                kept = (sp.diags(degree_powers(sums, -1.0)) @ kept).tocsr()
            parts.append(kept.astype(np.float32))
        return sp.vstack(parts, format="csr")

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return x W, [batch, n_items]."""
        return torch.from_numpy((rows @ self.weights).toarray()).to(self.device)


class P3alpha(RP3beta):
    """RP3beta whose last step is a walk's too: W_ij = sum_u (1/d_i)^alpha (1/d_u)^alpha.

    Cooper, Lee, Radzik, Siantos: "Random Walks in Recommender Systems: Exact Computation and Simulations",
    WWW 2014 companion.
    """

    options: P3alphaOptions  # type: ignore[assignment]

    def _popularity_power(self) -> float:
        return 0.0


class UserKNN(HistoryModel):
    """The items of the ``k`` most similar training users: s_j = sum over neighbours v of sim(x, v) r_vj.

    sim(x, v) = x . v / (|x| |v| + shrink), the cosine without ``shrink``. A trained user is a neighbour of
    itself: that takes one of the k places and adds to the user's own items alone, which lists leave out.
    RecBole's ItemKNN with ``knn_method: user`` leaves it out, cannot score a new user, and holds the scores
    of all users.
    """

    options: UserKNNOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.transposed = self.interactions.T.tocsr()
        self.norms = np.sqrt(self.interactions.getnnz(axis=1))

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        common = (rows @ self.transposed).tocsr()  # items in common with each training user, [batch, n_users]
        lengths = np.repeat(np.sqrt(rows.getnnz(axis=1)), np.diff(common.indptr))
        common.data = (common.data / (lengths * self.norms[common.indices] + self.options.shrink)).astype(
            np.float32
        )
        neighbours = strongest_of_rows(common, self.options.k)
        return torch.from_numpy((neighbours @ self.interactions).toarray()).to(self.device)
