"""MCDRec: item vectors diffused under multimodal conditions, which also denoise the user-item graph.

Reference:
    Ma, Yang, Meng, Xie, Meng: "Multimodal Conditioned Diffusion Model for Recommendation". WWW 2024
    Companion.
"""

import itertools
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.multimodal.backbone import Backbone, FrozenGraphBackbone
from recbole_diffusion.model.multimodal.bm3 import BM3
from recbole_diffusion.model.multimodal.estimators import BottleneckEstimator
from recbole_diffusion.model.multimodal.fusion import DiffusedItemFusion
from recbole_diffusion.model.multimodal.item_diffusion import ItemDiffusion
from recbole_diffusion.model.multimodal.unet import UNetEstimator
from recbole_diffusion.sampler.uniform import uniform_negatives

ESTIMATORS: dict[str, type[BottleneckEstimator | UNetEstimator]] = {
    "perceptron": BottleneckEstimator,
    "unet": UNetEstimator,
}


class MCDRec(Backbone):
    """A backbone, FREEDOM's graphs or BM3, with two additions; the option chooses one of the classes below.

    Multimodal-conditioned representation diffusion (MRD): free item vectors are noised and estimated back
    from themselves and the projected features; the estimates, fused with the item graph's output (over BM3
    with e), are what the user-item graph propagates. Diffusion-guided graph denoising (DGD): in the user-item
    graph of an epoch, the interactions that are kept weigh 1 + temperature x cosine(user, diffused item).

    Wrapped by CCDRec, the wrapper's diffusion takes the place of MRD and guides DGD; FREEDOM's graphs are
    then under it.

    Differences from the authors' code:
        * It is published over BM3 alone; by default it is over FREEDOM's item graph, as CCDRec's table
          suggests.
        * The weights of DGD enter the propagation. Theirs enter the degrees only.
        * By default the U-Net is a perceptron with a bottleneck and a skip connection (``estimator``), since
          item vectors have no spatial order, vectors are diffused at unit scale (``diffused_scale``), and the
          user-item graph starts from the fused vectors (``graph_input``).
        * Items of the batch alone are estimated; others have the end of the epoch's chain, and steps are not
          drawn in pairs.
        * Scores depend on the weights alone, since the chain's seed is fixed. Their first validation has
          random vectors.
    """

    renamed_weights: ClassVar = {"fusion.aligning": "fusion.item_diffusion"}

    def __new__(cls, config: Any = None, *_: Any, **__: Any) -> Self:
        """Return an object of the class of the backbone."""
        if cls is not MCDRec:  # also where a copy is made, without a configuration
            return super().__new__(cls)
        over = MCDRecOverBM3 if config.options.backbone == "BM3" else MCDRecOverFREEDOM
        return super().__new__(over)

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset, wrapped)
        o = self.options
        self.fusion = None
        self._guides: Tensor | None = None
        if not wrapped:
            estimator = ESTIMATORS[o.estimator](o.embedding_size, o.steps, len(o.modalities))
            diffusion = ItemDiffusion(o.betas(), estimator, **o.diffusion_path())
            # Only the end of the chain is used.
            chain = {"steps": {0}, "seed": o.chain_seed, "stochastic": o.chain_noise}
            network = _input_network(o) if o.graph_input == "perceptron" else None
            self.fusion = DiffusedItemFusion(
                diffusion, o.diffused_ratio, "input", outside=o.outside_batch, network=network, **chain
            )
        pairs = ("bpr",) if self.takes_negatives else ()
        self.loss_names = (*pairs, *self.other_loss_names, "diffusion")

    def _forget(self) -> None:
        super()._forget()
        fusion: DiffusedItemFusion | None = getattr(self, "fusion", None)
        if fusion is not None:  # it is missing at first in the constructor
            fusion.forget()

    def set_diffused_items(self, items: Tensor) -> None:
        """Receive the diffused item vectors [n_items, d] that weigh the interactions of the next epoch."""
        self._guides = items

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Run the chain, if it is this model's, and draw and weigh the interactions of this epoch."""
        if self.fusion is not None:
            self.fusion.begin_epoch(self)
        if self.options.edge_dropout > 0 or self.options.graph_temperature > 0:
            # DGD: fewer interactions, and each weighed by how near its user is to the diffused item.
            self.prune(1 - self.options.edge_dropout, self._edge_weights())

    @torch.no_grad()
    def _edge_weights(self) -> Tensor:
        """Return 1 + temperature x cosine(user, diffused item) of each interaction, [interactions]."""
        if self._guides is None:
            raise RuntimeError("there are no diffused items: call set_diffused_items before begin_epoch")
        # In the order of the CSR matrix, as ``prune`` has them, long [interactions] each.
        users, items = (torch.from_numpy(one).long() for one in self.interactions.nonzero())
        # At length 1, [n_users, d] and [n_items, d].
        of_users, of_items = F.normalize(self.encoder.users, dim=1), F.normalize(self._guides, dim=1)
        blocks = zip(users.split(2**18), items.split(2**18), strict=True)  # rows gathered at once
        cosines = torch.cat([(of_users[u] * of_items[i]).sum(1) for u, i in blocks])
        return 1 + self.options.graph_temperature * cosines

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d], items diffused by the chain."""
        return super().vectors() if self.fusion is None else self.fusion.of_all(self)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the pairwise loss, if there is one, the backbone's others and that of the diffusion."""
        if self.fusion is None:
            raise TypeError("a wrapped MCDRec has no diffusion; the loss is that of the model around it")
        if self.fusion.end is None:
            self.begin_epoch(0)
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        ids = items[None]  # the positives and, below them, negatives: [1 + n_negatives, batch]
        if self.takes_negatives:
            drawn = uniform_negatives(self.positives, users.repeat(self.options.n_negatives))
            ids = torch.cat([ids, drawn.view(-1, len(users))])
        # The diffusion estimates each item of the batch once.
        distinct, where = torch.unique(ids, return_inverse=True)
        some_users, of_user = torch.unique(users, return_inverse=True)
        fused = self.fusion.of_batch(self, distinct, some_users)
        u, v = fused.users[of_user], fused.items[where]
        parts = {}
        if self.takes_negatives:
            scores = (u * v).sum(2)  # of positive and negatives, [1 + n_negatives, batch]
            parts["bpr"] = losses.bpr(scores[0], scores[1:])
        # One loss against all negatives; those beside it see the first alone.
        parts |= self.other_losses(u, users, items, ids[-1], fused.modal[where[:2]], v[0])
        return (*parts.values(), self.options.diffusion_weight * fused.loss)


def _input_network(o: Any) -> nn.Module:
    """Return the perceptron of fused vectors and projected features that feeds the user-item graph."""
    sizes = [(1 + len(o.modalities)) * o.embedding_size, 2 * o.embedding_size, o.embedding_size]
    hidden = [[nn.Linear(*pair), nn.ReLU(), nn.Dropout(0.1)] for pair in itertools.pairwise(sizes)]
    return nn.Sequential(*itertools.chain(*hidden), nn.Linear(sizes[-1], sizes[-1]))


class MCDRecOverFREEDOM(MCDRec, FrozenGraphBackbone):
    """Over FREEDOM's graphs, by pairs with negatives."""

    shown_name = "MCDRec"


class MCDRecOverBM3(MCDRec, BM3):
    """Over BM3, as published: projected features are aligned with e, and no negatives are drawn."""

    shown_name = "MCDRec"

    def modal_target(self, v: Tensor, items: Tensor) -> Tensor:  # noqa: ARG002
        """Return the free vectors of items, [batch, d]."""
        return self.encoder.items.index_select(0, items)

    def epoch_diagnostics(self) -> dict[str, float]:
        """Return nothing: the vectors that score are known after the chain alone."""
        return {}
