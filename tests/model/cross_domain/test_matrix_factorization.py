"""Folding users into trained factors, and the error that stops their training."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain import matrix_factorization as module
from recbole_diffusion.model.cross_domain.matrix_factorization import (
    MatrixFactorization,
    MatrixShape,
    factorization_stage,
)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_a_folded_user_is_where_the_training_loss_has_no_slope(bias, weight, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)  # several blocks
    options = SimpleNamespace(
        embedding_size=3, bias=bias, mf_std=1.0, mf_reg_weight=0.2, mf_bias_reg_weight=2.0
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


def test_the_error_is_the_mean_square_over_the_ratings_that_are_held_out():
    users, items = torch.cartesian_prod(torch.arange(1, 4), torch.arange(1, 9)).T
    ratings = Ratings(users, items, torch.arange(24.0) % 5 + 1)
    options = SimpleNamespace(
        embedding_size=3, bias=True, mf_std=1.0, mf_reg_weight=0.2, mf_bias_reg_weight=2.0, mf_epochs=1,
        mf_learning_rate=0.1, mf_batch_size=8, mf_stopping_step=1, mf_valid_ratio=0.25,
        __dataclass_fields__={},
    )  # fmt: skip
    factors = MatrixFactorization(MatrixShape(4, 9), options, 3.2, 0)
    stage = factorization_stage("source", factors, ratings, options, 0)
    held_out = torch.from_numpy(np.setdiff1d(np.arange(24), stage.rows))
    assert len(held_out) == 6
    wrong = factors(users[held_out], items[held_out]).detach() - ratings.ratings[held_out]
    assert stage.error() == pytest.approx(float((wrong**2).sum()) / 6)
