"""A regression on one number, the bias that a user has in the source domain."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import Histories
from recbole_diffusion.model.cross_domain import MappingRecommender
from recbole_diffusion.model.stage import Step


class SourceRegression(MappingRecommender):
    """``r = mean + b_i + s_i + a + b x_u``, x_u the standardised source bias of user u; a, b and the shifts s are learned.

    The trivial baseline of transfer: what a mapping of whole vectors gains has to be gained above it. Offsets and biases are
    those of the two factorisations, the loss of ratings is that of DiffCDR's alignment module (``task_absolute``,
    ``shift_reg_weight``).
    """

    statistics: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.line = nn.Parameter(torch.zeros(2))
        self.shift = None if self.options.shift_reg_weight is None else nn.Parameter(torch.zeros(self.n_items))
        self.register_buffer("statistics", torch.tensor([0.0, 1.0]))

    @torch.no_grad()
    def begin_transfer(self) -> None:
        """Take mean and deviation of the training users' source biases."""
        biases = self.source_vectors(self.shared.to(self.statistics.device))[:, -1]
        self.statistics.copy_(torch.stack([biases.mean(), biases.std(correction=0).clamp(min=1e-6)]))

    def parts(self) -> tuple[Step, ...]:
        """Return the one update of line and shifts."""
        parameters = [self.line] if self.shift is None else [self.line, self.shift]
        return (Step(self.task_loss, parameters, self.general["learning_rate"]),)

    def task_loss(self, users: Tensor) -> Tensor:
        """Return the error of the users' training ratings, a scalar."""
        return self.task_loss_of(users, self.transfer(users), self.shift)

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, with the shift of the offsets."""
        vectors, offsets = super().item_side()
        return vectors, offsets if self.shift is None else offsets + self.shift

    def transfer(self, users: Tensor) -> Tensor:
        """Return vectors of zeros with the regression as bias, [batch, width]."""
        return self._regressed(self.source_vectors(users))

    def transfer_new(self, vectors: Tensor, histories: Histories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the same of users by their source vectors, [batch, width]."""
        return self._regressed(vectors)

    def _regressed(self, vectors: Tensor) -> Tensor:
        standard = (vectors[:, -1:] - self.statistics[0]) / self.statistics[1]
        return F.pad(self.line[0] + self.line[1] * standard, (self.width - 1, 0))
