"""EMCDR: one function maps the source vectors of shared users to their target vectors.

Paper: Man et al., "Cross-Domain Recommendation: An Embedding and Mapping Approach", IJCAI 2017.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.stage import UpdateStep


class EMCDR(MappingRecommender):
    """Mapping of vectors by squared distance (Eq. 5 and 6), linear or by a perceptron of one hidden layer.

    The latent factors are those of ``matrix_factorization.py``. Ratings are predicted, so the paper's ranking
    variant (BPR) is left out.
    """

    mapping: nn.Module

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        width, hidden = self.width, self.options.mapping_size
        # f of the paper: [batch, width] of the source to [batch, width] of the target.
        if self.options.mapping == "linear":
            self.mapping = nn.Linear(width, width, bias=False)
        else:
            self.mapping = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the one update of the mapping."""
        return (
            UpdateStep(self.mapping_loss, list(self.mapping.parameters()), self.general["learning_rate"]),
        )

    def mapping_loss(self, users: Tensor) -> Tensor:
        """Return the mean squared distance of mapped and target vectors, a scalar."""
        # |f(u^s) - u^t|^2, a mean over users and coordinates.
        return F.mse_loss(self.transfer(users), self.target_vectors(users))

    def transfer(self, users: Tensor) -> Tensor:
        """Return the mapped source vectors, [batch, width]."""
        return self.mapping(self.source_vectors(users))

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the mapped source vectors, [batch, width]."""
        return self.mapping(vectors)
