"""LACDR: two autoencoders whose codes are aligned."""

import torch

from recbole_diffusion.testing import FAST, ColdUserContract


class TestLACDR(ColdUserContract):
    model = "LACDR"
    options = {**FAST, "learning_rate": 0.01, "train_batch_size": 16, "code_size": 3}

    def test_the_loss_is_the_sum_of_its_parts_in_float64(self, checkerboard, monkeypatch):
        model = self.build(checkerboard, align_weight=0.3, rebuild_weight=0.7).model.double().train()
        users = model.shared[:6]
        drawn = {"source": model.source_users[3:5], "target": model.target_users[1:3]}
        monkeypatch.setattr(
            model, "others", lambda name, count: getattr(model, name).user_vectors(drawn[name]).detach()
        )
        s, t = model.source.user_vectors(model.source_of[users]), model.target.user_vectors(users)

        def through(network, x):
            return (
                torch.tanh(x @ network[0].weight.T + network[0].bias) @ network[2].weight.T + network[2].bias
            )

        codes = {
            "source": through(model.encoders["source"], s),
            "target": through(model.encoders["target"], t),
        }
        expected = (through(model.decoders["target"], codes["source"]) - t).pow(2).mean()
        expected = expected + 0.3 * (codes["source"] - codes["target"]).pow(2).mean()
        for name, own in (("source", s), ("target", t)):
            known = torch.cat([own, getattr(model, name).user_vectors(drawn[name])])
            rebuilt = through(model.decoders[name], through(model.encoders[name], known))
            expected = expected + 0.7 * (rebuilt - known).pow(2).mean()
        assert torch.allclose(model.alignment_loss(users), expected, rtol=1e-10)

    def test_rebuilt_users_are_those_with_ratings(self, checkerboard):
        model = self.build(checkerboard).model
        assert set(model.target_users.tolist()) == set(model.ratings.users.tolist())
        assert set(model.source_users.tolist()) == set(range(1, 61))

    def test_weight_decay_is_for_the_mapping_alone_since_factors_are_shared(self, checkerboard, tmp_path):
        _, trainer, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1, weight_decay=0.1)
        found = []
        for number in range(3):
            trainer._set(number, 0)
            found.append(trainer.step_optimizers[0].param_groups[0]["weight_decay"])
        assert found == [0.0, 0.0, 0.1]
