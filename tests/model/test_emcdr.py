"""EMCDR: the contract, and the mapping against least squares."""

import torch
from cold_contract import FAST, ColdContract


class TestEMCDR(ColdContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64}
    epochs = 60

    def test_the_linear_mapping_goes_to_least_squares(self, checkerboard, tmp_path):
        built, trainer, _ = self.trained(checkerboard, tmp_path, epochs=400, stopping_step=400)
        model, users = built.model, built.model.shared
        x, y = model.source_vectors(users), model.target_vectors(users)
        exact = torch.linalg.lstsq(x.double(), y.double()).solution.T
        last = torch.load(trainer.folder.checkpoint, weights_only=True)["state_dict"]["mapping.weight"]
        gap = [(x @ weight.float().T - y).square().mean().item() for weight in (last, exact)]
        assert gap[0] < gap[1] * 1.02 + 1e-5


class TestPerceptron(ColdContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64, "mapping": "perceptron"}
    epochs = 60
