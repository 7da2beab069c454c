"""MMGCN: a graph network for each modality on the user-item graph, joined by vectors of ids.

Reference:
    Wei, Wang, Nie, He, Hong, Chua: "MMGCN: Multi-modal Graph Convolution Network for Personalized
    Recommendation of Micro-video". ACM MM 2019.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.features import Modality
from recbole_diffusion.data.graph import binary_interactions, scaled
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.multimodal.options import MMGCNOptions
from recbole_diffusion.model.multimodal.projections import Projection
from recbole_diffusion.model.propagation import SparseMatrix
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

Pair = tuple[Tensor, Tensor]  # of users [n_users, width] and of items [n_items, width]


class MeanGraph(nn.Module):
    """Means over neighbours, both ways: the rows of the square adjacency sum to one, or are empty."""

    def __init__(self, interactions: Any) -> None:
        super().__init__()
        # Two matrices, since the means of users and of items are by different degrees.
        self.of_users = SparseMatrix(scaled(interactions, 1, 0))
        self.of_items = SparseMatrix(scaled(interactions, 0, 1))

    def users(self, items: Tensor) -> Tensor:
        """Return the mean of each user's items, [n_users, width]."""
        return self.of_users(items)

    def items(self, users: Tensor) -> Tensor:
        """Return the mean of each item's users, [n_items, width]."""
        return self.of_items.back(users)


class ModalityNetwork(nn.Module):
    """The layers of one modality.

    Features that enter as they are have one mean over each user's items for the whole training.

    Args:
        modality: the features.
        graph: means over neighbours.
        n_users: number of user ids.
        o: the model's options.
    """

    features: Tensor | None
    means: Tensor | None

    def __init__(self, modality: Modality, graph: MeanGraph, n_users: int, o: MMGCNOptions) -> None:
        super().__init__()
        self.joined, size = o.combination == "joined", o.embedding_size
        self.projection, width, features = None, modality.width, None
        if modality.width > 2 * o.projection_size:
            self.projection, width = Projection(modality, o.projection_size), o.projection_size
        else:
            rows = F.pad(modality.take(torch.arange(1, len(modality.rows) + 1)), (0, 0, 1, 0))
            features = F.normalize(rows, dim=1)  # f_i at length 1, zeros for the padding, [n_items, width]
        self.register_buffer("features", features, persistent=False)
        means = None if features is None else graph.users(features)
        self.register_buffer("means", means, persistent=False)
        tastes = nn.init.xavier_normal_(torch.empty(n_users, width))
        tastes[0] = 0.0
        self.tastes = nn.Parameter(tastes, requires_grad=o.train_ids)
        widths = [width, *[size] * (o.n_layers - 1)]
        # W, S and G of each layer.
        self.conv = nn.ModuleList(
            nn.Linear(n, width if k == 0 else size, False) for k, n in enumerate(widths)
        )
        self.own = nn.ModuleList(nn.Linear(n, size) for n in widths)
        self.out = nn.ModuleList(nn.Linear(n + size * self.joined, size) for n in widths)
        for layer in (*self.conv, *self.own, *self.out):
            nn.init.xavier_normal_(layer.weight)

    def forward(self, graph: MeanGraph, ids: Pair, some: Pair | None = None) -> Pair:
        """Return user and item vectors of the modality, from the vectors of ids, each [n, d].

        Args:
            graph: means over neighbours.
            ids: of all users and items, [n_users, d] and [n_items, d].
            some: users and items whose vectors are returned, long [m] and [n]; all of them if None.
        """
        if self.features is None:
            assert self.projection is not None  # one of the two is there
            every = torch.arange(len(ids[1]), device=ids[1].device)
            items = F.normalize(self.projection(every), dim=1)
        else:
            items = self.features
        x: Pair = F.normalize(self.tastes, dim=1), items
        for layer, (conv, own, out) in enumerate(zip(self.conv, self.own, self.out, strict=True)):
            # A (X W) = (A X) W, and of fixed features A X is known.
            of_users = self.means if layer == 0 and self.means is not None else graph.users(x[1])
            around = of_users, graph.items(x[0])
            if layer == len(self.conv) - 1 and some is not None:  # the last layer's products are of these
                around, x, ids = (_chosen(pair, some) for pair in (around, x, ids))
            h = [F.leaky_relu(conv(one)) for one in around]  # of neighbours, [n, width] or [n, d]
            y = [F.leaky_relu(own(one)) + free for one, free in zip(x, ids, strict=True)]  # own, [n, d]
            x = self._combined(out, h[0], y[0]), self._combined(out, h[1], y[1])
        return x

    def _combined(self, out: nn.Module, h: Tensor, y: Tensor) -> Tensor:
        """Return what a layer gives, from the parts of the neighbours and of its own, [n, d]."""
        return F.leaky_relu(out(torch.cat([h, y], 1)) if self.joined else out(h) + y)


def _chosen(pair: Pair, some: Pair) -> Pair:
    return pair[0].index_select(0, some[0]), pair[1].index_select(0, some[1])


class MMGCN(WholeGraphModel):
    """The mean over modalities of what their networks give; inner products score.

    Differences from the paper and the released codes:
        * Vectors of ids and tastes are trained, as in the paper; both codes leave them out of the optimizer
          (``train_ids: False``).
        * The penalty is on the ids of a batch and on the tastes of all modalities, theirs on the image's.
        * MMRec scores with the vectors of the last training step; here they are computed anew.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "multimodal"
    loss_names = ("bpr", "penalty")

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: MMGCNOptions = config.options
        o, interactions = self.options, binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(interactions)
        self.graph = MeanGraph(interactions)
        ids = nn.init.xavier_normal_(torch.empty(self.n_users + self.n_items, o.embedding_size))
        ids[0] = ids[self.n_users] = 0.0  # padding
        self.ids = nn.Parameter(ids, requires_grad=o.train_ids)
        self.networks = nn.ModuleList(
            ModalityNetwork(one, self.graph, self.n_users, o) for one in dataset.modalities.values()
        )
        self._forget()

    def vectors(self, some: Pair | None = None) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d], or of some, long [m] and [n]."""
        ids = self.ids.split([self.n_users, self.n_items])
        users, items = zip(*(network(self.graph, ids, some) for network in self.networks), strict=True)
        return torch.stack(users).mean(0), torch.stack(items).mean(0)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the pairwise loss and the penalty, each a scalar."""
        o = self.options
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        drawn = uniform_negatives(self.positives, users.repeat(o.n_negatives)).view(-1, len(users))
        ids = torch.cat([items[None], drawn])  # [1 + n_negatives, batch]
        some_users, of_user = torch.unique(users, return_inverse=True)
        some_items, of_item = torch.unique(ids, return_inverse=True)
        U, V = self.vectors((some_users, some_items))
        v = V.index_select(0, of_item.flatten()).view(*ids.shape, -1)
        scores = (U.index_select(0, of_user) * v).sum(2)  # [1 + n_negatives, batch]
        squares = self.ids.index_select(0, users).square().mean()
        squares = squares + self.ids.index_select(0, ids.flatten() + self.n_users).square().mean()
        tastes = [one.tastes for one in self.networks if isinstance(one, ModalityNetwork)]
        squares = squares + torch.stack([table.square().mean() for table in tastes]).sum()
        return losses.bpr(scores[0], scores[1:]), o.reg_weight * squares
