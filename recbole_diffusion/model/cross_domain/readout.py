"""The ordinal read-out: from a predicted rating to a distribution over the levels of the scale.

Ratings are whole stars, so that the error of a real number measures how it is read out as much as what it
predicts: rounding alone lowers the mean absolute error of a good prediction by 0.03. A cumulative logit model
(McCullagh 1980, "Regression Models for Ordinal Data") gives level probabilities instead,

    P(r <= l) = sigmoid((theta_l - k s_ui - b . x_u) / exp(a . y_u)),

of the model's prediction s_ui, the user's bias and the user's spread. x_u and y_u are how the user rates in
the source domain. The median of the levels has the smallest expected absolute error, their mean the smallest
squared one.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.errors import UsageError

MOST_LEVELS = 20
SHRINKAGE, SPREAD_SHRINKAGE = 2.0, 5.0  # ratings of gap 0, and of everyone's variance, added to a user's
PENALTY = 100.0  # of b and a; counts as so many ratings whose slopes are 0
FARTHEST = 4.0  # deviations from the mean at which what is told of a user is cut off
ENOUGH = 10_000  # training ratings that the few numbers of a read-out are fitted on


def group_means(keys: Tensor, values: Tensor, size: int, prior: float, shrinkage: float) -> Tensor:
    """Return the mean of each group, with ``shrinkage`` more values of ``prior`` in it, [size].

    Args:
        keys: group of each value, long [n].
        values: [n].
        size: number of groups.
        prior: mean of a group without values.
        shrinkage: number of values of ``prior`` that are added to each group.
    """
    # Deviations from the prior, of which the prior's own values are 0, in float64.
    total = torch.zeros(size, dtype=torch.float64).index_add_(0, keys, values.double() - prior)
    counts = torch.bincount(keys, minlength=size) + shrinkage
    return prior + total / counts.clamp(min=1e-12)


def levels_of(ratings: Tensor) -> Tensor:
    """Return the distinct ratings, ascending, [levels].

    Raises:
        UsageError: they are too many to be the levels of a scale.
    """
    levels = torch.unique(ratings)
    if not 2 <= len(levels) <= MOST_LEVELS:
        raise UsageError(
            f"readout ordinal needs ratings of 2 to {MOST_LEVELS} levels, such as whole stars, and the "
            f"training ratings of the target have {len(levels)}; leave readout at raw"
        )
    return levels


def source_style(ratings: Ratings, n_users: int, n_items: int) -> Tensor:
    """Return how each source user rates: mean gap, log of the gaps' deviation, log(1 + n), [n_users, 3].

    A gap is a rating minus the mean rating of its item, which is shrunk towards the mean of all.
    """
    everyone = ratings.ratings.double().mean().item()
    means = group_means(ratings.items, ratings.ratings, n_items, everyone, SHRINKAGE)
    gaps = ratings.ratings.double() - means[ratings.items]
    offsets = group_means(ratings.users, gaps, n_users, 0.0, SHRINKAGE)
    squares = (gaps - offsets[ratings.users]).square()
    variance = group_means(ratings.users, squares, n_users, squares.mean().item(), SPREAD_SHRINKAGE)
    counts = torch.bincount(ratings.users, minlength=n_users)
    return torch.stack([offsets, variance.clamp(min=1e-6).log() / 2, counts.double().log1p()], 1)


def standardised_style(style: Tensor, source_of: Tensor, users: Tensor) -> Tensor:
    """Return :func:`source_style` by target id with mean 0 and deviation 1 over ``users``, [n, 3].

    A user without source ratings has zeros, the middle of the others.
    """
    some = style[source_of[users]]
    mean, deviation = some.mean(0), some.std(0, correction=0).clamp(min=1e-6)
    found = ((style[source_of] - mean) / deviation).clamp(-FARTHEST, FARTHEST)
    return torch.where(source_of[:, None] > 0, found, 0.0)


def minimised(parameters: list[Tensor], loss: Callable[[], Tensor], steps: int) -> None:
    """Minimise a smooth loss by L-BFGS, in place: deterministic, and without a step size to choose."""
    for one in parameters:
        one.requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=steps, history_size=10, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(closure)
    for one in parameters:
        one.requires_grad_(False)


def left_out(ratings: Tensor, scores: Tensor, leverage: Tensor) -> Tensor:
    """Return about what would have been predicted for ratings without each of them, [n].

    An item's offset has moved a share h, the leverage, of the way to each of its ratings r. Without the
    rating the prediction is r - (r - s) / (1 - h), exact for least squares; a read-out fitted on s itself
    would trust an item with few ratings as much as one with many.
    """
    return ratings - (ratings - scores) / (1 - leverage)


class OrdinalReadout:
    """Level probabilities of predicted ratings, fitted on training ratings.

    Args:
        levels: of the scale, ascending, [levels].
        style: of each target user, :func:`standardised_style`, [n_users, 3].
    """

    def __init__(self, levels: Tensor, style: Tensor) -> None:
        self.levels = levels.double()
        # x_u: mean gap and log deviation; y_u: log deviation and log(1 + n).
        style = style.double()
        self.bias, self.spread = style[:, :2], style[:, 1:]
        middles = (self.levels[1:] + self.levels[:-1]) / 2
        zeros = style.new_zeros
        # theta as the first and the logarithms of the steps to the next ones, so that they ascend.
        self.first, self.steps = middles[:1].clone(), middles.diff().log()
        # k, b, and a with the logarithm of everyone's spread, which starts at half a star, before it.
        self.slope, self.b = zeros(1) + 1, zeros(self.bias.shape[1])
        self.a, self.width = zeros(self.spread.shape[1]), zeros(1) - 0.7

    def probabilities(self, users: Tensor, scores: Tensor) -> Tensor:
        """Return the level probabilities of pairs, float64 [pairs, levels].

        Args:
            users: target ids, long [pairs].
            scores: predicted ratings, [pairs].
        """
        thresholds = torch.cat([self.first, self.first + self.steps.exp().cumsum(0)])  # [levels - 1]
        middle = self.slope * scores.double() + self.bias[users] @ self.b
        width = (self.width + self.spread[users] @ self.a).exp()
        # P(r <= l) between the ends 0 and 1, whose differences are the levels' own.
        below = torch.sigmoid((thresholds - middle[:, None]) / width[:, None])
        ends = below.new_zeros(len(below), 1)
        return torch.cat([ends, below, ends + 1], 1).diff(dim=1)

    def fit(self, users: Tensor, scores: Tensor, ratings: Tensor, leverage: Tensor) -> None:
        """Fit all numbers by maximum likelihood with an L2 penalty of a and b.

        The model has seen these ratings, so that it is fitted on :func:`left_out` predictions.

        Args:
            users: target ids of training ratings, long [n].
            scores: what the model predicts for them, by the source alone, [n].
            ratings: [n].
            leverage: h of each rating, [n].
        """
        if len(users) > ENOUGH:
            chosen = torch.randperm(len(users), generator=torch.Generator().manual_seed(0))[:ENOUGH]
            users, scores, ratings, leverage = (
                one[chosen.to(one.device)] for one in (users, scores, ratings, leverage)
            )
        ratings = ratings.double()
        unseen = left_out(ratings, scores.double(), leverage.double())
        place = torch.searchsorted(self.levels, ratings)[:, None]

        def loss() -> Tensor:
            found = self.probabilities(users, unseen).gather(1, place).clamp(min=1e-9).log().sum()
            return (PENALTY * (self.a.square().sum() + self.b.square().sum()) - found) / len(users)

        numbers = [self.first, self.steps, self.slope, self.b, self.a, self.width]
        minimised([one for one in numbers if len(one)], loss, 50)


def median_and_mean(probabilities: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the median and the mean of distributions over levels, [pairs] each.

    Args:
        probabilities: [pairs, levels].
        levels: ascending, [levels].
    """
    # The first level by which half of the probability is reached.
    reached = (probabilities.cumsum(1) < 0.5).sum(1).clamp(max=len(levels) - 1)
    return levels[reached], probabilities @ levels.to(probabilities.dtype)
