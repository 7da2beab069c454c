"""LACDR: the vectors of two domains are aligned in a space of few dimensions.

Paper: Wang, Zhuang, Zhang, Wang, Zhou, He, "Low-dimensional Alignment for Cross-Domain Recommendation", CIKM
2021.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.stage import UpdateStep


def perceptron(inside: int, hidden: int, outside: int) -> nn.Sequential:
    """Return a perceptron with one hidden layer and tanh."""
    return nn.Sequential(nn.Linear(inside, hidden), nn.Tanh(), nn.Linear(hidden, outside))


class LACDR(MappingRecommender):
    """An encoder and a decoder for each domain; a cold user's source code is decoded by the target's decoder.

    Three mean squared errors are minimised together: of the mapped vectors of shared users, between the two
    codes of shared users, and of each domain's autoencoder, also for users who are not shared.

    Differences from the paper:

    - The latent factors are those of ``matrix_factorization.py``, as for every mapping model here.
    - The autoencoders of a batch see its shared users and as many others, drawn from all users of each
      domain.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, width = self.options, self.width
        # For each domain, a vector to its code and back: [., width] to [., code_size] to [., width].
        self.encoders = nn.ModuleDict(
            {name: perceptron(width, o.hidden_size, o.code_size) for name in ("source", "target")}
        )
        self.decoders = nn.ModuleDict(
            {name: perceptron(o.code_size, o.hidden_size, width) for name in ("source", "target")}
        )
        # Autoencoders learn from all users with ratings, shared or not.
        everyone = {
            "source": torch.unique(self.source_ratings.users),
            "target": torch.unique(self.ratings.users),
        }
        for name, users in everyone.items():
            self.register_buffer(f"{name}_users", users, persistent=False)

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the one update of encoders and decoders."""
        parameters = [*self.encoders.parameters(), *self.decoders.parameters()]
        return (UpdateStep(self.alignment_loss, parameters, self.general["learning_rate"]),)

    def alignment_loss(self, users: Tensor) -> Tensor:
        """Return the weighted sum of the three errors, a scalar."""
        o = self.options
        vectors = {"source": self.source_vectors(users), "target": self.target_vectors(users)}
        # [batch, code_size] each
        codes = {name: self.encoders[name](own) for name, own in vectors.items()}
        # The path of a cold user: encoded in the source, decoded in the target.
        mapped = F.mse_loss(self.decoders["target"](codes["source"]), vectors["target"])
        # A user's two codes, [batch, code_size] each, are to be one.
        aligned = F.mse_loss(codes["source"], codes["target"])
        # Each autoencoder sees the batch's users and as many others of its domain.
        rebuilt = sum(
            self.rebuild_error(name, own, self.others(name, len(users))) for name, own in vectors.items()
        )
        return mapped + o.align_weight * aligned + o.rebuild_weight * rebuilt

    def others(self, name: str, count: int) -> Tensor:
        """Return the vectors of ``count`` drawn users of a domain, without gradient, [count, width]."""
        users = getattr(self, f"{name}_users")
        # With replacement, long [count].
        drawn = users[torch.randint(len(users), (count,), device=users.device)]
        return getattr(self, name).user_vectors(drawn).detach()

    def rebuild_error(self, name: str, *vectors: Tensor) -> Tensor:
        """Return the mean squared error of a domain's rebuilt vectors, a scalar."""
        # Shared users and others, [2 batch, width].
        known = torch.cat(vectors)
        return F.mse_loss(self.decoders[name](self.encoders[name](known)), known)

    def transfer(self, users: Tensor) -> Tensor:
        """Return the target decoder's output of the source codes, [batch, width]."""
        return self.decoders["target"](self.encoders["source"](self.source_vectors(users)))

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the target decoder's output of the codes of source vectors, [batch, width]."""
        return self.decoders["target"](self.encoders["source"](vectors))
