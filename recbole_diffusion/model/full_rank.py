"""A linear item-item model of full rank beside a model of rank d, in scoring: ours, in none of the papers."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.model.base import HybridProducts, InnerProducts, Recommender, pairs_of_rows
from recbole_diffusion.model.ease_scores import (
    ByItems,
    ByUsers,
    Discounted,
    discounted,
    edlae_penalties,
    linear_scores,
)
from recbole_diffusion.options.linear_term import ON_VALIDATION


class Pruned:
    """x B from the ``k`` entries of each column of B that are largest in size; used as :class:`ByItems` is.

    Args:
        whole: the term with all entries of B, which is not kept.
        k: entries of a column that stay; the others are 0.
    """

    def __init__(self, whole: ByItems | ByUsers | Discounted, k: int) -> None:
        self.interactions = whole.interactions
        # B column by column, each [block, n_items], then row by row.
        parts = [_largest(np.ascontiguousarray(block.T), k) for block in whole.columns()]
        self.weights = sp.vstack(parts, format="csr").T.tocsr()  # [n_items, n_items]

    def of_users(self, users: np.ndarray) -> Tensor:
        """Return the scores of trained users, float32 [batch, n_items]."""
        return self.of_rows(self.interactions[users])

    def of_rows(self, rows: sp.csr_matrix) -> Tensor:
        """Return x B for rows x, CSR [batch, n_items]: float32 [batch, n_items]."""
        return torch.from_numpy((rows @ self.weights).toarray())


def _largest(rows: np.ndarray, k: int) -> sp.csr_matrix:
    """Return the ``k`` numbers of each row that are largest in size, CSR; zeros are never among them."""
    if k < rows.shape[1]:
        small = np.argpartition(np.abs(rows), -k, axis=1)[:, :-k]
        np.put_along_axis(rows, small, 0.0, axis=1)
    return sp.csr_matrix(rows)


Term = ByItems | ByUsers | Discounted | Pruned


def linear_term(interactions: sp.csr_matrix, options: Any) -> Term | None:
    """Return EASE or EDLAE of the training interactions, as a ``LinearTermOptions`` says; None for none."""
    if options.linear_term == "none":
        return None
    dropout = options.linear_dropout_prob if options.linear_term == "edlae" else 0.0
    penalties = edlae_penalties(interactions, options.linear_reg_weight, dropout)
    whole = linear_scores(interactions, penalties)
    term = discounted(whole, options.linear_popularity_discount)
    return term if options.linear_k is None else Pruned(term, options.linear_k)


def over_deviation(weight: float, scores: Tensor) -> Tensor:
    """Return a weight over the deviation of each row's items, [batch, 1]; 0 for a row of equal numbers.

    Such a row, as the linear one of an empty history, says nothing.
    """
    deviation = scores[:, 1:].std(1, correction=0, keepdim=True)  # without the padding item
    return torch.where(deviation > 0, weight / deviation, 0.0)


def by_deviation(scores: Tensor, linear: Tensor, weight: float) -> Tensor:
    """Return s / sd(s) + w l / sd(l), with deviations over the items of each row, [batch, n_items]."""
    linear = linear.to(scores)
    return scores * over_deviation(1.0, scores) + linear * over_deviation(weight, linear)


class WithLinearTerm(Recommender):
    """A model whose scores are inner products, to which ``linear_term`` may add those of a linear model.

    It comes before the base class that has the vectors; a subclass without such a base defines
    :meth:`own_products` and :meth:`predict`. It calls :meth:`make_linear_term` in its constructor.
    """

    options: Any
    linear: Term | None

    def make_linear_term(self, interactions: sp.csr_matrix) -> None:
        """Compute the term from the training interactions, CSR float32 [n_users, n_items]."""
        self.linear = linear_term(interactions, self.options)
        # Sums by each row's deviations are no inner products.
        self.has_item_vectors = self.linear is None
        if self.linear is not None and self.options.linear_weight == ON_VALIDATION:
            self.weighed_on_validation = True
            self.other_parameter_name = ["chosen_weight"]  # in checkpoints, beside the weights

    @property
    def weight(self) -> float:
        """The weight of the linear scores; 1 where validation is still to choose it."""
        if not self.weighed_on_validation:
            return self.options.linear_weight
        return 1.0 if self.chosen_weight is None else self.chosen_weight

    def own_products(self) -> InnerProducts:
        """Return the vectors whose inner products are the scores without the term."""
        return super().inner_products()

    def own_scores(self, users: Tensor) -> Tensor:
        """Return scores without the term, a new tensor [batch, n_items]."""
        own = self.own_products()
        return own.users(users) @ own.items.T

    def inner_products(self) -> InnerProducts:
        """Return :meth:`own_products`, where they are all.

        Raises:
            TypeError: there is a ``linear_term``.
        """
        if self.linear is not None:
            raise TypeError("with linear_term, scores are not inner products")
        return self.own_products()

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return scores of all items, [batch, n_items]; a new tensor, which the evaluator may overwrite."""
        users = interaction[self.USER_ID]
        scores = self.own_scores(users)
        if self.linear is None:
            return scores
        return by_deviation(scores, self.linear.of_users(users.cpu().numpy()), self.weight)

    def predict(self, interaction: Any) -> Tensor:
        """Return the scores of user-item pairs, [batch]."""
        # Deviations are over all items.
        return super().predict(interaction) if self.linear is None else pairs_of_rows(self, interaction)

    @torch.no_grad()
    def weighed_parts(self, interaction: Any) -> tuple[Tensor, Tensor]:
        """Return s / sd(s) and l / sd(l), whose weighted sum is the score, [batch, n_items] each."""
        users = interaction[self.USER_ID]
        assert self.linear is not None
        own, linear = self.own_scores(users), self.linear.of_users(users.cpu().numpy()).to(self.device)
        return own * over_deviation(1.0, own), linear * over_deviation(1.0, linear)

    def hybrid_products(self) -> HybridProducts | None:
        """Return the scores as inner products of vectors that are dense in part and sparse in part.

        For B of few entries: an item has its column of B, a user the row x over the deviation.
        """
        if not isinstance(self.linear, Pruned):
            return None
        term, own, weight = self.linear, self.own_products(), self.weight

        @torch.no_grad()
        def of(users: Tensor) -> tuple[Tensor, sp.csr_matrix]:
            vectors = own.users(users)
            rows = term.interactions[users.cpu().numpy()]
            factors = over_deviation(weight, term.of_rows(rows)).numpy().ravel()
            # s / sd(s) is u / sd(s) with the item's own vector, [batch, d].
            dense = vectors * over_deviation(1.0, vectors @ own.items.T)
            return dense, (sp.diags(factors) @ rows).tocsr().astype(np.float32)

        return HybridProducts(of, own.items, term.weights.T.tocsr())

    def final_diagnostics(self) -> dict[str, Any]:
        """Return the weight that validation chose."""
        return {"linear_weight": self.weight} if self.weighed_on_validation else {}
