"""DDRM: the vectors of a trained LightGCN, denoised by a diffusion in which each side is given the other.

Reference:
    Zhao, Wang, Xu, Sun, Feng, Chua: "Denoising Diffusion Recommender Model", SIGIR 2024.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.encoder import LightGCNEncoder
from recbole_diffusion.model.graph.conditional_denoiser import DenoisedVectors, random_triples
from recbole_diffusion.model.graph.options import DDRMOptions
from recbole_diffusion.model.stage import UpdateStep


class DDRM(DenoisedVectors):
    """LightGCN by BPR, then two networks that denoise its vectors u and i, and an ideal item for each user.

    For a training pair with a uniform negative n and estimates u^, i^ of its noised vectors the loss is

        w [(1 - lambda) softplus(u^ . n - u^ . i^) + lambda (|u - u^|^2 / d + |i - i^|^2 / d) / 2]

    with w = sigmoid(u^ . i^)^gamma, without gradient. The score is the inner product of an item with the end
    of the chain, see :class:`DenoisedVectors`; the network of the users is not used for it, as in the
    authors' code.

    Differences from the authors' code:
        * The frozen vectors are computed once an epoch, not in each batch, and have no penalty.
        * Pairs are the training rows in random order; theirs draws a user and then one of the user's items.
        * Negatives are never training items.
    """

    options: DDRMOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        self.encoder = LightGCNEncoder(self.interactions, o.embedding_size, o.n_layers, o.init_std)

    # The encoder.

    def encoder_module(self) -> nn.Module:
        """Return LightGCN."""
        return self.encoder

    def encoder_step(self) -> UpdateStep:
        """Return a step of BPR; the penalty is in the loss."""
        return UpdateStep(
            lambda rows: self.encoder_loss(*random_triples(self.positives, rows)),
            list(self.encoder.parameters()),
            self.options.encoder_learning_rate,
            weight_decay=0.0,
        )

    def encoder_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return BPR with half the squared length of the free vectors, a mean over rows."""
        u, (v, n) = self.encoder.of_batch(users, torch.stack([items, negatives]))
        penalty = self.encoder.penalty(users, torch.cat([items, negatives]))
        return losses.bpr((u * v).sum(1), (u * n).sum(1)) + self.options.reg_weight * penalty

    def encoded(self) -> tuple[Tensor, Tensor]:
        """Return LightGCN's vectors."""
        return self.encoder.vectors()

    def encoder_scores(self) -> tuple[Tensor, Tensor]:
        """Return LightGCN's vectors."""
        return self.encoder.vectors()

    # The denoisers.

    def denoising_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return the loss of the class docstring, a mean over pairs."""
        o, (U, V) = self.options, self.frozen()
        u, v, n = U[users], V[items], V[negatives]
        found_u, found_v = self.denoised_pairs(u, v)
        positive = (found_u * found_v).sum(1)  # [batch]
        ranking = F.softplus((found_u * n).sum(1) - positive)
        rebuilt = ((u - found_u).square().mean(1) + (v - found_v).square().mean(1)) / 2
        weight = torch.sigmoid(positive.detach()) ** o.reweight_power
        share = o.reconstruction_weight
        return (weight * ((1 - share) * ranking + share * rebuilt)).mean()

    def end_scores(self, users: Tensor, denoised: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return the ideal items, and the items."""
        return denoised, items
