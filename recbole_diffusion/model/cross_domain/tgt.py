"""TGT: matrix factorisation of the target domain alone, without information on cold users.

Paper: "Diffusion Cross-domain Recommendation" (DiffCDR), section 4.1, baseline (1).
"""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.model.cross_domain.base import ColdStartRecommender
from recbole_diffusion.model.cross_domain.matrix_factorization import (
    MatrixFactorization,
    MatrixShape,
    derived_seed,
    factorization_stage,
)
from recbole_diffusion.model.stage import TrainingStage


class TGT(ColdStartRecommender):
    """The target factors of the mapping models; a cold user has an untrained vector, as in the paper.

    ``cold_vector: mean`` gives cold users the mean vector of the users with ratings, the best choice without
    the source.
    """

    average: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        mean = self.ratings.ratings.double().mean().item()
        self.target = MatrixFactorization(
            MatrixShape(self.n_users, self.n_items), self.options, mean, derived_seed(self.seed, "target")
        )
        self.register_buffer("average", torch.zeros(self.target.width))

    def stages(self) -> list[TrainingStage]:
        """Return the factorisation, and a stage without updates in which the mean is computed."""
        last = TrainingStage(
            "cold", (), self.shared, batch_size=1, epochs=0, stopping_step=0, begin=self.take_mean
        )
        return [factorization_stage("target", self.target, self.ratings, self.options, self.seed), last]

    @torch.no_grad()
    def take_mean(self) -> None:
        """Store the mean vector of the users with ratings."""
        users = torch.unique(self.ratings.users).to(self.average.device)
        # [width]; each user with ratings counts once.
        self.average.copy_(self.target.user_vectors(users).mean(0))

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the factors."""
        return self.target.item_vectors(), self.target.item_offsets()

    def known(self, users: Tensor) -> Tensor:
        """Return the factors' own vectors."""
        return self.target.user_vectors(users)

    def transfer(self, users: Tensor) -> Tensor:
        """Return the untrained vectors, or the mean, [batch, width]."""
        if self.options.cold_vector == "untrained":
            # As initialised: no rating has moved it.
            return self.known(users)
        return self.average.expand(len(users), -1)
