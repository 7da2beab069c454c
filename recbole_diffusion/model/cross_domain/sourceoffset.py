"""The mean rating of each item plus what the user's source ratings are above the means of the source items."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.model.cross_domain.trivial import TrivialRecommender, group_means


class SourceOffset(TrivialRecommender):
    """Item mean plus the user's offset, the mean of rating minus item mean over the user's ratings in the source domain."""

    def user_offsets(self, dataset: Any) -> Tensor:  # noqa: ARG002
        """Return the source offset of each shared user, 0 for others, [n_users]."""
        rows = self.source_ratings
        gaps = rows.ratings - self.item_means(rows, self.source_shape.n_items)[rows.items]
        offsets = group_means(rows.users, gaps, self.source_shape.n_users, 0.0, self.options.user_shrinkage)
        return torch.where(self.source_of > 0, offsets[self.source_of], 0.0)
