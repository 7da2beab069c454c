"""What every model of cold users must do, on two domains whose answer is known: a user likes the films of the own parity."""

from typing import Any

import pytest
import torch
from contract import Built
from source_histories import check_new_users

from recbole_diffusion import registry
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.choice import trainer_for

SMALL = {
    "embedding_size": 4,
    "factor_epochs": 25,
    "factor_learning_rate": 0.05,
    "factor_batch_size": 256,
    "factor_reg_weight": 0.01,
    "train_batch_size": 16,
    "learning_rate": 0.01,
    "epochs": 25,
    "stopping_step": 25,
    "report_groups": 0,
    "least_updates": 0,
    "patience_updates": 0,
}


class ColdStartContract:
    """Inherit, set ``model`` and ``options``; ``transfers`` is False where a cold user cannot be known."""

    model: str
    options: dict[str, Any] = {}
    transfers = True
    found_share = 0.9

    def given(self, two_domains, stage_cache, **more: Any) -> dict[str, Any]:
        """Return the overrides of a run."""
        return {**two_domains.overrides, **SMALL, "stage_cache": stage_cache, **self.options, **more}

    def build(self, two_domains, stage_cache, **more: Any) -> Built:
        """Return a model before any training."""
        return Built(self.model, two_domains.name, self.given(two_domains, stage_cache, **more))

    def trained(self, two_domains, stage_cache, folder, **more: Any) -> tuple[Built, Any, dict]:
        """Return a trained model, its trainer and the result on the test users."""
        built = self.build(two_domains, stage_cache, **more)
        run_folder = RunFolder.create(self.model, two_domains.name, str(folder), None)
        built.config["checkpoint_dir"] = str(run_folder.path)
        trainer = trainer_for(built.config, built.model, run_folder)
        trainer.fit(built.train, built.valid, show_progress=False)
        return built, trainer, trainer.evaluate(built.test)

    def test_cold_users_get_what_they_like(self, two_domains, stage_cache, tmp_path):
        if not self.transfers:
            pytest.skip("a cold user cannot be known")
        built, trainer, result = self.trained(two_domains, stage_cache, tmp_path / "runs")
        own = [record["loss"]["total"] for record in trainer.records if record["stage"] == trainer.stages[-1].name]
        assert own[-1] < own[0]
        dataset, model = built.dataset, built.model.eval()
        films = dataset.field2id_token[dataset.iid_field]
        right = []
        for user in two_domains.withheld:
            scores = model.full_sort_predict(built.users([int(dataset.token2id(dataset.uid_field, user))])).view(-1)
            best = films[(scores[1:].topk(15).indices + 1).cpu().numpy()]
            right += [int(film[1:]) % 2 == int(user[1:]) % 2 for film in best]
        assert sum(right) / len(right) >= self.found_share
        everything_3 = 2.0  # the error of predicting 3, the best without knowing a user, where ratings are 1 and 5
        assert result["rated_mae"] < everything_3 / 2

    def test_each_step_moves_its_parameters_and_nothing_else(self, two_domains, stage_cache):
        built = self.build(two_domains, stage_cache)
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
        assert of_steps == set(names.values())

    def test_new_users_are_transferred_as_cold_ones(self, two_domains, stage_cache):
        built = self.build(two_domains, stage_cache)
        check_new_users(built)
        model, users = built.model, torch.arange(1, built.model.n_users)
        vectors = model.inner_products()
        assert torch.allclose(vectors.users(users) @ vectors.items.T, model.full_sort_predict({model.USER_ID: users}), atol=1e-5)

    def test_predict_equals_full_sort_and_scores_do_not_depend_on_the_batch(self, two_domains, stage_cache):
        built = self.build(two_domains, stage_cache)
        model = built.model.eval()
        for stage in model.stages():
            if stage.begin:
                stage.begin()
        n_users, n_items = model.n_users, model.n_items
        everyone = list(range(1, n_users))
        scores = model.full_sort_predict(built.users(everyone)).view(-1, n_items)
        assert bool(torch.isfinite(scores).all())
        for ids in ([1], [7, 3, 7], everyone[10:20]):
            again = model.full_sort_predict(built.users(ids)).view(-1, n_items)
            assert torch.allclose(again, scores[[k - 1 for k in ids]], rtol=1e-5, atol=1e-6)
        pairs = built.users([5, 9, 5])
        pairs.interaction[model.ITEM_ID] = torch.tensor([4, 4, 30], device=scores.device)
        assert torch.allclose(model.predict(pairs), scores[[4, 8, 4], [4, 4, 30]], rtol=1e-5, atol=1e-6)
        scores.fill_(-torch.inf)  # what RecBole's evaluator does to seen items
        assert bool(torch.isfinite(model.full_sort_predict(built.users([1, 2]))).all())

    def test_hidden_ratings_change_nothing_that_is_learned(self, two_domains, stage_cache, tmp_path):
        built, trainer, _ = self.trained(two_domains, stage_cache, tmp_path / "one", epochs=min(2, self.epochs))
        hidden = {int(built.dataset.token2id(built.dataset.uid_field, user)) for user in two_domains.withheld}
        assert not hidden & set(built.model.ratings.users.tolist())
        file = two_domains.data_path / "films/films.inter"
        lines = [line.split("\t") for line in file.read_text().splitlines()]
        file.write_text(
            "\n".join("\t".join([*line[:2], "3" if line[0] in two_domains.withheld else line[2]]) for line in lines) + "\n"
        )
        _, again, _ = self.trained(two_domains, stage_cache, tmp_path / "two", epochs=min(2, self.epochs))
        weights = [checkpoint.load(one.folder.best)["state_dict"] for one in (trainer, again)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])

    @property
    def epochs(self) -> int:
        return {**SMALL, **self.options}["epochs"]

    def test_resume_continues_as_if_never_stopped(self, two_domains, stage_cache, tmp_path):
        if not self.epochs:
            pytest.skip("the last stage has no epochs")
        given = self.given(two_domains, stage_cache)
        straight = run(self.model, two_domains.name, overrides={**given, "epochs": 4, "run_dir": str(tmp_path / "straight")})
        run(self.model, two_domains.name, overrides={**given, "epochs": 2, "run_dir": str(tmp_path / "stopped")})
        resumed = run(resume=tmp_path / "stopped", overrides={"epochs": 4})
        for key in ("valid", "test", "test_warm", "best_epoch", "best_valid_score"):
            assert resumed[key] == straight[key]

    def test_out_of_range_options_are_refused(self, two_domains, stage_cache):
        cls = registry.resolve(registry.MODELS[self.model].options)
        own = {name: field for name, field in cls.__dataclass_fields__.items() if name not in cls.__mro__[1].__dataclass_fields__}
        wrong = []
        for name, field in own.items():
            meta = field.metadata
            wrong += [(name, "no such choice")] if meta.get("choices") else []
            if meta.get("low") is not None:
                wrong.append((name, meta["low"] if meta["open_low"] else type(meta["low"])(meta["low"] - 1)))
            wrong += [(name, "many")] if meta.get("low") is None and not meta.get("choices") else []
        assert {name for name, _ in wrong} == set(own)
        for name, value in wrong:
            with pytest.raises(UsageError, match=name):
                self.build(two_domains, stage_cache, **{name: value})
