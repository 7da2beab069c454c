"""Matrix factorisation of ratings in one domain, the first stages of every mapping model.

Longer than most files: the factors, their fold-in and the stage that trains them share one loss.
"""

import functools
import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.rating_negatives import NegativePool
from recbole_diffusion.model.stage import TrainingStage, UpdateStep
from recbole_diffusion.options.cross_domain import CrossDomainOptions

BLOCK = 2**16  # ratings whose outer products are held at once
# Of a fold-in, so that there is one solution for a user with fewer ratings than the vectors are wide.
LEAST_PENALTY = 1e-6


@dataclass(frozen=True)
class MatrixShape:
    """Numbers of user ids and item ids, the padding id 0 included."""

    n_users: int
    n_items: int


class MatrixFactorization(nn.Module):
    """``r = u . v`` (DiffCDR, section 2.1), or with biases ``r = mean + b_u + b_i + u . v``.

    Mapping models move *user vectors* between domains. With biases such a vector is [u, b_u] and an item's
    vector [v, 1], so that a user's bias is transferred like any other coordinate, and a rating is ``offset_i
    + user vector . item vector`` in both cases.

    Args:
        shape: numbers of ids.
        options: width, bias, initial deviation, penalties.
        mean: of the training ratings.
        seed: of the initial vectors, a random stream of its own, so that all models start from the same
            factors.
    """

    mean: Tensor
    of_user: Tensor
    of_item: Tensor

    def __init__(self, shape: MatrixShape, options: CrossDomainOptions, mean: float, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.bias, self.reg_weight = options.bias, options.mf_reg_weight
        # One coordinate more, b_u, where there are biases.
        width = (options.embedding_size, *([1] if options.bias else []))
        # u and v: [n_users, d] and [n_items, d].
        self.users, self.items = (
            nn.Parameter(torch.randn(rows, width[0], generator=generator) * options.mf_std)
            for rows in (shape.n_users, shape.n_items)
        )
        if options.bias:
            self.user_bias, self.item_bias = (
                nn.Parameter(torch.zeros(rows)) for rows in (shape.n_users, shape.n_items)
            )
            self.bias_reg_weight = options.mf_bias_reg_weight
            # Numbers of training ratings, set by :meth:`count`.
            self.register_buffer("of_user", torch.ones(shape.n_users), persistent=False)
            self.register_buffer("of_item", torch.ones(shape.n_items), persistent=False)
        self.width = sum(width)
        self.register_buffer("mean", torch.tensor(mean if options.bias else 0.0))

    def user_vectors(self, users: Tensor | None = None) -> Tensor:
        """Return the vectors of some users or all, [n, width]."""
        users = torch.arange(len(self.users), device=self.users.device) if users is None else users
        # u or [u, b_u].
        rows = F.embedding(users, self.users)
        return torch.cat([rows, self.user_bias[users, None]], 1) if self.bias else rows

    def item_vectors(self) -> Tensor:
        """Return the vectors of all items, [n_items, width]."""
        # v or [v, 1], whose last coordinate meets b_u.
        return torch.cat([self.items, torch.ones_like(self.items[:, :1])], 1) if self.bias else self.items

    def item_points(self, items: Tensor) -> Tensor:
        """Return items as points among the users, v or [v, b_i], [n, width]; scores use ``item_vectors``."""
        rows = F.embedding(items, self.items)
        return torch.cat([rows, self.item_bias[items, None]], 1) if self.bias else rows

    def item_offsets(self) -> Tensor:
        """Return the part of an item's ratings that does not depend on the user, mean + b_i, [n_items]."""
        # Without biases a rating is the inner product alone.
        return self.mean + self.item_bias if self.bias else self.items.new_zeros(len(self.items))

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the predicted ratings of pairs, [batch]."""
        return self._scored(users, items)[0]

    def _scored(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return predicted ratings [batch] and their penalty, a scalar."""
        u, v = F.embedding(users, self.users), F.embedding(items, self.items)  # [batch, d] each
        # u . v, and |u|^2 + |v|^2, [batch] each.
        scores, penalty = (u * v).sum(1), u.square().sum(1) + v.square().sum(1)
        penalty = self.reg_weight * penalty
        if self.bias:
            b_u, b_i = self.user_bias[users], self.item_bias[items]
            scores = scores + self.mean + b_u + b_i
            # The penalty of a bias is spread over the ratings of its user or item.
            penalty = penalty + self.bias_reg_weight * (
                b_u.square() / self.of_user[users] + b_i.square() / self.of_item[items]
            )
        return scores, penalty.mean()

    @torch.no_grad()
    def fold_in(
        self, histories: FoldInHistories, weight: float = 1.0, pool: NegativePool | None = None
    ) -> Tensor:
        """Fold in users from their ratings, the items fixed: return their vectors, [batch, width].

        A user's part of the training loss, sum of (r - offset_i - w . v_i)^2 over the n ratings with the
        penalties n ``mf_reg_weight`` |u|^2 and ``mf_bias_reg_weight`` b_u^2, has its minimum at
        (V^T V + D)^-1 V^T (r - offset): one ridge regression for each user.

        Args:
            histories: each user's rated items with their ratings; at least one for each user.
            weight: of these ratings in the training loss.
            pool: negatives that the factors were trained with; a history gets the mean of all possible draws.
        """
        many = len(histories.starts)
        # n of each user, [many].
        counts = torch.bincount(histories.rows, minlength=many).double()
        # The normal equations (V^T V + D) w = V^T (r - offset) of each user, in float64.
        gram = counts.new_zeros(many, self.width, self.width)
        right, vectors, offsets = counts.new_zeros(many, self.width), self.item_vectors(), self.item_offsets()
        columns = (histories.items, histories.rows, histories.known_ratings)
        for items, rows, ratings in zip(*(column.split(BLOCK) for column in columns), strict=True):
            v = vectors[items].double()  # [block, width]
            # Each rating adds v v^T to its user's matrix and (r - offset_i) v to the right side.
            gram.index_add_(0, rows, v[:, :, None] * v[:, None, :])
            right.index_add_(0, rows, (ratings - offsets[items]).double()[:, None] * v)
        if pool is not None and pool.per_rating:
            # Each rating brings ``per_rating`` items of the pool: their mean v v^T and (rating - offset) v.
            v, below = vectors[pool.first :].double(), (pool.rating - offsets[pool.first :]).double()
            added = (counts * pool.per_rating)[:, None]  # negatives of each user, [many, 1]
            gram = gram + added[:, :, None] * (v.T @ v / len(v))
            right = right + added * (v.T @ below / len(v))
            counts = counts * (1 + pool.per_rating)
        # The diagonal of D: by rating for u, once for b_u, the last coordinate.
        penalty = (counts * self.reg_weight)[:, None].repeat(1, self.width)
        if self.bias:
            penalty[:, -1] = self.bias_reg_weight
        # ``weight`` is of the errors; the penalty keeps its own.
        gram = weight * gram + torch.diag_embed(penalty.clamp(min=LEAST_PENALTY))
        return torch.linalg.solve(gram, weight * right).to(vectors.dtype)

    def count(self, ratings: Ratings) -> None:
        """Count the ratings of each user and item, over which the penalty of biases is spread."""
        if self.bias:
            for name, column in (("of_user", ratings.users), ("of_item", ratings.items)):
                table = getattr(self, name)
                table.copy_(torch.bincount(column, minlength=len(table)).clamp(min=1))

    def loss(
        self,
        users: Tensor,
        items: Tensor,
        ratings: Tensor,
        weights: Tensor | None = None,
        absolute: float = 0.0,
    ) -> Tensor:
        """Return the mean error of ratings with the penalty, a scalar.

        Args:
            users: long [batch].
            items: long [batch].
            ratings: [batch].
            weights: of the errors, [batch]; None for ones.
            absolute: ratio of absolute errors, the rest are squared ones.
        """
        scores, penalty = self._scored(users, items)
        error = (scores - ratings).square()
        if absolute:
            # A mixture by rating, [batch].
            error = (1 - absolute) * error + absolute * (scores - ratings).abs()
        # A mean over ratings, and of each rating's own penalty.
        return (error if weights is None else weights * error).mean() + penalty


def derived_seed(*words: object) -> int:
    """Return a seed that is a function of some words, the same in each process."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:6], "big")


def factorization_stage(
    name: str, factors: MatrixFactorization, ratings: Ratings, options: CrossDomainOptions, seed: int
) -> TrainingStage:
    """Return the stage that trains one factorisation, with early stopping by ratings that it holds out.

    Args:
        name: ``source`` or ``target``.
        factors: trained in place.
        ratings: the training ratings of the domain.
        options: epochs, batch size and the like.
        seed: of the run.
    """
    # The parts depend on the seed and the name alone, so that all mapping models have the same ones.
    generator = torch.Generator().manual_seed(derived_seed(seed, name, "held out"))
    order = torch.randperm(len(ratings), generator=generator)
    factors.count(ratings)
    n_held_out = round(options.mf_valid_ratio * len(ratings))
    held_out, rows = order.split([n_held_out, len(ratings) - n_held_out])

    on = functools.cache(ratings.to)  # by device: they are moved there once

    def columns(chosen: Tensor) -> list[Tensor]:
        own = on(factors.items.device)
        chosen = chosen.to(own.users.device)
        return [column[chosen] for column in (own.users, own.items, own.ratings)]

    def error() -> float:
        with torch.no_grad():
            # In parts, so that memory does not grow with what is held out; without any, one training rating.
            parts = [columns(part) for part in held_out.split(2**20)] or [columns(rows[:1])]
            squares = [(factors(users, items) - values).square() for users, items, values in parts]
        return torch.cat(squares).mean().item()

    def loss(batch: Tensor) -> Tensor:
        users, items, values = columns(batch)
        return factors.loss(users, items, values)

    # No weight decay: the loss has its own penalty. ``clip_grad_norm`` is of the last stage, like RecBole's
    # other options of training.
    train = UpdateStep(
        loss, list(factors.parameters()), options.mf_learning_rate, weight_decay=0.0, clipped=False
    )
    return TrainingStage(
        name=name,
        steps=(train,),
        rows=rows,
        batch_size=options.mf_batch_size,
        epochs=options.mf_epochs,
        stopping_step=options.mf_stopping_step,
        error=error,
        module=factors,
        key=content_key(name, ratings, options, seed),
        rate_option="mf_learning_rate",
    )


def content_key(name: str, ratings: Ratings, options: CrossDomainOptions, seed: int) -> str:
    """Return a key of all that trained factors depend on: ratings, options, seed, format of the file."""
    digest = hashlib.sha256(b"factors 1")
    for column in (ratings.users, ratings.items, ratings.ratings):
        digest.update(column.numpy().tobytes())
    used = {
        field: getattr(options, field) for field in options.__dataclass_fields__ if field.startswith("mf_")
    }
    digest.update(repr((name, used, options.embedding_size, options.bias, seed)).encode())
    return f"{name}-{digest.hexdigest()[:24]}"
