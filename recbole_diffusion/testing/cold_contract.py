"""The contract for models of cold users: on two domains of one taste, whose answer is known."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from recbole_diffusion.testing.built import StagedBuilt
from recbole_diffusion.testing.contract import ModelContract
from recbole_diffusion.testing.data_set import DataSet
from recbole_diffusion.testing.histories import histories_of
from recbole_diffusion.testing.two_domains import make_two_domains, read_ratings, write_ratings
from recbole_diffusion.trainer import checkpoint

# Few ratings with a clear answer: little penalty, few epochs.
FAST = {
    "embedding_size": 4,
    "mf_epochs": 25,
    "mf_batch_size": 256,
    "mf_learning_rate": 0.03,
    "mf_reg_weight": 0.01,
    "mf_bias_reg_weight": 1.0,
    "metrics": ["Recall", "NDCG"],
    "topk": [5, 10],
    "report_groups": 0,
    "min_updates": 0,
    "patience_in_updates": 0,
}


class ColdUserContract(ModelContract):
    """As ``ModelContract``; ``transfers`` is False where a cold user cannot be known."""

    options: ClassVar[dict[str, Any]] = FAST
    transfers = True
    found_share = 0.9

    @pytest.fixture
    def checkerboard(self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
        """The contract's data set; factors of the same data and options are trained once for all models."""
        data = make_two_domains(tmp_path)
        data.overrides["stage_cache"] = str(tmp_path_factory.getbasetemp() / "stages")
        return data

    def build(self, checkerboard: DataSet, **more: Any) -> StagedBuilt:
        """Return a model on the two domains."""
        return StagedBuilt(self.model, checkerboard.name, {**checkerboard.overrides, **self.options, **more})

    def judged(self) -> dict[str, Any]:
        """Return when a model that learns is evaluated: four times, of which the best one counts."""
        return self.judged_every(max(self.epochs // 4, 1))

    def test_learns_the_checkerboard(self, checkerboard, learned):
        """Cold users get what they like."""
        if not self.transfers:
            pytest.skip("a cold user cannot be known")
        built, trainer, result = learned
        own = [
            record["loss"]["total"]
            for record in trainer.records
            if record["stage"] == trainer.stages[-1].name
        ]
        assert own[-1] < own[0]
        dataset, model = built.dataset, built.model
        films = dataset.field2id_token[dataset.iid_field]
        right = []
        for user in checkerboard.withheld:
            scores = model.full_sort_predict(
                built.users([int(dataset.token2id(dataset.uid_field, user))])
            ).view(-1)
            best = films[(scores[1:].topk(15).indices + 1).cpu().numpy()]
            right += [int(film[1:]) % 2 == int(user[1:]) % 2 for film in best]
        assert sum(right) / len(right) >= self.found_share
        everything_3 = (
            2.0  # the error of predicting 3, the best without knowing a user, where ratings are 1 and 5
        )
        assert result["rated_mae"] < everything_3 / 2

    def test_every_parameter_gets_a_gradient_and_moves(self, checkerboard, tmp_path):
        """From the update that is to train it; a mapping leaves the factors alone, averages just follow."""
        built = self.build(checkerboard, epochs=1)
        before = {name: value.detach().clone() for name, value in built.model.named_parameters()}
        built.model.train()
        names = {id(value): name for name, value in built.model.named_parameters()}
        of_steps = set()
        for stage in built.model.stages():
            if stage.begin:
                stage.begin()
            for step in stage.steps:
                built.model.zero_grad()
                step.loss(stage.rows[:8].to(built.config["device"])).backward()
                moved = {name for name, value in built.model.named_parameters() if value.grad is not None}
                assert moved >= {names[id(value)] for value in step.parameters}
                if stage.module is None:  # a mapping leaves the factors alone
                    assert not {name for name in moved if name.startswith(("source.", "target."))}
                assert all(bool(value.grad.abs().sum() > 0) for value in step.parameters)
                of_steps |= {names[id(value)] for value in step.parameters}
        assert of_steps == {name for name in names.values() if not name.startswith("ema_")}
        self.trained_further(built, checkerboard, tmp_path / "runs")
        assert [
            name for name, value in built.model.named_parameters() if torch.equal(value, before[name])
        ] == []

    def test_new_users_are_transferred_as_cold_ones(self, checkerboard):
        """A new user scores as a cold one with the same ratings and the folded-in source vector would."""
        built = self.build(checkerboard)
        model, source = built.model.eval(), built.model.source_ratings
        if not model.takes_histories:
            pytest.skip("the model cannot fold users in; that it says so is tested")
        stages, factors = model.stages(), model.source_factors()
        cold = torch.nonzero(model.is_cold & (model.source_of > 0)).flatten()[[0, 3, 5]]
        asked = model.source_of[cold].tolist()
        histories = histories_of(source.users, source.items, source.ratings, asked)
        rows = model.source_rows(cold)
        with torch.no_grad():
            found = factors.fold_in(model.source_history(histories), model.fold_in_weight)
            factors.users[rows] = found[:, : factors.users.shape[1]]
            if factors.bias:
                factors.user_bias[rows] = found[:, -1]
        for stage in stages:
            if stage.begin:
                stage.begin()
        model.eval()  # what was derived from other weights is dropped
        expected = model.full_sort_predict(built.users(cold.tolist()))
        scores = model.fold_in_scores(histories, 0)
        assert scores.std(0).max() > 0  # users differ
        assert torch.allclose(scores, expected, rtol=1e-4, atol=1e-5)

    def test_hidden_ratings_change_nothing_that_is_learned(self, checkerboard, tmp_path):
        """Target ratings of test users reach no weight."""
        built, trainer, _ = self.trained(checkerboard, tmp_path / "one", epochs=2)
        hidden = {
            int(built.dataset.token2id(built.dataset.uid_field, user)) for user in checkerboard.withheld
        }
        assert not hidden & set(built.model.ratings.users.tolist())
        rows = read_ratings(checkerboard.data_path, "films")
        changed = [
            (user, item, 3 if user in checkerboard.withheld else rating) for user, item, rating in rows
        ]
        assert sum(rating == 3 for *_, rating in changed) > 150
        write_ratings(checkerboard.data_path, "films", changed)
        _, again, _ = self.trained(checkerboard, tmp_path / "two", epochs=2)
        weights = [checkpoint.load(one.folder.best)["state_dict"] for one in (trainer, again)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
