"""FREEDOM: frozen item graphs and a user-item graph denoised by degree.

Reference:
    Zhou and Shen: "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
    Recommendation". ACM MM 2023.
"""

from typing import Any

from recbole_diffusion.model.multimodal.backbone import FrozenGraphBackbone


class FREEDOM(FrozenGraphBackbone):
    """LightGCN on interactions drawn anew each epoch, plus propagation over a frozen graph of similar items.

    The item graph is the weighted sum of one nearest-neighbour graph per modality (Eq. 1 to 4); its output
    h_hat is added to the items' LightGCN vectors. In an epoch, the user-item graph keeps a ratio of 1 -
    edge_dropout of the interactions (Eq. 9); evaluation uses all. The pairwise loss is taken against the
    projected features too (Eq. 14).

    Differences from the authors' code:
        * Features are frozen, unless ``train_features``; theirs trains a copy of the whole feature matrices,
          which costs most of an epoch.
        * Neighbours are found in blocks, not by an [items, items] similarity.
    """

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        self.projects = config.options.modal_weight > 0
        super().__init__(config, dataset, wrapped)
        self.loss_names = ("bpr", *self.other_loss_names)

    def begin_epoch(self, epoch: int) -> None:  # noqa: ARG002
        """Draw the interactions of this epoch."""
        if self.options.edge_dropout > 0:
            # Drawn by degree (Eq. 9), anew in each epoch.
            self.prune(1 - self.options.edge_dropout)
