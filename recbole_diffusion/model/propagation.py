"""LightGCN's propagation as one linear operator, whose backward pass is the operator itself."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_diffusion.model.layers import SparseMatrix

Sides = tuple[Tensor, Tensor]  # of users [n_users, d] and of items [n_items, d]


def _mean(graph: SparseMatrix, n_layers: int, users: Tensor, items: Tensor) -> Sides:
    """Return the mean over l = 0 .. n_layers of A^l x by Horner's rule: x + A (x + A (x + ...)).

    A is [[0, R], [R^T, 0]]: the users of a layer come from the items of the one before, and the other way
    round.
    """
    of_users, of_items = users, items
    for _ in range(n_layers):
        of_users, of_items = (
            torch.addmm(users, graph.matrix, of_items),  # [n_users, d]
            torch.addmm(items, graph.transposed, of_users),  # [n_items, d]
        )
    return of_users / (n_layers + 1), of_items / (n_layers + 1)


class _MeanOfLayers(torch.autograd.Function):
    """The mean over layers. A is symmetric, and so is the operator: gradients go through the same one."""

    @staticmethod
    def forward(ctx: Any, graph: SparseMatrix, n_layers: int, users: Tensor, items: Tensor) -> Sides:
        ctx.graph, ctx.n_layers = graph, n_layers
        with torch.autocast(users.device.type, enabled=False):  # sparse products are of float32 alone
            return _mean(graph, n_layers, users, items)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_users: Tensor, of_items: Tensor) -> tuple[None, None, Tensor, Tensor]:
        return None, None, *_mean(ctx.graph, ctx.n_layers, of_users, of_items)


def mean_of_layers(graph: SparseMatrix, n_layers: int, users: Tensor, items: Tensor) -> Sides:
    """Return the vectors of LightGCN (He et al., SIGIR 2020, Eq. 4 to 8 with alpha_k = 1 / (K + 1)).

    Autograd would keep every layer and sum its gradients; here nothing is kept.

    Args:
        graph: R, the interactions normalised by both degrees, [n_users, n_items].
        n_layers: K; with 0 the vectors are the free ones.
        users: free vectors, [n_users, d].
        items: the same of items, [n_items, d].

    Returns:
        Vectors of users and items; to be differentiated once.
    """
    return _MeanOfLayers.apply(graph, n_layers, users, items)
