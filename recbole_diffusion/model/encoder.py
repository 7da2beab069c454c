"""Encoders of users and items for pairwise models: matrix factorisation, and LightGCN on a sparse graph.

An encoder has these methods, so that one can replace another in a model: ``vectors()`` gives the
vectors that score, ``layers()`` those of each layer, which samplers such as MixGCF mix and ``pooled(layers)``
joins to the same vectors, ``ego(users, items)`` the free vectors, ``penalty`` their L2 penalty, and
``of_batch`` the vectors of a batch.
"""

from typing import Any

import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data.graph import scaled
from recbole_diffusion.model.propagation import SparseMatrix, layers_of, mean_of_layers

Layer = tuple[Tensor, Tensor]  # user vectors [n_users, d], item vectors [n_items, d]


class Distinct:
    """The distinct ids of a tensor, and where each of its entries is among them.

    Attributes:
        ids: long [n], ascending.
        places: long, of the shape given.

    Args:
        ids: long of any shape.
        size: a number that is larger than any id, where there are many: they are counted then, not sorted.
    """

    def __init__(self, ids: Tensor, size: int | None = None) -> None:
        if size is None:
            self.ids, self.places = torch.unique(ids, return_inverse=True)
            return
        seen = torch.zeros(size, dtype=torch.bool, device=ids.device)
        seen[ids.flatten()] = True
        self.ids, self.places = seen.nonzero().squeeze(1), (seen.cumsum(0) - 1)[ids]


class FactorEncoder(nn.Module):
    """One free vector for each user and item: matrix factorisation.

    Args:
        n_users: number of user ids, the padding id 0 included.
        n_items: number of item ids, the padding id 0 included.
        embedding_size: d.
        init_std: standard deviation of the normal start, or None for Glorot's uniform rule.
    """

    def __init__(
        self, n_users: int, n_items: int, embedding_size: int, init_std: float | None = None
    ) -> None:
        super().__init__()
        # [n_users, d] and [n_items, d]; row 0 of both is the padding id.
        self.users, self.items = (
            nn.Parameter(torch.empty(rows, embedding_size)) for rows in (n_users, n_items)
        )
        for table in (self.users, self.items):
            nn.init.xavier_uniform_(table) if init_std is None else nn.init.normal_(table, std=init_std)
            nn.init.zeros_(table.data[0])  # padding

    def vectors(self, some: Layer | None = None) -> Layer:
        """Return the vectors whose inner products are scores, the mean over layers.

        Args:
            some: users and items whose vectors are returned, long [m] and [n], better each once; None: all.
        """
        return _rows(self.users, self.items, some)

    def layers(self) -> list[Layer]:
        """Return the vectors of each layer, the free ones first."""
        return [(self.users, self.items)]

    @staticmethod
    def pooled(layers: list[Layer]) -> Layer:
        """Return the mean over layers, the vectors whose inner products are scores."""
        # L + 1 tables of each kind.
        users, items = zip(*layers, strict=True)
        if len(layers) == 1:
            return users[0], items[0]
        # Sums, since a stack of the layers would copy all of them, in the forward and in the backward pass.
        return sum(users[1:], users[0]) / len(layers), sum(items[1:], items[0]) / len(layers)

    def ego(self, users: Tensor, items: Tensor) -> Layer:
        """Return the free vectors of some users and items, for the L2 penalty."""
        return F.embedding(users, self.users), F.embedding(items, self.items)

    def penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """Return half the squared length of the free vectors of some users and items, over the users' number.

        Args:
            users: long [batch].
            items: long [batch] or more, such as positives and negatives one after the other.
        """
        of_users, of_items = self.ego(users, items)
        return (of_users.square().sum() + of_items.square().sum()) / (2 * len(users))

    def of_batch(self, users: Tensor, items: Tensor, **propagation: Any) -> Layer:
        """Return the vectors of a batch with gradient; each distinct id is encoded once.

        Args:
            users: ids, long of any shape.
            items: ids, long of any shape, such as [batch] or [batch, N].
            propagation: what :meth:`vectors` takes beside the ids, such as ``graph``.

        Returns:
            [*users.shape, d] and [*items.shape, d].
        """
        U, V = Distinct(users), Distinct(items)
        u, v = self.vectors((U.ids, V.ids), **propagation)
        # Unlike u[U.places], with a gradient that threads cannot reorder.
        return F.embedding(U.places, u), F.embedding(V.places, v)


class LightGCNEncoder(FactorEncoder):
    """LightGCN (He et al., SIGIR 2020): layer l + 1 is the normalised adjacency times layer l.

    The mean over layers scores. With R_norm = D_U^-1/2 R D_I^-1/2 the adjacency is [[0, R_norm],
    [R_norm^T, 0]]: users of a layer come from items of the one before and the other way round, so that only
    R_norm and its transpose are stored.

    Args:
        interactions: R, scipy CSR [n_users, n_items], binary.
        embedding_size: d.
        n_layers: propagation layers; 0 is matrix factorisation.
        init_std: as in :class:`FactorEncoder`.
    """

    def __init__(
        self, interactions: sp.csr_matrix, embedding_size: int, n_layers: int, init_std: float | None = None
    ) -> None:
        n_users, n_items = interactions.shape
        super().__init__(n_users, n_items, embedding_size, init_std)
        self.n_layers = n_layers
        # R_norm, [n_users, n_items], half of the square adjacency.
        self.graph = SparseMatrix(scaled(interactions, 0.5, 0.5))

    def vectors(
        self, some: Layer | None = None, items: Tensor | None = None, graph: SparseMatrix | None = None
    ) -> Layer:
        """Return the mean over layers, as ``pooled(layers(...))`` does, at less than half its cost.

        Args:
            some: users and items whose vectors are returned, long [m] and [n], better each once; None: all.
            items: as in :meth:`layers`.
            graph: as in :meth:`layers`.
        """
        items = self.items if items is None else items
        if self.n_layers == 0:
            return _rows(self.users, items, some)
        graph = self.graph if graph is None else graph
        return mean_of_layers(graph, self.n_layers, self.users, items, some)

    def layers(self, items: Tensor | None = None, graph: SparseMatrix | None = None) -> list[Layer]:
        """Return the vectors of each layer, the input first: n_layers + 1 of them.

        Args:
            items: item vectors to start from, [n_items, d]; the free ones if None.
            graph: normalised interactions to propagate over; all of them if None.
        """
        items = self.items if items is None else items
        return layers_of(self.graph if graph is None else graph, self.n_layers, self.users, items)


def _rows(users: Tensor, items: Tensor, some: Layer | None) -> Layer:
    """Return the rows of two tables that are asked for, or both tables."""
    return (users, items) if some is None else (F.embedding(some[0], users), F.embedding(some[1], items))
