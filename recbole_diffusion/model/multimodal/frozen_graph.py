"""The backbone on a frozen item graph, which FREEDOM and MCDRec share."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.knn import fused, mean_graph
from recbole_diffusion.model.layers import SparseMatrix
from recbole_diffusion.model.multimodal.backbone import Backbone, modal_bpr


class FrozenGraphBackbone(Backbone):
    """LightGCN, and the free item vectors propagated over the weighted sum of the modalities' graphs (FREEDOM, Eq. 1 to 6)."""

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset, wrapped)
        self.trains_projections = self.options.modal_weight > 0
        graphs = [mean_graph(dataset.neighbours(name)[0], self.n_items) for name in dataset.modalities]
        self.item_graph = SparseMatrix(fused(graphs, self.options.weights()))

    def high_order(self) -> Tensor:
        """Return h_hat: the free item vectors, propagated over the item graph, [n_items, d]."""
        items = self.encoder.items
        for _ in range(self.options.n_item_layers):
            items = self.item_graph(items)
        return items

    def other_losses(
        self,
        u: Tensor,
        users: Tensor,  # noqa: ARG002
        items: Tensor,
        negatives: Tensor,
        modal: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the pairwise loss against the projected features, if it has a weight (FREEDOM, Eq. 14)."""
        if self.options.modal_weight == 0:
            return {}
        if modal is None:
            modal = self.projections.of(torch.stack([items, negatives]))
        return {"modal": self.options.modal_weight * modal_bpr(u, modal)}
