"""Folding users into trained factors."""

from types import SimpleNamespace

import pytest
import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain import matrix_factorization as module
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization, MatrixShape


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_a_folded_user_is_where_the_training_loss_has_no_slope(bias, weight, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)  # several blocks
    options = SimpleNamespace(
        embedding_size=3, bias=bias, factor_std=1.0, factor_reg_weight=0.2, factor_bias_reg_weight=2.0
    )
    factors = MatrixFactorization(MatrixShape(4, 9), options, 3.2, 0).double()
    items, ratings = (
        torch.tensor([2, 5, 6, 1, 3, 4, 7, 8]),
        torch.tensor([1.0, 4, 5, 3, 2, 2, 5, 4], dtype=torch.double),
    )
    histories = FoldInHistories(items, torch.tensor([0, 3]), torch.tensor([0, 0, 0, 1, 1, 1, 1, 1]), ratings)
    users = histories.rows + 1
    with torch.no_grad():
        if bias:
            factors.item_bias.normal_()
        found = factors.fold_in(histories, weight)
        factors.users[1:3] = found[:, :3]
        if bias:
            factors.user_bias[1:3] = found[:, 3]
    factors.count(Ratings(users, items, ratings))
    factors.loss(users, items, ratings, torch.full((8,), weight, dtype=torch.double)).backward()
    assert factors.users.grad[1:3].abs().max() < 1e-12
    assert factors.items.grad.abs().max() > 0.01  # items are where they were
    if bias:
        assert factors.user_bias.grad[1:3].abs().max() < 1e-12
