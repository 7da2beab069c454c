"""A user's rating behaviour in the source domain as nine numbers, an input beside the source vector."""

import torch
from torch import Tensor, nn

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization

LEVELS = 5  # equal parts of the rating scale
SIZE = 4 + LEVELS
# Average ratings that are added to a user's own, so that few ratings say little.
PRIOR_MEAN, PRIOR_SPREAD = 2.0, 5.0
FARTHEST = 4.0  # deviations from the mean, at which a profile is cut off


class SourceProfile(nn.Module):
    """A user's profile of n source ratings, with gap = rating - offset of its item (mean + b_i).

    | number | what it is | shrunk by |
    |---|---|---|
    | 0 | mean gap: does the user rate high | PRIOR_MEAN ratings of gap 0 |
    | 1 | deviation of the gaps: do the ratings differ | PRIOR_SPREAD ratings of everyone's variance |
    | 2 | log(1 + n): how many ratings | |
    | 3 | mean b_i: are the chosen items rated high by everyone | PRIOR_MEAN ratings of b_i = 0 |
    | 4 to 8 | ratio of the ratings in each fifth of the scale | PRIOR_SPREAD ratings spread like everyone's |

    A vector of matrix factorisation keeps one of these numbers, the mean (the user's bias). Profiles are
    standardised by those of the training users. The statistics are persistent buffers, since they belong to
    the weights.

    Attributes:
        usual: variance of all gaps, then the ratio of all ratings in each fifth of the scale, [1 + LEVELS].
        statistics: mean and deviation of the training users' profiles, [2, SIZE].

    Args:
        scale: lowest and highest rating.
    """

    usual: Tensor
    statistics: Tensor

    def __init__(self, scale: tuple[float, float]) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("usual", torch.zeros(1 + LEVELS))
        self.register_buffer("statistics", torch.tensor([0.0, 1.0])[:, None].repeat(1, SIZE))

    def learn(self, ratings: Ratings, factors: MatrixFactorization, users: Tensor, many: int) -> Tensor:
        """Compute the statistics: of all ratings, and mean and deviation of the training users' profiles.

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
        # Over all users: the variance of the gaps, and the ratio of each fifth of the scale.
        gaps = values - factors.item_offsets().detach()[items]
        self.usual[0] = gaps.var(correction=0)
        self.usual[1:] = torch.bincount(self._levels(values), minlength=LEVELS) / len(values)
        # [users, SIZE] of the training users, whose mean and deviation standardise all profiles.
        some = self._raw(items, rows, values, factors, many)[users]
        self.statistics[0], self.statistics[1] = some.mean(0), some.std(0, correction=0).clamp(min=1e-6)
        return self(items, rows, values, factors, many)

    def forward(
        self, items: Tensor, rows: Tensor, ratings: Tensor, factors: MatrixFactorization, many: int
    ) -> Tensor:
        """Return the standardised profiles of users by their source ratings, [many, SIZE].

        Args:
            items: source ids, [total].
            rows: the user of each, 0..many-1, [total].
            ratings: [total].
            factors: of the source domain.
            many: number of users; one without ratings has the profile of the prior alone.
        """
        # A few ratings may give extreme numbers, which are cut off.
        gap = (self._raw(items, rows, ratings, factors, many) - self.statistics[0]) / self.statistics[1]
        return gap.clamp(-FARTHEST, FARTHEST)

    def _levels(self, ratings: Tensor) -> Tensor:
        """Return the fifth of the scale that each rating is in, 0..LEVELS-1, [total]."""
        low, high = self.scale
        # The highest rating is at LEVELS itself, and belongs to the last fifth.
        return ((ratings - low) / (high - low) * LEVELS).long().clamp(0, LEVELS - 1)

    def _raw(
        self, items: Tensor, rows: Tensor, ratings: Tensor, factors: MatrixFactorization, many: int
    ) -> Tensor:
        """Return the nine numbers of each user before standardising, [many, SIZE]; the class lists them."""
        offsets = factors.item_offsets().detach()
        counts = torch.bincount(rows, minlength=many).to(offsets.dtype)  # n, [many]

        def total(values: Tensor) -> Tensor:
            """Return the sum over each user's ratings, [many]."""
            return offsets.new_zeros(many).index_add_(0, rows, values)

        gaps = ratings - offsets[items]  # rating minus item offset, [total]
        # 0: the sum over n + PRIOR_MEAN ratings, of which the prior's have gap 0.
        mean = total(gaps) / (counts + PRIOR_MEAN)
        # 1: around the user's own mean, with PRIOR_SPREAD ratings of everyone's variance.
        squares = total((gaps - mean[rows]).square())
        variance = (squares + PRIOR_SPREAD * self.usual[0]) / (counts + PRIOR_SPREAD)
        # 3: item offset minus the mean of all ratings is b_i.
        choice = total(offsets[items] - factors.mean) / (counts + PRIOR_MEAN)  # mean b_i
        # 4 to 8: ratings in each fifth of the scale, [many, LEVELS], with everyone's as prior.
        cells = rows * LEVELS + self._levels(ratings)  # user and fifth of the scale, [total]
        levels = torch.bincount(cells, minlength=many * LEVELS).view(many, LEVELS)
        ratios = (levels + PRIOR_SPREAD * self.usual[1:]) / (counts + PRIOR_SPREAD)[:, None]
        # In the order of the class's table; 2 is log(1 + n).
        return torch.cat([torch.stack([mean, variance.sqrt(), counts.log1p(), choice], 1), ratios], 1)
