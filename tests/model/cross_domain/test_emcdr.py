"""EMCDR: the contract, and the mapping against least squares."""

import pytest
import torch
from support.small import options_of

from recbole_diffusion.errors import UsageError
from recbole_diffusion.testing import FAST, ColdUserContract


class TestEMCDR(ColdUserContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64}
    epochs = 60

    def test_the_linear_mapping_has_its_minimum_at_least_squares(self, checkerboard):
        model = self.build(checkerboard).model
        users = model.shared
        exact = torch.linalg.lstsq(
            model.source_vectors(users), model.target_vectors(users), driver="gelsd"
        ).solution.T
        before = model.mapping_loss(users).item()
        with torch.no_grad():
            model.mapping.weight.copy_(exact)
        loss = model.mapping_loss(users)
        loss.backward()
        assert loss.item() < before
        assert model.mapping.weight.grad.abs().max() < 1e-6


class TestPerceptron(ColdUserContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64, "mapping": "perceptron"}
    epochs = 60


class TestCalibrated(ColdUserContract):
    model = "EMCDR"
    options = {
        **FAST,
        "learning_rate": 0.03,
        "train_batch_size": 64,
        "task_absolute": 0.5,
        "item_offset_reg_weight": 3.0,
    }
    epochs = 60

    def test_the_calibration_loss_is_the_plain_one_and_leaves_the_mapping_alone(self, checkerboard):
        model = self.build(checkerboard).model.double()
        for values in model.calibration.parameters():
            torch.nn.init.normal_(values)
        users = model.shared[:4]
        rows = torch.isin(model.ratings.users, users)
        who, items, actual = (
            column[rows] for column in (model.ratings.users, model.ratings.items, model.ratings.ratings)
        )
        mapped = model.source_vectors(users) @ model.mapping.weight.T
        vectors = (mapped * model.calibration.factor + model.calibration.constant)[
            torch.searchsorted(users, who)
        ]
        bias = model.target.mean + model.target.item_bias[items] + model.calibration.item_offset[items]
        v = torch.cat([model.target.items[items], torch.ones(len(items), 1)], 1)
        error = (vectors * v).sum(1) + bias - actual
        held = (
            3.0
            * model.calibration.item_offset.square().sum()
            / torch.isin(model.ratings.users, model.shared).sum()
        )
        loss = model.calibration_loss(users)
        assert torch.allclose(loss, 0.5 * error.square().mean() + 0.5 * error.abs().mean() + held)
        loss.backward()
        assert model.mapping.weight.grad is None
        scores = model.eval().full_sort_predict({model.USER_ID: model.is_cold.nonzero().flatten()[1:3]})
        plain = model.calibration(model.transfer(model.is_cold.nonzero().flatten()[1:3]))
        assert torch.allclose(scores, plain @ model.target.item_vectors().T + model.item_side()[1])


def test_a_shift_without_calibration_is_refused():
    from recbole_diffusion.model.cross_domain.options import EMCDROptions

    blocks = {"source_domain": {"dataset": "a"}, "target_domain": {"dataset": "b"}}
    with pytest.raises(UsageError, match="give task_absolute too"):
        options_of(EMCDROptions, "EMCDR", **blocks, item_offset_reg_weight=3.0)


def test_the_calibrated_offsets_of_items_are_in_the_scores(two_domains):
    built = TestCalibrated().build(two_domains, item_offset_reg_weight=16.0)
    model = built.model.eval()
    users = {model.USER_ID: built.dataset.test_users[:3]}
    before = model.full_sort_predict(users).view(3, -1)
    offsets = torch.linspace(-1, 1, model.n_items)
    with torch.no_grad():
        model.calibration.item_offset.copy_(offsets)
    after = model.train().eval().full_sort_predict(users).view(3, -1)
    assert torch.allclose(after - before, offsets.expand(3, -1), atol=1e-5)
