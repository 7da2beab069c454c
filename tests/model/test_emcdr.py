"""EMCDR: the contract, and the mapping against least squares."""

import torch
from cold_contract import FAST, ColdContract


class TestEMCDR(ColdContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64}
    epochs = 60

    def test_the_linear_mapping_has_its_minimum_at_least_squares(self, checkerboard):
        model = self.build(checkerboard).model
        users = model.shared
        exact = torch.linalg.lstsq(model.source_vectors(users), model.target_vectors(users)).solution.T
        before = model.mapping_loss(users).item()
        with torch.no_grad():
            model.mapping.weight.copy_(exact)
        loss = model.mapping_loss(users)
        loss.backward()
        assert loss.item() < before
        assert model.mapping.weight.grad.abs().max() < 1e-6


class TestPerceptron(ColdContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64, "mapping": "perceptron"}
    epochs = 60
