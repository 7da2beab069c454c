"""HGCF, a graph model on the hyperboloid, and HDRM, whose diffusion denoises its vectors.

References:
    Sun, Cheng, Zuberi, Perez, Volkovs: "HGCF: Hyperbolic Graph Convolution Networks for Collaborative
    Filtering", WWW 2021.
    Yuan, Xiao, Chen, Zhao, Wang, Zhuang: "Hyperbolic Diffusion Recommender Model", WWW 2025.
"""

from functools import partial
from typing import Any

import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions, scaled
from recbole_diffusion.model.base import InnerProductModel
from recbole_diffusion.model.graph.conditional_denoiser import DenoisedVectors, random_triples
from recbole_diffusion.model.graph.hyperboloid import (
    RiemannianSGD,
    exp_origin,
    hinge,
    log_origin,
    product_vectors,
)
from recbole_diffusion.model.graph.options import HDRMOptions, HGCFOptions
from recbole_diffusion.model.propagation import SparseMatrix
from recbole_diffusion.model.stage import TrainingStage, UpdateStep
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives


class HyperbolicEncoder(nn.Module):
    """Points of users and items, propagated over the graph in the tangent space at the origin.

    h_0 = log_0(points), h_{l+1} = Adj h_l, and the vectors are the sum of layers 1..L, without layer 0.

    Args:
        interactions: R, CSR [n_users, n_items].
        options: width, layers and adjacency.
    """

    user_share: Tensor
    item_share: Tensor

    def __init__(self, interactions: sp.csr_matrix, options: HGCFOptions | HDRMOptions) -> None:
        super().__init__()
        self.n_layers, self.itself = options.n_layers, options.adjacency == "mean"
        start = [torch.empty(rows, options.embedding_size).uniform_(-0.1, 0.1) for rows in interactions.shape]
        for table in start:
            table[0] = 0.0  # the padding id is at the origin, and stays there
        # On the hyperboloid, [n_users, d] and [n_items, d].
        self.users, self.items = (nn.Parameter(exp_origin(table)) for table in start)
        if self.itself:
            # D^-1 (A + I), row by row: each is the mean of itself and its neighbours.
            sides = [_mean_with_itself(one) for one in (interactions, interactions.T.tocsr())]
        else:
            normalised = scaled(interactions, 0.5, 0.5)  # D^-1/2 A D^-1/2
            sides = [normalised, normalised.T.tocsr()]
        self.to_users, self.to_items = (SparseMatrix(one) for one in sides)
        for name, side in (("user_share", interactions), ("item_share", interactions.T.tocsr())):
            own = torch.from_numpy(1 / (1 + side.getnnz(axis=1)))[:, None].float()
            self.register_buffer(name, own if self.itself else torch.zeros_like(own), persistent=False)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return tangent vectors at the origin, [n_users, d] and [n_items, d], their first coordinate 0."""
        users, items = log_origin(self.users), log_origin(self.items)
        pooled: tuple[Tensor, Tensor] | None = None
        for _ in range(self.n_layers):
            users, items = (
                self.to_users(items) + self.user_share * users,
                self.to_items(users) + self.item_share * items,
            )
            pooled = (users, items) if pooled is None else (pooled[0] + users, pooled[1] + items)
        return (users, items) if pooled is None else pooled

    def loss(self, users: Tensor, items: Tensor, negatives: Tensor, margin: float) -> Tensor:
        """Return the hinge on squared distances, a sum over triples."""
        U, V = self.vectors()
        return hinge(U[users], V[items], V[negatives], margin).sum()


def _mean_with_itself(neighbours: sp.csr_matrix) -> sp.csr_matrix:
    """Return the rows' neighbours over their number and one more, float32."""
    return (sp.diags(1 / (1 + neighbours.getnnz(axis=1))) @ neighbours).tocsr().astype("float32")


