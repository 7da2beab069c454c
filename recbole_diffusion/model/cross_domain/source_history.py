"""Histories in the source domain: rows of items, attention over them, and folding in users by them."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization, MatrixShape
from recbole_diffusion.model.cross_domain.rating_negatives import NegativePool
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

BLOCK = 2**20  # pairs whose vectors are held at once


def history_of(ratings: Ratings, shape: MatrixShape, floor: float | None) -> InteractionCSR:
    """Return the items that each user has rated ``floor`` or higher, ascending; all rated items with None."""
    kept = torch.arange(len(ratings)) if floor is None else (ratings.ratings >= floor).nonzero().squeeze(1)
    # Sorted by user, then item, as one number for each pair.
    keys = torch.sort(ratings.users[kept] * shape.n_items + ratings.items[kept]).values
    counts = torch.bincount(keys // shape.n_items, minlength=shape.n_users)
    return InteractionCSR(
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]), keys % shape.n_items, shape.n_items
    )


class SourceRatings:
    """The source ratings of each user, gathered by user.

    Args:
        ratings: of the source domain.
        n_users: number of source ids.
    """

    def __init__(self, ratings: Ratings, n_users: int) -> None:
        order = torch.argsort(ratings.users, stable=True)
        counts = torch.bincount(ratings.users, minlength=n_users)
        self.columns, self.counts = (ratings.items[order], ratings.ratings[order]), counts
        self.starts = counts.cumsum(0) - counts

    def of(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return items, rows (places in ``users``) and ratings of users by source id, [total] each."""
        # They move to the device once, with the first users.
        items, ratings, self.counts, self.starts = (
            column.to(users.device) for column in (*self.columns, self.counts, self.starts)
        )
        self.columns = items, ratings
        counts = self.counts[users]
        rows = torch.arange(len(users), device=users.device).repeat_interleave(counts)
        firsts = counts.cumsum(0) - counts
        # A user's start among all ratings, plus the place among the user's own.
        places = self.starts[users][rows] + torch.arange(len(rows), device=users.device) - firsts[rows]
        return items[places], rows, ratings[places]


def liked(histories: FoldInHistories, floor: float | None) -> tuple[Tensor, Tensor]:
    """Return items [total] and rows [total] of histories rated ``floor`` or higher; all with None."""
    # Unliked items do not characterise a user.
    kept = slice(None) if floor is None else histories.known_ratings >= floor
    return histories.items[kept], histories.rows[kept]


def softmax_by_row(scores: Tensor, rows: Tensor, n_rows: int) -> Tensor:
    """Return the softmax of the scores within each row, [total].

    Args:
        scores: [total].
        rows: which row each score belongs to, long [total].
        n_rows: number of rows; one without scores is allowed.
    """
    # exp(score - largest of the row): no overflow, whatever the scores.
    highest = scores.new_full((n_rows,), -torch.inf).scatter_reduce(0, rows, scores.detach(), "amax")
    # Each row sums to one after the division, [total].
    powers = (scores - highest[rows]).exp()
    return powers / scores.new_zeros(n_rows).index_add(0, rows, powers)[rows]


def means_over_pairs(own: Tensor, others: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the mean of each vector and its neighbours' mean, [n, width]; without neighbours the vector.

    Args:
        own: [n, width].
        others: the neighbours' vectors, [m, width].
        rows: of ``own``, one side of each pair, long [pairs].
        columns: of ``others``, the other side.
    """
    # The sum over neighbours, [n, width], by blocks of pairs.
    sums = torch.zeros_like(own)
    for some, theirs in zip(rows.split(BLOCK), columns.split(BLOCK), strict=True):
        sums.index_add_(0, some, others[theirs])
    counts = torch.bincount(rows, minlength=len(own))[:, None]
    # Half the vector, half its neighbours' mean.
    return torch.where(counts > 0, (own + sums / counts.clamp(min=1)) / 2, own)


class SourceFoldIn:
    """Scoring of users who were not in training, from their source ratings; a mixin for models of cold users.

    The trained source factors stay fixed: a user's source vector is folded in from the ratings
    (:meth:`MatrixFactorization.fold_in`), and the model transfers it like those of its cold users.
    """

    takes_histories = True
    fold_in_domain: str | None = "source"
    fold_in_weight = 1.0  # of source ratings in the loss of the source factors

    def source_factors(self) -> MatrixFactorization:
        """Return the factorisation that has the source items."""
        raise NotImplementedError

    def source_rows(self: Any, users: Tensor) -> Tensor:
        """Return the rows of :meth:`source_factors` that hold target users, long [batch]."""
        return self.source_of[users]

    def source_history(self, histories: FoldInHistories) -> FoldInHistories:
        """Return the histories in the item numbers and on the scale of :meth:`source_factors`."""
        return histories

    def negative_pool(self: Any) -> NegativePool:
        """Return the negatives of the source, in the item numbers and on the scale of the factors."""
        return NegativePool(self.options.negatives_per_rating, self.options.negative_rating)

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:
        """Return the transferred vectors of users without an id, [batch, width].

        Args:
            vectors: source vectors, folded in, [batch, width].
            histories: source ratings, in the item numbers of the source domain.
            seed: of the model's noise, where it has some.
        """
        raise NotImplementedError

    @torch.no_grad()
    def fold_in_vectors(self: Any, histories: FoldInHistories, seed: int) -> Tensor:
        """Return the vectors of users by their source ratings, for ``inner_products``, [batch, width + 1]."""
        # Source vectors by ridge regression, [batch, width], on the fixed item vectors.
        own = self.source_history(histories)
        vectors = self.source_factors().fold_in(own, self.fold_in_weight, self.negative_pool())
        return self.append_ones(self.calibrated(self.transfer_new(vectors, histories, seed)))
