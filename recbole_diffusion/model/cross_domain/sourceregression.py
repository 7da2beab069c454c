"""A regression on a user's bias in the source domain, and on how the user rates there."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.cross_domain.profile import SIZE, SourceProfile
from recbole_diffusion.model.stage import UpdateStep


class SourceRegression(MappingRecommender):
    """``r = mean + b_i + s_i + a + b x_u + c . z_u``, x_u the standardised source bias; a, b, c, s learned.

    The trivial baseline of transfer, which a mapping of whole vectors has to beat. Offsets and biases are
    those of the two factorisations, the loss of ratings is that of DiffCDR's alignment module
    (``task_absolute``, ``item_offset_reg_weight``). With ``profile`` it also reads the profile z_u that
    DiffCDR may read (``profile.py``); c is penalised by ``profile_reg_weight``, b is not.
    """

    statistics: Tensor

    renamed_weights: ClassVar = {"shift": "item_offset"}

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        # a and b of the class; c, [SIZE], with the profile alone.
        self.line = nn.Parameter(torch.zeros(2))
        self.slopes = nn.Parameter(torch.zeros(SIZE)) if self.options.profile else None
        if self.options.profile:
            self.profile = SourceProfile(self.scale)
        self.item_offset = (
            None if self.options.item_offset_reg_weight is None else nn.Parameter(torch.zeros(self.n_items))
        )
        self.register_buffer("statistics", torch.tensor([0.0, 1.0]))

    @torch.no_grad()
    def begin_transfer(self) -> None:
        """Compute mean and deviation of the training users' source biases, and of their profiles."""
        users = self.shared.to(self.statistics.device)
        # The last coordinate of a source vector is b_u.
        biases = self.source_vectors(users)[:, -1]
        # Mean and deviation, [2], by which x_u is standardised.
        self.statistics.copy_(torch.stack([biases.mean(), biases.std(correction=0).clamp(min=1e-6)]))
        if self.profile is not None:
            self._all_profiles = self.learned_profiles(users)

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the one update of line, slopes and item offsets."""
        parameters = [one for one in (self.line, self.slopes, self.item_offset) if one is not None]
        return (UpdateStep(self.task_loss, parameters, self.general["learning_rate"]),)

    def task_loss(self, users: Tensor) -> Tensor:
        """Return the error of the users' training ratings, a scalar."""
        loss = self.task_loss_of(users, self.transfer(users), self.item_offset)
        if self.slopes is None:
            return loss
        # As so many ratings of slope 0, spread over all ratings of the training users.
        return loss + self.options.profile_reg_weight * self.slopes.square().sum() / self.shared_ratings

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, with the learned item offsets."""
        vectors, offsets = super().item_side()
        return vectors, offsets if self.item_offset is None else offsets + self.item_offset

    def transfer(self, users: Tensor) -> Tensor:
        """Return vectors of zeros whose last coordinate, the bias, is the regression, [batch, width]."""
        return self._regressed(self.source_vectors(users), self.profiles_of(users))

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the same for users without an id, by source vectors and source ratings, [batch, width]."""
        return self._regressed(vectors, self.new_profiles(histories, len(vectors)))

    def _regressed(self, vectors: Tensor, profiles: Tensor | None) -> Tensor:
        standard = (vectors[:, -1:] - self.statistics[0]) / self.statistics[1]  # x_u, [batch, 1]
        # a + b x_u + c . z_u, which takes the place of the target bias, [batch, 1].
        bias = self.line[0] + self.line[1] * standard
        if profiles is not None:
            assert self.slopes is not None  # made with the profile, by the constructor
            bias = bias + profiles @ self.slopes[:, None]  # [batch, SIZE] x [SIZE, 1]
        return F.pad(bias, (self.width - 1, 0))  # the vector proper is zeros
