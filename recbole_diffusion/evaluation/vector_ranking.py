"""The ranking of an evaluation for scores that are inner products: no table of users x items is made."""

from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.evaluation.near_vectors import best_in_order
from recbole_diffusion.evaluation.ranking import (
    RankedBatch,
    all_equal,
    check_length,
    held_against,
    places_to_rank,
)
from recbole_diffusion.evaluation.score_check import ScoreCheck
from recbole_diffusion.evaluation.search import VectorSearch

USERS = 512  # of a block: with a tile of items, a table of 8 MB


class VectorRanking:
    """Ranks blocks of users by their vectors, and checks the scores as those of a table are checked.

    Args:
        vectors: the model's ``InnerProducts``.
        k: length of a list.
        check: of the evaluation.

    Raises:
        UsageError: there are fewer items than places.
    """

    def __init__(self, vectors: Any, k: int, check: ScoreCheck) -> None:
        check_length(k, len(vectors.items))
        self.vectors = replace(vectors, items=vectors.items.detach())
        self.items, self.k, self.check = self.vectors.items, k, check
        self.search = VectorSearch(self.items)
        self.places = places_to_rank(k, len(self.items) - 1)

    @torch.no_grad()
    def rank(
        self,
        users: Tensor,
        found: tuple[Tensor, Tensor | None],
        history: tuple[Tensor, Tensor],
        positive_u: Tensor,
        positive_i: Tensor,
    ) -> RankedBatch:
        """Return the lists of a block.

        Args:
            users: internal ids, long [block].
            found: their vectors and doubt, from :func:`near_vectors.for_lists`.
            history: rows of the block and items to leave out, long [cells] each.
            positive_u: row in the block of each held-out item, long [positives].
            positive_i: its item id, long [positives].

        Raises:
            RunError: a score is NaN or infinite.
        """
        # [block, d]; no score is computed before the search asks for it.
        vectors, doubt = found
        # |u . h| <= |u| |h|: all scores are finite if the largest lengths have a finite product.
        if not bool(torch.isfinite(vectors.norm(dim=1).max() * self.search.lengths[0])):
            self.check.finite(vectors @ self.items[1:].T)
        values, items = best_in_order(self.search, self.vectors, users, vectors, doubt, self.places, history)
        ranked = held_against(users, values, items, positive_u, positive_i, len(self.items), self.k)
        best = values[:, :1]
        if torch.where(values == -torch.inf, best, values).eq(best).all():  # nobody's list tells items apart
            ranked = replace(ranked, equal=self._equal(vectors, history))
        return ranked

    # What is asked of the same users beside their lists, by exact vectors of them.

    @torch.no_grad()
    def scores(self, vectors: Tensor, rows: Tensor, items: Tensor) -> Tensor:
        """Return the scores of pairs of a block, [pairs].

        Args:
            vectors: of the users, [block, d].
            rows: row in the block of each pair, long [pairs].
            items: its item id, long [pairs].
        """
        # u . v of each pair.
        return (vectors.index_select(0, rows) * self.items.index_select(0, items)).sum(1)

    @torch.no_grad()
    def sums(self, vectors: Tensor) -> Tensor:
        """Return the sum of the scores of all items of each user, float64 [block], without the padding."""
        # sum_i u . v_i = u . (sum of v_i): no table of all scores.
        return vectors.double() @ self._sum_of_items

    @cached_property
    def _sum_of_items(self) -> Tensor:
        return self.items[1:].double().sum(0)  # [d]

    def _equal(self, vectors: Tensor, history: tuple[Tensor, Tensor]) -> bool | None:
        """Return ``RankedBatch.equal`` from all scores of a block."""
        # [block, n_items]: only where no list tells items apart.
        scores = vectors @ self.items.T
        self.check.finite(scores[:, 1:])
        scores[history] = -torch.inf
        scores[:, 0] = -torch.inf
        return all_equal(scores, scores.max(1, keepdim=True).values)
