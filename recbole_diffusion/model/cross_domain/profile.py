"""A user's ratings in the source domain in nine numbers, which a transfer may read beside the source vector."""

import torch
from torch import Tensor, nn

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization

LEVELS = 5  # equal parts of the rating scale
SIZE = 4 + LEVELS
PRIOR_MEAN, PRIOR_SPREAD = 2.0, 5.0  # ratings like everyone's that are added to a user's own
FARTHEST = 4.0  # deviations; a user is not further from the mean than this


class SourceProfile(nn.Module):
    """How a user rates: mean and deviation of rating minus item offset, number, choice of items, share of each part of the scale.

    A vector of matrix factorisation keeps one number of this, the mean (the user's bias). Means and
    deviations are shrunk, so that few ratings say little. Numbers are standardised by the training users'.
    What it needs to know of everyone is persistent: it belongs to the weights.

    Args:
        scale: lowest and highest rating.
    """

    usual: Tensor
    statistics: Tensor

    def __init__(self, scale: tuple[float, float]) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("usual", torch.zeros(1 + LEVELS))  # variance of the gaps, shares of the levels
        self.register_buffer("statistics", torch.tensor([0.0, 1.0])[:, None].repeat(1, SIZE))

    def learn(self, ratings: Ratings, factors: MatrixFactorization, users: Tensor, many: int) -> Tensor:
        """Take the numbers of everyone, and mean and deviation of some users' profiles.

        Args:
            ratings: of the source domain.
            factors: of the source domain, trained.
            users: source ids of the training users.
            many: number of source ids.

        Returns:
            The profiles of all source users, [many, SIZE].
        """
        rows, items, values = (
            column.to(self.usual.device) for column in (ratings.users, ratings.items, ratings.ratings)
        )
        gaps = values - factors.item_offsets().detach()[items]
        self.usual[0] = gaps.var(correction=0)
        self.usual[1:] = torch.bincount(self._levels(values), minlength=LEVELS) / len(values)
        some = self._raw(items, rows, values, factors, many)[users]
        self.statistics[0], self.statistics[1] = some.mean(0), some.std(0, correction=0).clamp(min=1e-6)
        return self(items, rows, values, factors, many)

    def forward(
        self, items: Tensor, rows: Tensor, ratings: Tensor, factors: MatrixFactorization, many: int
    ) -> Tensor:
        """Return the standardised profiles of users by their source ratings, [many, SIZE].

        Args:
            items: source ids, [total].
            rows: whose they are, 0..many-1, [total].
            ratings: [total].
            factors: of the source domain.
            many: number of users; one without ratings has the profile of nobody's ratings.
        """
        gap = (self._raw(items, rows, ratings, factors, many) - self.statistics[0]) / self.statistics[1]
        return gap.clamp(-FARTHEST, FARTHEST)

    def _levels(self, ratings: Tensor) -> Tensor:
        low, high = self.scale
        return ((ratings - low) / (high - low) * LEVELS).long().clamp(0, LEVELS - 1)

    def _raw(
        self, items: Tensor, rows: Tensor, ratings: Tensor, factors: MatrixFactorization, many: int
    ) -> Tensor:
        offsets = factors.item_offsets().detach()
        counts = torch.bincount(rows, minlength=many).to(offsets.dtype)

        def total(values: Tensor) -> Tensor:
            return offsets.new_zeros(many).index_add_(0, rows, values)

        gaps = ratings - offsets[items]
        mean = total(gaps) / (counts + PRIOR_MEAN)
        spread = (total((gaps - mean[rows]).square()) + PRIOR_SPREAD * self.usual[0]) / (
            counts + PRIOR_SPREAD
        )
        choice = total(offsets[items] - factors.mean) / (counts + PRIOR_MEAN)
        cells = torch.bincount(rows * LEVELS + self._levels(ratings), minlength=many * LEVELS).view(
            many, LEVELS
        )
        shares = (cells + PRIOR_SPREAD * self.usual[1:]) / (counts + PRIOR_SPREAD)[:, None]
        return torch.cat([torch.stack([mean, spread.sqrt(), counts.log1p(), choice], 1), shares], 1)
