"""Base classes of FREEDOM, LATTICE, BM3 and MCDRec, with the methods by which another model wraps them."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions, scaled
from recbole_diffusion.data.knn import fused, mean_graph
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.encoder import Layer, LightGCNEncoder
from recbole_diffusion.model.multimodal.projections import Projections
from recbole_diffusion.model.propagation import SparseMatrix
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives


class Backbone(WholeGraphModel):
    """A multimodal recommender with an item graph and a user-item graph, trained on pairs.

    The item graph gives h_hat_i, the user-item graph (LightGCN) h_tilde_u and h_tilde_i, and :meth:`joined`
    the vectors whose inner products are scores. A wrapping model uses the public methods alone.

    Args:
        config: the run's configuration; its options have those of the backbone.
        dataset: the training part of a ``MultimodalDataset``.
        wrapped: whether a model with a diffusion wraps this one: all projections are built then, and MCDRec
            leaves out its own diffusion.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "multimodal"
    projects = True  # whether the model uses the projected features itself
    # Whether its own loss trains the projections in every batch; if not, the diffusion loss does.
    trains_projections = False
    takes_negatives = True  # whether its own loss has pairs with negatives
    other_loss_names: tuple[str, ...] = ()  # of what ``other_losses`` returns

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset)
        self.options = o = config.options
        self.wrapped = wrapped
        # R, scipy [n_users, n_items], from which pruned graphs are made; its index by user is for negatives.
        self.interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(self.interactions)
        self.encoder = LightGCNEncoder(self.interactions, o.embedding_size, o.n_layers)
        self.projections: Projections | None = None
        if wrapped or self.projects:
            self.projections = Projections(dataset.modalities.values(), o.embedding_size, o.train_features)
        # The user-item graph of this epoch, where interactions are pruned; evaluation uses all of them.
        self.pruned: SparseMatrix | None = None
        self._forget()

    @property
    def built_projections(self) -> Projections:
        """Return the projections, which exist where the model is wrapped or ``projects``.

        Raises:
            TypeError: the model is neither.
        """
        if self.projections is None:
            raise TypeError(f"{type(self).__name__} has no projections, since nothing wraps it")
        return self.projections

    # Public methods for a wrapping model.

    def ego_items(self) -> Tensor:
        """Return the free item vectors e_i, [n_items, d]."""
        return self.encoder.items

    def modal_items(self, items: Tensor) -> Tensor:
        """Return the projected features h_i^m of items, [n, modalities, d]."""
        return self.built_projections.project(items)

    def high_order(self) -> Tensor:
        """Return h_hat, the item vectors of the item graph, [n_items, d]."""
        raise NotImplementedError

    def layers(self, items: Tensor | None = None) -> list[Layer]:
        """Return the layers of the user-item graph, from given item inputs [n_items, d] or the free vectors.

        While training, over the graph of this epoch.
        """
        return self.encoder.layers(items, self.pruned if self.training else None)

    def propagated(self, some: Layer | None = None, items: Tensor | None = None) -> Layer:
        """Return what the user-item graph gives, the mean over :meth:`layers`.

        Args:
            some: users and items whose vectors are returned, long [m] and [n]; all of them if None.
            items: as in :meth:`layers`.
        """
        return self.encoder.vectors(some, items, self.pruned if self.training else None)

    def joined(self, high_order: Tensor, propagated: Tensor) -> Tensor:
        """Return item vectors h_i from h_hat_i and h_tilde_i, both [n, d]."""
        return high_order + propagated

    def scored(self, vectors: Tensor) -> Tensor:
        """Return what of user or item vectors [..., d] is scored: an affine map of them, here themselves."""
        return vectors

    def unscored_from(self, high_order: Tensor, items: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return :meth:`vectors_from` before :meth:`scored`."""
        # h_u and h_tilde_i, means over the layers of the user-item graph.
        users, propagated = self.propagated(items=items)
        return users, self.joined(high_order, propagated)

    def vectors_from(self, high_order: Tensor, items: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return user [n_users, d] and item vectors [n_items, d] from an h_hat and inputs of the graph."""
        users, found = self.unscored_from(high_order, items)
        return self.scored(users), self.scored(found)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]."""
        return self.vectors_from(self.high_order())

    def set_diffused_items(self, items: Tensor) -> None:
        """Receive the diffused item vectors [n_items, d], in each epoch before :meth:`begin_epoch`."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw or build what is new in each epoch, such as the graph."""

    def other_losses(
        self,
        u: Tensor,  # noqa: ARG002
        users: Tensor,  # noqa: ARG002
        items: Tensor,  # noqa: ARG002
        negatives: Tensor,  # noqa: ARG002
        modal: Tensor | None = None,  # noqa: ARG002
        v: Tensor | None = None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Return the weighted losses beside the pairwise one, by name, as ``other_loss_names`` has them.

        Args:
            u: user vectors of the batch, [batch, d].
            users: long [batch].
            items: long [batch], positives.
            negatives: long [batch], uniform negatives.
            modal: projected features of items and negatives, [2, batch, modalities, d], where already
                computed.
            v: item vectors of the positives, [batch, d]; as ``u`` before :meth:`scored`.
        """
        return {}

    # Training alone, without a wrapper.

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the pairwise loss and the others, each a scalar, in the order of ``loss_names``."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        # n_negatives for each pair, long [n_negatives * batch]: all first ones, then all second ones.
        drawn = uniform_negatives(self.positives, users.repeat(self.options.n_negatives))
        negatives = drawn.view(-1, len(users))  # [n_negatives, batch]
        # Vectors of the batch alone, each once: [m, d] and [n, d].
        some_users, of_user = torch.unique(users, return_inverse=True)
        some_items, of_item = torch.unique(torch.cat([items[None], negatives]), return_inverse=True)
        U, propagated = self.propagated((some_users, some_items))
        V = self.joined(self.high_order().index_select(0, some_items), propagated)
        u, v = U.index_select(0, of_user), V.index_select(0, of_item.flatten()).view(*of_item.shape, -1)
        scores = (u * v).sum(2)  # [1 + n_negatives, batch]
        # [batch] against [n_negatives, batch]: each negative with the positive of its pair.
        parts = {"bpr": losses.bpr(scores[0], scores[1:])}
        parts |= self.other_losses(u, users, items, negatives[0])
        return tuple(parts.values())

    def prune(self, ratio: float, weights: Tensor | None = None) -> None:
        """Keep a part of the interactions for this epoch, drawn by degree (FREEDOM, Eq. 9).

        The chance of an interaction falls with the degrees of its user and item: interactions are drawn in
        proportion to 1 / sqrt(d_u d_i), without replacement.

        Args:
            ratio: ratio of interactions that are kept.
            weights: of the interactions in the normalised graph, [interactions]; ones if None.
        """
        edges = self.interactions
        device = self.encoder.users.device
        # 1 / sqrt(d_u d_i) of each interaction, [interactions], in the order of the CSR matrix.
        chance = torch.from_numpy(scaled(edges, 0.5, 0.5).data).to(device)
        # The smallest values of Exp(1) / p are a draw in proportion to p without replacement.
        keys = torch.empty_like(chance).exponential_() / chance
        smallest = keys.topk(max(1, int(ratio * len(keys))), largest=False, sorted=False).indices
        # Ascending, so that the pruned matrix has its entries in this order and ``weights`` fit them.
        kept = smallest.sort().values.cpu().numpy()
        coo = edges.tocoo()
        matrix = type(coo)((coo.data[kept], (coo.row[kept], coo.col[kept])), shape=edges.shape).tocsr()
        if weights is not None:
            matrix.data = weights.cpu().numpy()[kept]
        # Normalised anew, by the degrees (or sums of weights) that are left.
        self.pruned = SparseMatrix(scaled(matrix, 0.5, 0.5)).to(device)


def modal_bpr(u: Tensor, modal: Tensor) -> Tensor:
    """Return the pairwise loss against projected features, summed over modalities (FREEDOM, Eq. 14).

    Args:
        u: [batch, d].
        modal: h^m of items and negatives, [2, batch, modalities, d].
    """
    positive, negative = (u[:, None] * modal).sum(3)  # each [batch, modalities]
    # BPR is a mean over [batch, modalities]; times the number of modalities, it is a sum over them.
    return positive.shape[1] * losses.bpr(positive, negative)


class FrozenGraphBackbone(Backbone):
    """LightGCN, and free item vectors propagated over a weighted sum of item graphs (FREEDOM, Eq. 1 to 6)."""

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset, wrapped)
        # Without this loss, the projections are trained by a wrapping model's diffusion.
        self.trains_projections = self.options.modal_weight > 0
        self.other_loss_names = ("modal",) if self.options.modal_weight > 0 else ()
        graphs = [mean_graph(dataset.neighbours(name)[0], self.n_items) for name in dataset.modalities]
        # One sparse [n_items, n_items] for all modalities: weighted and added before training.
        self.item_graph = SparseMatrix(fused(graphs, self.options.weights()))

    def high_order(self) -> Tensor:
        """Return h_hat: the free item vectors, propagated over the item graph, [n_items, d]."""
        items = self.encoder.items
        # h_hat = S^L e: the last layer, not the mean of all.
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
        v: Tensor | None = None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Return the pairwise loss against the projected features, if it has a weight (FREEDOM, Eq. 14)."""
        if self.options.modal_weight == 0:
            return {}
        if modal is None:
            # h^m of the positives and of the negatives, [2, batch, modalities, d].
            modal = self.built_projections.project(torch.stack([items, negatives]))
        return {"modal": self.options.modal_weight * modal_bpr(u, modal)}