class HGCF(InnerProductModel):
    """Squared hyperbolic distances over a graph encoder, by a hinge with a margin.

    Points are moved by Riemannian gradient descent with momentum. Scores are products whose order is that of
    the distances, in float64, so that lists need no distance.

    Differences from the authors' code:
        * Distances in a form without cancellation; the cap of squared distances is in the loss alone.
        * Negatives are never training items.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    trainer_class = "staged"

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: HGCFOptions = config.options
        self.general = config.general
        interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(interactions)
        self.encoder = HyperbolicEncoder(interactions, self.options)
        self._forget()

    def stages(self) -> list[TrainingStage]:
        """Return the one stage, for its own optimizer."""
        general = self.general
        step = UpdateStep(
            lambda rows: self.encoder.loss(*random_triples(self.positives, rows), self.options.margin),
            list(self.encoder.parameters()),
            general.learning_rate,
            optimizer=partial(RiemannianSGD, momentum=self.options.momentum),
        )
        rows = torch.arange(len(self.positives.items))
        patience = general.stopping_step
        return [TrainingStage("points", (step,), rows, general.train_batch_size, general.epochs, patience)]

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the loss of a batch; training itself follows :meth:`stages`."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        return self.encoder.loss(users, items, uniform_negatives(self.positives, users), self.options.margin)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the vectors whose products order the items by distance."""
        return product_vectors(*self.encoder.vectors())


class HDRM(DenoisedVectors):
    """HGCF, then the networks of DDRM on its tangent vectors at the origin, by a hinge on distances.

    An estimate u^ enters as u~ = (1 - mu) u + mu u^, mu the ``mixing``. The loss sums, over pairs,

        (1 - lambda) max(0, d^2(u~, i~) - d^2(u~, n) + m) + lambda (|u - u~|^2 / d + |i - i~|^2 / d) / 2

    and the score is the distance to (1 - mu) u + mu x with x from the chain of :class:`DenoisedVectors`. With
    the small mu of the authors' code HDRM lies close to HGCF, its own first stage.

    Differences from the authors' code: those of HGCF, and the frozen vectors are computed once an epoch.
    """

    options: HDRMOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.encoder = HyperbolicEncoder(self.interactions, self.options)

    def encoder_module(self) -> nn.Module:
        """Return HGCF's encoder."""
        return self.encoder

    def encoder_step(self) -> UpdateStep:
        """Return a step of Riemannian gradient descent."""
        o = self.options
        return UpdateStep(
            lambda rows: self.encoder_loss(*random_triples(self.positives, rows)),
            list(self.encoder.parameters()),
            o.encoder_learning_rate,
            weight_decay=o.encoder_weight_decay,
            optimizer=partial(RiemannianSGD, momentum=o.momentum),
        )

    def encoder_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return HGCF's loss."""
        return self.encoder.loss(users, items, negatives, self.options.margin)

    def encoded(self) -> tuple[Tensor, Tensor]:
        """Return HGCF's tangent vectors."""
        return self.encoder.vectors()

    def encoder_scores(self) -> tuple[Tensor, Tensor]:
        """Return the vectors whose products order the items by HGCF's distance."""
        return product_vectors(*self.encoder.vectors())

    def noise(self, x0: Tensor) -> Tensor:
        """Return the noise of a batch, [batch, d]; ``directional_noise`` points away from the origin."""
        eps = torch.randn_like(x0)
        if not self.options.directional_noise:
            return eps
        # By coordinate, [d]; a batch of one row has no deviation.
        mean, deviation = x0.mean(0), x0.std(0, correction=min(1, len(x0) - 1))
        return mean + deviation * (x0.sign() * eps.abs())

    def denoising_loss(self, users: Tensor, items: Tensor, negatives: Tensor) -> Tensor:
        """Return the loss of the class docstring."""
        o, (U, V) = self.options, self.frozen()
        u, v, n = U[users], V[items], V[negatives]
        found_u, found_v = (found.to(u) for found in self.denoised_pairs(u, v))  # of 16 bits under autocast
        u_mixed, v_mixed = torch.lerp(u, found_u, o.mixing), torch.lerp(v, found_v, o.mixing)
        rebuilt = ((u - u_mixed).square().mean(1) + (v - v_mixed).square().mean(1)) / 2
        ranking = hinge(u_mixed, v_mixed, n, o.margin)
        return ((1 - o.reconstruction_weight) * ranking + o.reconstruction_weight * rebuilt).sum()

    def end_scores(self, users: Tensor, denoised: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors whose products order the items by their distance to the mixed vector."""
        return product_vectors(torch.lerp(users, denoised, self.options.mixing), items)
