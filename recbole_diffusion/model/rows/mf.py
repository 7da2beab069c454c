"""MF: matrix factorisation of ratings with biases, by alternating least squares or by gradient steps.

References:
    Koren, Bell, Volinsky: "Matrix Factorization Techniques for Recommender Systems", Computer 42(8), 2009.
    Zhou, Wilkinson, Schreiber, Pan: "Large-Scale Parallel Collaborative Filtering for the Netflix Prize",
    AAIM 2008 (the weighted penalty).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.errors import RunError
from recbole_diffusion.model.base import FoldInHistories, InnerProductModel
from recbole_diffusion.model.rows.adversarial import RatingRows
from recbole_diffusion.model.rows.least_squares import RatedSide
from recbole_diffusion.model.rows.options import MFOptions
from recbole_diffusion.model.rows.popularity_term import popularity_term


class MF(InnerProductModel):
    """A rating is mu + b_u + b_i + p_u . q_i, or with ``bias: false`` p_u . q_i alone.

    Both solvers minimise the same sum over the rated cells (Koren et al., Eq. 5)::

        sum (r - mu - b_u - b_i - p_u . q_i)^2
        + lambda [sum_u w_u (|p_u|^2 + b_u^2) + sum_i w_i (|q_i|^2 + b_i^2)]

    mu is the mean of the training ratings. With ``penalty: weighted`` w is the number of ratings of the user
    or item, with ``plain`` it is 1.

    ``als``: an epoch is one sweep. With the users fixed, the best [q_i, b_i] of each item is a ridge
    regression of its ratings on [p_u, 1]; then the same for the users. So the sum never rises, and each user
    has at the end what a new user with the same ratings is given (:meth:`fold_in_vectors`). ``sgd``: an epoch
    is a pass of the optimizer over batches of ratings, each with its share of the penalty.
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    trainer_class = "alternating"
    loader_class = "positives"
    protocol = "rated"
    takes_histories = True
    mean: Tensor
    values: Tensor
    of_users: Tensor
    of_items: Tensor
    popularity: Tensor  # added to the biases of items in scores, [n_items]

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: MFOptions = config.options
        self.options, self.solves = o, o.solver == "als"
        # The rated pairs, by user and then by item, and their ratings on the data set's scale, [ratings].
        rows = RatingRows(dataset, config.rating.rating_scale)
        self.rated = rows.rated
        self.register_buffer("values", rows.values * rows.high, persistent=False)
        users, items = self._pairs()
        self.register_buffer("of_users", torch.bincount(users, minlength=self.n_users), persistent=False)
        self.register_buffer("of_items", torch.bincount(items, minlength=self.n_items), persistent=False)
        term = popularity_term(self.of_items, o.popularity_weight)
        self.register_buffer("popularity", term, persistent=False)
        self.register_buffer("mean", torch.tensor(rows.mean if o.bias else 0.0))
        # p and q, [n_users, d] and [n_items, d]; 0 for who has no rating, the padding ids among them.
        self.users, self.items = (
            nn.Parameter(torch.randn(len(counts), o.embedding_size) * o.init_std * (counts > 0)[:, None])
            for counts in (self.of_users, self.of_items)
        )
        if o.bias:
            self.user_bias = nn.Parameter(torch.zeros(self.n_users))
            self.item_bias = nn.Parameter(torch.zeros(self.n_items))
        self._sides: tuple[RatedSide, RatedSide] | None = None

    def _pairs(self) -> tuple[Tensor, Tensor]:
        """Return user and item of each rating, long [ratings] each."""
        return self.rated.keys // self.n_items, self.rated.items

    def _penalties(self, counts: Tensor) -> Tensor:
        """Return lambda w of rows with so many ratings, [rows]."""
        weights = counts if self.options.penalty == "weighted" else torch.ones_like(counts)
        return self.options.reg_weight * weights

    # Scores.

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return [p_u, mu + b_u, 1] of users and [q_i, 1, b_i] of items; p and q without biases."""
        if not self.options.bias:
            return self.users, self.items
        ones, biases = torch.ones_like, self.item_bias + self.popularity
        return (
            torch.cat([self.users, (self.mean + self.user_bias)[:, None], ones(self.users[:, :1])], 1),
            torch.cat([self.items, ones(self.items[:, :1]), biases[:, None]], 1),
        )

    @torch.no_grad()
    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return the vectors of users by their ratings, the items fixed, [batch, width]."""
        many = len(histories.starts)
        side = RatedSide(histories.rows, histories.items, many)
        found = self._solved(side, histories.known_ratings, self.items, self._item_bias()).float()
        if not self.options.bias:
            return found
        found[:, -1] += self.mean
        return torch.cat([found, found.new_ones(many, 1)], 1)

    # By alternating least squares.

    def _item_bias(self) -> Tensor:
        return self.item_bias if self.options.bias else self.items.new_zeros(self.n_items)

    def _solved(self, side: RatedSide, ratings: Tensor, factors: Tensor, biases: Tensor) -> Tensor:
        """Return [p, b], or p without biases, of one side for the other side's factors and biases.

        Args:
            side: the ratings by the side that is solved for.
            ratings: [ratings], in the order of the side's constructor.
            factors: of the other side, [n_others, d].
            biases: of the other side, [n_others].
        """
        # r - mu - b of the other side, whose row of each rating is ``other`` in the side's own order.
        other = torch.empty_like(side.other)
        other[side.order] = side.other
        targets = ratings.double() - self.mean.double() - biases[other].double()
        # [q, 1]: the last coordinate of the solution is the bias.
        features = torch.cat([factors, torch.ones_like(factors[:, :1])], 1) if self.options.bias else factors
        return side.solve(features, targets, self._penalties(side.counts))

    @torch.no_grad()
    def sweep(self) -> float:
        """Solve for all items, then for all users; return the minimised sum by rating."""
        users, items = self._pairs()
        if self._sides is None:
            self._sides = RatedSide(users, items, self.n_users), RatedSide(items, users, self.n_items)
        of_users, of_items = self._sides
        bias = self.options.bias
        fixed = self.user_bias if bias else self.users.new_zeros(self.n_users)
        self._keep(self.items, "item_bias", self._solved(of_items, self.values, self.users, fixed))
        self._keep(
            self.users, "user_bias", self._solved(of_users, self.values, self.items, self._item_bias())
        )
        self._forget()
        objective = float(self._loss(users, items, self.values))
        if not torch.isfinite(torch.tensor(objective)):
            raise RunError("the least squares of MF have no finite solution; give a reg_weight above 0")
        return objective

    def _keep(self, factors: Tensor, bias: str, solution: Tensor) -> None:
        factors.copy_(solution[:, : factors.shape[1]])
        if self.options.bias:
            getattr(self, bias).copy_(solution[:, -1])

    # By gradient steps.

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the minimised sum by rating over a batch of rated pairs, a scalar."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        # Each pair of a batch is among the training ratings: its place there has its rating.
        place = torch.searchsorted(self.rated.keys, users * self.n_items + items)
        return self._loss(users, items, self.values[place])

    def _loss(self, users: Tensor, items: Tensor, ratings: Tensor) -> Tensor:
        """Return the mean over ratings, [ratings] each, of squared error and penalty, a scalar."""
        p, q = F.embedding(users, self.users), F.embedding(items, self.items)  # [ratings, d]
        predicted = self.mean + (p * q).sum(1)
        # |p|^2 and |q|^2, to which the biases are added, [ratings].
        of_user, of_item = p.square().sum(1), q.square().sum(1)
        if self.options.bias:
            b_u, b_i = self.user_bias[users], self.item_bias[items]
            predicted = predicted + b_u + b_i
            of_user, of_item = of_user + b_u.square(), of_item + b_i.square()
        # lambda w / n: each rating carries its share of its user's and its item's penalty, [ratings].
        share_u, share_i = (
            self._penalties(counts) / counts.clamp(min=1)
            for counts in (self.of_users[users], self.of_items[items])
        )
        penalty = share_u * of_user + share_i * of_item
        return ((ratings - predicted).square() + penalty).mean()
