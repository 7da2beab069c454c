"""Sparse products, Gram matrix and pair scores: values and gradients against dense autograd, in float64."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recbole_diffusion.model import layers


def random_sparse(rows: int, columns: int, seed: int = 0) -> sp.csr_matrix:
    generator = np.random.default_rng(seed)
    return sp.csr_matrix(
        generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < 0.3)
    )


def test_sparse_matrix_equals_dense_with_gradient():
    matrix = random_sparse(7, 5)
    dense = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    product = layers.SparseMatrix(matrix)
    assert torch.allclose(product(dense), torch.from_numpy(matrix.toarray()) @ dense)
    assert torch.autograd.gradcheck(product, (dense,))
    assert product.state_dict() == {}


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
