"""Layers: sparse products, propagation, table rows, Gram matrix, against dense autograd in float64; EMA."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from recbole_diffusion.model import layers, propagation
from recbole_diffusion.model.ema import EMA
from recbole_diffusion.model.propagation import SparseMatrix, mean_of_layers
from recbole_diffusion.model.table_rows import gather_rows, margins


def random_sparse(rows: int, columns: int, seed: int = 0) -> sp.csr_matrix:
    generator = np.random.default_rng(seed)
    return sp.csr_matrix(
        generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < 0.3)
    )


def test_sparse_matrix_equals_dense_with_gradient():
    matrix = random_sparse(7, 5)
    dense = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    product = propagation.SparseMatrix(matrix)
    assert torch.allclose(product(dense), torch.from_numpy(matrix.toarray()) @ dense)
    assert torch.autograd.gradcheck(product, (dense,))
    assert product.state_dict() == {}


def mean_by_adjacency(matrix: sp.csr_matrix, n_layers: int, users: torch.Tensor, items: torch.Tensor) -> list:
    """LightGCN as its paper writes it: powers of the whole adjacency, [users + items, users + items]."""
    block = torch.from_numpy(sp.bmat([[None, matrix], [matrix.T, None]]).toarray())
    layers_ = [torch.cat([users, items])]
    for _ in range(n_layers):
        layers_.append(block @ layers_[-1])
    return list(torch.stack(layers_).mean(0).split([len(users), len(items)]))


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("few", [0, 8])  # rows spread by entry whenever possible, or by a whole product
def test_mean_of_layers_equals_powers_of_the_adjacency_with_gradient(n_layers, few, monkeypatch):
    monkeypatch.setattr(propagation._MeanOfLayers, "few_entries", few)
    matrix = random_sparse(6, 9)
    matrix[2] = 0  # a user without interactions
    graph = propagation.SparseMatrix(sp.csr_matrix(matrix))
    inputs = [torch.randn(rows, 3, dtype=torch.float64, requires_grad=True) for rows in (6, 9)]
    plain = mean_by_adjacency(matrix, n_layers, *inputs)
    some = torch.tensor([5, 2, 0]), torch.tensor([8, 1, 1])  # an order of their own, one of them twice
    for asked, expected in (
        (None, plain),
        (some, [table[ids] for table, ids in zip(plain, some, strict=True)]),
    ):
        found = propagation.mean_of_layers(graph, n_layers, *inputs, asked)
        weights = [torch.randn_like(one) for one in found]
        for mine, theirs in zip(found, expected, strict=True):
            assert torch.allclose(mine, theirs)
        gradients = [
            torch.autograd.grad(
                sum((one * weight).sum() for one, weight in zip(side, weights, strict=True)),
                inputs,
                retain_graph=True,
            )
            for side in (found, expected)
        ]
        for mine, theirs in zip(*gradients, strict=True):
            assert torch.allclose(mine, theirs)


def test_rows_of_a_sparse_matrix_and_their_transpose_equal_dense_ones():
    matrix, some = random_sparse(7, 5), torch.tensor([6, 0, 3])
    rows = propagation.SparseMatrix(matrix).forth_rows.chosen(some)
    dense = torch.from_numpy(matrix.toarray())[some]
    assert torch.equal(rows.csr().to_dense(), dense)
    right = torch.randn(3, 4, dtype=torch.float64)
    assert torch.allclose(rows.back_times(right), dense.T @ right)
    assert torch.allclose(rows.times(torch.eye(5, dtype=torch.float64)), dense)


@pytest.mark.parametrize("width", [256, 261])
def test_gram_of_a_wide_matrix_by_its_upper_half_equals_dense(width):
    rows = torch.randn(40, width, dtype=torch.float64, requires_grad=True)
    found = layers.gram(rows)
    assert torch.allclose(found, rows.T @ rows)
    weights = torch.randn(width, width, dtype=torch.float64)  # no symmetric gradient
    (gradient,) = torch.autograd.grad((found * weights).sum(), rows, retain_graph=True)
    (plain,) = torch.autograd.grad((rows.T @ rows * weights).sum(), rows)
    assert torch.allclose(gradient, plain)


def test_gram_equals_dense_with_gradient():
    rows = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(layers.gram(rows), rows.T @ rows)
    assert torch.autograd.gradcheck(layers.gram, (rows,))


@pytest.mark.parametrize(
    "block", [3, 2**24]
)  # several blocks and the sparse backward, or one block and the dense one
@pytest.mark.parametrize("ratio", [0, 50])
def test_pair_scores_equal_dense_with_gradient(block, ratio, monkeypatch):
    monkeypatch.setattr(layers._PairScores, "block_numbers", block)
    monkeypatch.setattr(layers._PairScores, "dense_ratio", ratio)
    torch.manual_seed(0)
    left = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    right = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    i, j = torch.randint(0, 4, (11,)), torch.randint(0, 6, (11,))  # pairs repeat
    weight = torch.randn(11, dtype=torch.float64)
    found = layers.pair_scores(left, right, i, j)
    plain = (left @ right.T)[i, j]
    assert torch.allclose(found, plain)
    for mine, theirs in zip(
        torch.autograd.grad((found * weight).sum(), (left, right)),
        torch.autograd.grad((plain * weight).sum(), (left, right)),
        strict=True,
    ):
        assert torch.allclose(mine, theirs)


def test_pair_scores_of_no_pairs():
    empty = torch.empty(0, dtype=torch.long)
    assert layers.pair_scores(torch.randn(2, 3), torch.randn(2, 3), empty, empty).shape == (0,)


def test_the_average_follows_with_a_growing_memory():
    module = nn.Linear(1, 1, bias=False)
    average = EMA(module, 0.5)
    expected = module.weight.item()
    for n, value in enumerate((2.0, -1.0, 5.0, 7.0), 1):
        nn.init.constant_(module.weight, value)
        average.update(module)
        decay = min(0.5, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
        assert (
            average.copy.weight.item() == torch.tensor(expected).item()
            or abs(average.copy.weight.item() - expected) < 1e-6
        )
    assert not average.copy.weight.requires_grad


def test_without_decay_it_is_the_module_itself():
    module = nn.Linear(2, 2)
    average = EMA(module, 0.0)
    nn.init.constant_(module.weight, 3.0)
    average.update(module)
    assert torch.equal(average.copy.weight, module.weight)


@pytest.fixture
def triples():
    torch.manual_seed(0)
    left = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    right = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    return left, right, torch.randint(0, 4, (11,)), *torch.randint(0, 6, (2, 11))  # rows repeat


def test_margins_are_differences_of_scores_with_gradient(triples, torch_device):
    left, right, i, p, n = (one.detach().to(torch_device) for one in triples)
    left.requires_grad_()
    right.requires_grad_()
    plain = (left[i] * right[p]).sum(1) - (left[i] * right[n]).sum(1)
    assert torch.allclose(margins(left, right, i, p, n), plain)
    assert torch.autograd.gradcheck(lambda u, v: margins(u, v, i, p, n), (left, right))


def test_gathered_rows_have_the_gradient_of_an_index(triples, torch_device):
    table, numbers = triples[1].detach().to(torch_device).requires_grad_(), triples[3].to(torch_device)
    assert torch.equal(gather_rows(table, numbers), table[numbers])
    assert torch.autograd.gradcheck(lambda v: gather_rows(v, numbers), (table,))


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


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_log_sum_exp_by_blocks_equals_that_of_the_whole_product(monkeypatch, rows):
    """A last block of fewer rows, and no rows at all, included; products whose exponentials overflow, too."""
    monkeypatch.setattr(layers._LogSumExp, "block_cells", 15)
    monkeypatch.setattr(layers._LogSumExp, "fewest_rows", 3)
    left, right = (torch.randn(n, 4, dtype=torch.float64, requires_grad=True) for n in (rows, 5))
    found, plain = layers.log_sum_exp(left, right), (left @ right.T).logsumexp(1)
    torch.testing.assert_close(found, plain)
    assert torch.autograd.gradcheck(layers.log_sum_exp, (left, right))
    weights = torch.randn(rows, dtype=torch.float64)
    pairs = []
    for one in (layers.log_sum_exp, lambda x, y: (x @ y.T).logsumexp(1)):
        far = (one(left * 1000, right) * weights).sum()  # exp(1000) is no number
        pairs.append(torch.autograd.grad(far, (left, right)))
    torch.testing.assert_close(*pairs)
