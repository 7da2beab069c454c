"""The trivial baselines of cold users, by means and offsets: GlobalMean, ItemMean and SourceOffset."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.base import ColdStartRecommender
from recbole_diffusion.model.cross_domain.readout import group_means


class TrivialRecommender(ColdStartRecommender):
    """Item offsets plus one number for each user, a vector of width 1; only a warm start changes it."""

    constant_scores = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        # [n_items]: what each item is predicted at for a user without offset.
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
        # A rating is the user's number times 1, plus the item's mean.
        return torch.ones_like(self.offsets)[:, None], self.offsets

    def known(self, users: Tensor) -> Tensor:
        """Return the users' offsets, [batch, 1]."""
        return self.of_users[users][:, None]

    def transfer(self, users: Tensor) -> Tensor:
        """Return the users' offsets, [batch, 1]."""
        return self.known(users)


class GlobalMean(TrivialRecommender):
    """The mean of the target domain's training ratings."""

    items_are_fitted = False

    def item_means(self, ratings: Ratings, n_items: int) -> Tensor:
        """Return the global mean, [n_items]."""
        return torch.full((n_items,), ratings.ratings.double().mean().item())


class ItemMean(TrivialRecommender):
    """The mean of an item's training ratings; the global mean where it has none."""


class SourceOffset(TrivialRecommender):
    """Item mean plus the user's offset, the mean of rating minus item mean over the source ratings."""

    def user_offsets(self, dataset: Any) -> Tensor:  # noqa: ARG002
        """Return the source offset of each shared user, 0 for others, [n_users]."""
        rows = self.source_trained
        # How far each source rating is from its item's mean, [ratings].
        gaps = rows.ratings - self.item_means(rows, self.source_shape.n_items)[rows.items]
        offsets = group_means(rows.users, gaps, self.source_shape.n_users, 0.0, self.options.user_shrinkage)
        # By target id: the row of the user in the source, 0 where there is none.
        return torch.where(self.source_of > 0, offsets[self.source_of], 0.0)
