"""The mean of all target ratings, for everyone and everything: the floor of any rating prediction."""

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.trivial import TrivialRecommender


class GlobalMean(TrivialRecommender):
    """The mean of the target domain's training ratings."""

    def item_means(self, ratings: Ratings, n_items: int) -> Tensor:
        """Return the global mean, [n_items]."""
        return torch.full((n_items,), ratings.ratings.double().mean().item())
