"""Shared parts of the adversarial models of rating rows: rows by batch, losses, the cost of a wide critic."""

import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import Recommender
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

COSTLY_WEIGHTS = 10_000_000  # of one critic; Adam keeps three more numbers for each with its gradient


class RatedCells(NamedTuple):
    """The rated cells of a batch of rows, one user after the other.

    Attributes:
        items: long [cells].
        starts: long [batch], where each user's cells begin.
        rows: long [cells], the position in the batch of each cell's user.
        ratings: in 0..1, [cells].
        base: what is predicted there beside the generator, in the same unit, [cells]; None: nothing.
    """

    items: Tensor
    starts: Tensor
    rows: Tensor
    ratings: Tensor
    base: Tensor | None = None


class RatingRows(nn.Module):
    """The training ratings of users in compressed rows, divided by the highest of the scale; dense by batch.

    Args:
        dataset: the training part.
        scale: lowest and highest rating, or None.
    """

    values: Tensor

    def __init__(self, dataset: Any, scale: list | None) -> None:
        super().__init__()
        if scale is None or scale[0] < 0:
            raise UsageError(
                f"rating_scale is {scale!r}; a model of rating rows needs [lowest, highest] rating from 0 "
                "up, such as [1, 5]"
            )
        self.low, self.high = map(float, scale)
        # Which items each user has rated; ``rated.items`` [ratings] and ``values`` have one order.
        matrix = rating_rows(dataset, self.low, self.high)
        self.rated = InteractionCSR.from_scipy(matrix)
        # On the scale of the ratings, not divided by its end.
        self.mean = float(matrix.data.mean())
        # In 0..1, [ratings].
        self.register_buffer("values", torch.from_numpy(matrix.data / self.high), persistent=False)

    def gather(self, users: Tensor) -> RatedCells:
        """Return the rated cells of users, long [batch]."""
        places, starts, rows = self.rated.places(users)
        return RatedCells(self.rated.items[places], starts, rows, self.values[places])

    def places(self, users: Tensor, items: Tensor) -> Tensor:
        """Return where in ``values`` the ratings of rated pairs are, [pairs] each."""
        return torch.searchsorted(self.rated.keys, users * self.rated.n_items + items)

    def dense(self, n_rows: int, rows: Tensor, items: Tensor, values: Tensor) -> Tensor:
        """Return ``values`` at the given cells and 0 elsewhere, [n_rows, n_items]; differentiable in them."""
        # The table flat, [n_rows * n_items], so that one index names a cell: row * n_items + item.
        table = values.new_zeros(n_rows * self.rated.n_items)
        return table.index_put((rows * self.rated.n_items + items,), values).view(n_rows, -1)

    def each_row(self, cells: RatedCells) -> Iterator[Tensor]:
        """Return the dense row of each user of a batch in turn, [1, n_items]."""
        # Number of cells of each user, [batch], by which the flat arrays are cut.
        sizes = torch.bincount(cells.rows, minlength=len(cells.starts)).tolist()
        for items, values in zip(cells.items.split(sizes), cells.ratings.split(sizes), strict=True):
            yield self.dense(1, torch.zeros_like(items), items, values)

    def add_to(self, table: Tensor, cells: RatedCells, values: Tensor) -> Tensor:
        """Add ``values`` [cells] to the rated cells of a table [batch, n_items], in place, and return it."""
        # Flat as in :meth:`dense`; in place, which saves a second table of the size of the noise.
        table.view(-1).index_add_(0, cells.rows * self.rated.n_items + cells.items, values)
        return table


def balance(first: Tensor, second: Tensor, shared: Tensor, share: float) -> Tensor:
    """Return the weight that makes the second loss's gradient ``share`` times the first's in length.

    Args:
        first: a loss, scalar.
        second: another one, scalar.
        shared: what both depend on, whose gradients are held against each other.
        share: the second's length in lengths of the first's.
    """
    lengths = [torch.autograd.grad(one, shared, retain_graph=True)[0].norm() for one in (first, second)]
    return share * lengths[0] / lengths[1].clamp_min(1e-12)


class AdversarialRecommender(Recommender):
    """A model with a generator and a critic, which ``AdversarialTrainer`` updates in turn.

    A subclass has :meth:`critic_loss`, :meth:`generator_loss`, and the attributes ``options`` (with
    ``generator_steps``, ``critic_steps``, ``critic_learning_rate`` and ``divergence_limit``), ``generator``
    and ``critic`` (None: the generator alone).
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    trainer_class = "adversarial"
    loader_class = "positives"
    protocol = "rated"
    generator: nn.Module
    critic: nn.Module | None

    def critic_loss(self, interaction: Any) -> Tensor:
        """Return the critic's loss on a batch, a scalar."""
        raise NotImplementedError

    def generator_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the parts of the generator's loss on a batch, each a scalar."""
        raise NotImplementedError

    def after_critic_step(self) -> None:
        """Called after each update of the critic."""

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the losses of both networks on a batch, in the order of ``loss_names``."""
        parts = self.generator_loss(interaction)
        return parts if self.critic is None else (*parts, self.critic_loss(interaction))

    def warn_if_wide(self) -> None:
        """Log the memory of the critic where its input is wide."""
        weights = sum(one.numel() for one in self.critic.parameters()) if self.critic is not None else 0
        if weights > COSTLY_WEIGHTS:
            logging.getLogger().warning(
                "the critic reads rows of all %d items: %.1f million weights, %.0f MB with gradient and "
                "optimizer; a smaller critic_size needs less, objective: none has no critic",
                # 16 bytes for each weight: itself, its gradient and Adam's two moments, in float32.
                *(self.n_items - 1, weights / 1e6, weights * 16 / 1e6),
            )


def perceptron(
    inputs: int, hidden: int, outputs: int, activation: nn.Module, last_bias: bool = True
) -> nn.Sequential:
    """Return a perceptron with one hidden layer, weights by Glorot's normal rule, biases 0."""
    layers = nn.Sequential(nn.Linear(inputs, hidden), activation, nn.Linear(hidden, outputs, bias=last_bias))
    for name, values in layers.named_parameters():
        nn.init.zeros_(values) if name.endswith("bias") else nn.init.xavier_normal_(values)
    return layers


def real_or_fake(real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean cross entropy of logits on real and generated rows; its optimum is log(P_r / P_g)."""
    # -log sigmoid(real) and -log(1 - sigmoid(fake)), as softplus, which does not overflow.
    return F.softplus(-real).mean() + F.softplus(fake).mean()
