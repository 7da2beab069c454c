"""LATTICE: latent structures mined from the modalities, learned with the model.

Reference:
    Zhang, Zhu, Liu, Wu, Wang, Wang: "Mining Latent Structures for Multimedia Recommendation". ACM MM 2021.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data import knn
from recbole_diffusion.model.multimodal.backbone import Backbone
from recbole_diffusion.model.multimodal.projections import BLOCK

Graph = tuple[Tensor, Tensor]  # neighbours long [n_items, entries], and their weights of the same shape


class LATTICE(Backbone):
    """LightGCN plus propagation over an item graph that is partly learned from projected features.

    In each modality an item is tied to its nearest neighbours by the cosine of their features (Eq. 1 to 3)
    and, in a second graph, by that of their projections (Eq. 4), both symmetrically normalised. lambda mixes
    the two (Eq. 5), a softmax of learned weights the modalities (Eq. 6). The propagated items are normalised
    and added to LightGCN's (Eq. 9).

    The graph is learned in the first batch of an epoch and kept for the rest of it, as in the authors' code;
    an evaluation uses the graph of its own weights.

    Differences from the authors' code:
        * Features are frozen, unless ``train_features``, and neighbours are found in blocks.
        * An evaluation builds the graph once, not for each batch of users.
        * Cosines below zero count as zero, so that degrees cannot be negative.
    """

    loss_names = ("bpr", "penalty")
    other_loss_names = ("penalty",)
    original_ids: Tensor
    original_weights: Tensor

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset, wrapped)
        # Its own loss trains the projections in the first batch of an epoch alone. On the path ``cut`` that
        # counted as training them, so that a wrapping model's conditions stayed next to random.
        self.trains_projections = wrapped and self.options.gradient_path == "cut"
        # S_m of each modality: neighbours and normalised weights, constant, [n_items, modalities, k].
        originals = [self._with_padding(*dataset.neighbours(name)) for name in dataset.modalities]
        self.register_buffer("original_ids", torch.stack([ids for ids, _ in originals], 1), persistent=False)
        weights = torch.stack([normalised(ids, cosines) for ids, cosines in originals], 1)
        self.register_buffer("original_weights", weights, persistent=False)
        # Logits of alpha, [modalities]; at first all modalities weigh the same.
        self.modality_logits = nn.Parameter(torch.zeros(len(originals)))

    @staticmethod
    def _with_padding(ids: Tensor, cosines: Tensor) -> Graph:
        """Return neighbours and cosines with a first row for the padding id: itself, at weight 0."""
        return F.pad(ids, (0, 0, 1, 0)), F.pad(cosines, (0, 0, 1, 0))

    def _forget(self) -> None:
        super()._forget()
        self._held: Graph | None = None

    def item_graph(self) -> Graph:
        """Return the mixed graph (Eq. 5, 6); with gradient in the call that makes it."""
        if self._held is None:
            graph = self._mixed_graph()
            self._held = graph[0], graph[1].detach()
            return graph
        return self._held

    def _mixed_graph(self) -> Graph:
        """Return A = sum over modalities of alpha_m (lambda S_m + (1 - lambda) S~_m), entries side by side.

        S_m is the graph of the original features and S~_m that of the projected ones (Eq. 5); alpha is the
        softmax of the modalities' logits (Eq. 6). A neighbour in several graphs is there several times.

        Returns:
            ids and weights, [n_items, 2 k modalities] each.
        """
        ratio = self.options.original_ratio  # lambda
        modal = self.modality_logits.softmax(0)[:, None]  # alpha, [modalities, 1]
        learned = [self._learned(projection) for projection in self.built_projections]
        # Neighbours of both graphs side by side, long [n_items, modalities, 2 k].
        ids = torch.cat([self.original_ids, torch.stack([one for one, _ in learned], 1)], 2)
        of_learned = torch.stack([weights for _, weights in learned], 1)  # [n_items, modalities, k]
        # lambda alpha_m S_m, then (1 - lambda) alpha_m S~_m.
        weights = torch.cat([ratio * modal * self.original_weights, (1 - ratio) * modal * of_learned], 2)
        return ids.flatten(1), weights.flatten(1)

    def _learned(self, projection: nn.Module) -> Graph:
        """Return the graph of one modality's projected features (Eq. 4), each [n_items, k]."""
        every = torch.arange(self.n_items, device=self.encoder.items.device)
        # At length 1, [n_items, d], so that inner products are cosines.
        projected = F.normalize(torch.cat([projection(block) for block in every.split(BLOCK)]), dim=1)
        # Which items are neighbours has no gradient, their cosines have one.
        real = projected.detach()[1:]
        found, _ = knn.nearest(lambda rows: real[rows.to(real.device)], len(real), self.options.knn_k)
        # Item ids, from 1, with a row for the padding id.
        ids = F.pad(found + 1, (0, 0, 1, 0))
        cosines = torch.einsum("nd,nkd->nk", projected, projected[ids])
        # The padding item has no neighbour: its row counts as zeros.
        return ids, normalised(ids, cosines * (every > 0)[:, None])

    def high_order(self) -> Tensor:
        """Return h_hat: the free item vectors, propagated over the item graph, [n_items, d]."""
        ids, weights = self.item_graph()
        items: Tensor = self.encoder.items
        for _ in range(self.options.n_item_layers):
            # Item i becomes sum_j A_ij e_j over its list of neighbours, [n_items, d].
            items = F.embedding_bag(ids, items, mode="sum", per_sample_weights=weights)
        return items

    def joined(self, high_order: Tensor, propagated: Tensor) -> Tensor:
        """Return h_i = h_tilde_i + h_hat_i / |h_hat_i| (Eq. 9), [n, d]."""
        return propagated + F.normalize(high_order, dim=1)

    def other_losses(
        self,
        u: Tensor,  # noqa: ARG002
        users: Tensor,
        items: Tensor,
        negatives: Tensor,
        modal: Tensor | None = None,  # noqa: ARG002
        v: Tensor | None = None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Return half the squared length of the free vectors of a batch, per row."""
        of_users, of_items = self.encoder.ego(users, torch.cat([items, negatives]))
        squares = of_users.square().sum() + of_items.square().sum()
        return {"penalty": self.options.reg_weight * squares / (2 * len(users))}


def normalised(ids: Tensor, cosines: Tensor) -> Tensor:
    """Return D^-1/2 S D^-1/2 of a graph of neighbours, D the row sums of S, [n_items, k].

    Args:
        ids: long [n_items, k].
        cosines: the entries of S, [n_items, k]; negative ones count as 0.
    """
    positive = cosines.clamp(min=0)
    # D^-1/2, [n_items], and 0 for an item without a positive cosine.
    root = positive.sum(1).clamp_min(1e-12).rsqrt() * (positive.sum(1) > 0)
    return root[:, None] * positive * root[ids]
