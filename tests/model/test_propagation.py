"""LightGCN's propagation: values and gradients against the square adjacency, in float64."""

import pytest
import torch
from model.test_layers import random_sparse

from recbole_diffusion.model.propagation import SparseMatrix, mean_of_layers


@pytest.mark.parametrize("n_layers", [0, 1, 2, 5])
def test_the_mean_of_layers_equals_powers_of_the_adjacency_with_gradient(n_layers):
    matrix = random_sparse(7, 5)
    graph = SparseMatrix(matrix)
    generator = torch.Generator().manual_seed(1)
    users, items = (
        torch.randn(rows, 3, dtype=torch.float64, generator=generator, requires_grad=True) for rows in (7, 5)
    )
    adjacency = torch.zeros(12, 12, dtype=torch.float64)
    adjacency[:7, 7:] = torch.from_numpy(matrix.toarray())
    adjacency[7:, :7] = adjacency[:7, 7:].T.clone()
    power = sum(torch.linalg.matrix_power(adjacency, layer) for layer in range(n_layers + 1)) / (n_layers + 1)
    found = torch.cat(mean_of_layers(graph, n_layers, users, items))
    assert torch.allclose(found, power @ torch.cat([users, items]))
    assert torch.autograd.gradcheck(lambda *sides: mean_of_layers(graph, n_layers, *sides), (users, items))


def test_a_loss_of_users_alone_moves_the_items(torch_device):
    graph = SparseMatrix(random_sparse(7, 5)).to(torch_device)
    users, items = (torch.randn(rows, 3, dtype=torch.float64, device=torch_device) for rows in (7, 5))
    items.requires_grad_()
    of_users, _ = mean_of_layers(graph, 1, users, items)
    of_users.sum().backward()
    expected = graph.transposed.to_dense().sum(1, keepdim=True).expand(5, 3) / 2
    assert torch.allclose(items.grad, expected)
