"""The contract of every model, for models of cold users: on two domains of one taste whose answer is known."""

from typing import Any

import pytest
import torch
from contract import ModelContract
from source_histories import check_new_users

# Few ratings with a clear answer: little penalty, few epochs.
FAST = {
    "embedding_size": 4,
    "factor_epochs": 25,
    "factor_batch_size": 256,
    "factor_learning_rate": 0.03,
    "factor_reg_weight": 0.01,
    "factor_bias_reg_weight": 1.0,
    "metrics": ["Recall", "NDCG"],
    "topk": [5, 10],
    "report_groups": 0,
    "least_updates": 0,
    "patience_updates": 0,
}


class ColdContract(ModelContract):
    """Inherit, set ``model`` and ``options``; ``frozen`` are the parts of the model that the last stage leaves alone."""

    options: dict[str, Any] = FAST
    frozen = ("source.", "target.")

    @pytest.fixture
    def checkerboard(self, two_domains):
        """The contract's data set."""
        return two_domains

    def test_new_users_are_transferred_as_cold_ones(self, checkerboard):
        check_new_users(self.build(checkerboard))

    def test_every_parameter_gets_a_gradient_and_moves(self, checkerboard, tmp_path):
        built = self.build(checkerboard)
        before = {name: value.detach().clone() for name, value in built.model.named_parameters()}
        built.model.train()
        built.loss().backward()
        own = {name: value for name, value in built.model.named_parameters() if not name.startswith(self.frozen)}
        assert own
        assert [name for name, value in own.items() if value.grad is None or not value.grad.abs().sum() > 0] == []
        assert [name for name, value in built.model.named_parameters() if name not in own and value.grad is not None] == []
        trained, _, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1)
        assert [name for name, value in trained.model.named_parameters() if torch.equal(value, before[name])] == []
