"""Means and offsets, which the trivial baselines of cold users are made of."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.base import ColdStartRecommender


def group_means(keys: Tensor, values: Tensor, size: int, prior: float, shrinkage: float) -> Tensor:
    """Return the mean of each group with ``shrinkage`` more values of ``prior``; a group without values has the prior, [size]."""
    total = torch.zeros(size, dtype=torch.float64).index_add_(0, keys, values.double() - prior)
    counts = torch.bincount(keys, minlength=size) + shrinkage
    return prior + total / counts.clamp(min=1e-12)


class TrivialRecommender(ColdStartRecommender):
    """Ratings by item offsets and one number a user: vectors of width 1. Nothing is trained; a warm start moves the number."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.register_buffer("offsets", self.item_means(self.ratings, self.n_items).float())
        self.register_buffer("of_users", self.user_offsets(dataset).float())

    def item_means(self, ratings: Ratings, n_items: int) -> Tensor:
        """Return the rating of each item for a user without offset, [n_items]."""
        shrinkage = getattr(self.options, "item_shrinkage", 0.0)
        return group_means(
            ratings.items, ratings.ratings, n_items, ratings.ratings.double().mean().item(), shrinkage
        )

    def user_offsets(self, dataset: Any) -> Tensor:  # noqa: ARG002
        """Return the offset of each target user, [n_users]."""
        return torch.zeros(self.n_users)

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return ones and the means."""
        return torch.ones_like(self.offsets)[:, None], self.offsets

    def known(self, users: Tensor) -> Tensor:
        """Return the users' offsets, [batch, 1]."""
        return self.of_users[users][:, None]

    def transfer(self, users: Tensor) -> Tensor:
        """Return the users' offsets, [batch, 1]."""
        return self.known(users)
