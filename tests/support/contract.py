"""What every model must do, on a checkerboard whose answer is known. A model's test class inherits it and names its options."""

from typing import Any

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import Histories
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.scoring import takes_histories
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.factory import trainer_for

# Models whose scores are no inner products, and models that score users by what they have.
WITHOUT_VECTORS = {"DGRM", "CFGAN"}
OF_HISTORIES = {"TVDiff", "DGRM", "CFGAN"}
OF_SOURCE = {
    "DiffCDR",
    "SourceRegression",
    "EMCDR",
    "PTUPCDR",
    "SSCDR",
    "LACDR",
    "CMF",
}  # by what they have in another domain


class Built:
    """One model with its configuration and loaders."""

    def __init__(self, model: str, dataset: str, overrides: dict[str, Any]) -> None:
        self.config = Config(model, dataset, overrides=overrides)
        init_seed(self.config["seed"], True)
        self.dataset = create_dataset(self.config)
        self.train, self.valid, tests = prepare_data(self.config, self.dataset)
        self.test = next(iter(tests.values()))
        init_seed(self.config["seed"], True)
        self.model = self.config.model_class(self.config, self.train._dataset).to(self.config["device"])

    def batch(self) -> Any:
        """Return the first training batch."""
        return next(iter(self.train)).to(self.config["device"])

    def users(self, ids: list[int]) -> Interaction:
        """Return an interaction that asks for some users."""
        return Interaction({self.model.USER_ID: torch.tensor(ids, device=self.config["device"])})

    def loss(self) -> torch.Tensor:
        """Return the total loss of the first batch."""
        parts = self.model.calculate_loss(self.batch())
        return sum(parts) if isinstance(parts, tuple) else parts


class ModelContract:
    """Inherit, set ``model`` and ``options``, and give ``epochs`` enough to learn the checkerboard."""

    model: str
    options: dict[str, Any]
    epochs = 30
    found_share = 0.8

    def build(self, checkerboard: Any, **more: Any) -> Built:
        """Return a model on the checkerboard."""
        return Built(self.model, checkerboard.name, {**checkerboard.overrides, **self.options, **more})

    def trained(self, checkerboard: Any, folder: Any, **more: Any) -> tuple[Built, Any, dict]:
        """Return a trained model, its trainer and the result of the run."""
        built = self.build(checkerboard, **more)
        run_folder = RunFolder.create(self.model, checkerboard.name, str(folder), None)
        built.config["checkpoint_dir"] = str(run_folder.path)
        trainer = trainer_for(built.config, built.model, run_folder)
        trainer.fit(built.train, built.valid, show_progress=False)
        return built, trainer, trainer.evaluate(built.test)

    def test_learns_the_checkerboard(self, checkerboard, tmp_path):
        built, trainer, result = self.trained(
            checkerboard, tmp_path / "runs", epochs=self.epochs, stopping_step=self.epochs
        )
        first, last = (trainer.records[k]["loss"]["total"] for k in (0, -1))
        assert last < first
        dataset = built.dataset
        field = dataset.uid_field, dataset.iid_field
        hits = total = 0
        built.model.eval()
        for user, items in checkerboard.withheld.items():
            uid = int(dataset.token2id(field[0], user))
            scores = built.model.full_sort_predict(built.users([uid])).view(-1)
            scores[0] = -torch.inf
            for part in (built.train, built.valid):
                rows = part._dataset.inter_feat
                scores[rows[field[1]][rows[field[0]] == uid]] = -torch.inf
            wanted = {int(dataset.token2id(field[1], item)) for item in items}
            hits += len(wanted & set(scores.topk(len(wanted)).indices.tolist()))
            total += len(wanted)
        assert hits / total >= self.found_share
        assert result["recall@10"] > 0.5

    def test_every_parameter_gets_a_gradient_and_moves(self, checkerboard, tmp_path):
        built = self.build(checkerboard)
        before = {name: value.detach().clone() for name, value in built.model.named_parameters()}
        built.model.train()
        built.loss().backward()
        assert [
            name
            for name, value in built.model.named_parameters()
            if value.grad is None or not value.grad.abs().sum() > 0
        ] == []
        trained, _, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1)
        assert [
            name for name, value in trained.model.named_parameters() if torch.equal(value, before[name])
        ] == []

    def test_predict_equals_full_sort_and_scores_do_not_depend_on_the_batch(self, checkerboard):
        built = self.build(checkerboard)
        built.model.eval()
        n_users, n_items = built.model.n_users, built.model.n_items
        everyone = list(range(1, n_users))
        scores = built.model.full_sort_predict(built.users(everyone)).view(-1, n_items)
        assert scores.shape == (n_users - 1, n_items)
        assert bool(torch.isfinite(scores).all())
        built.model.eval()
        for ids in ([1], [7, 3], everyone[10:20]):
            again = built.model.full_sort_predict(built.users(ids)).view(-1, n_items)
            assert torch.allclose(again, scores[[k - 1 for k in ids]], rtol=1e-5, atol=1e-6)
        pairs = Interaction(
            {built.model.USER_ID: torch.tensor([1, 7, 9]), built.model.ITEM_ID: torch.tensor([4, 4, 30])}
        )
        expected = scores[torch.tensor([0, 6, 8]), torch.tensor([4, 4, 30])]
        assert torch.allclose(
            built.model.predict(pairs.to(built.config["device"])), expected, rtol=1e-5, atol=1e-6
        )

    def test_vectors_and_histories_score_as_the_model_does(self, checkerboard):
        model = self.build(checkerboard).model.eval()
        users = torch.arange(model.n_users)
        scores = model.full_sort_predict(Interaction({model.USER_ID: users})).view(len(users), -1)
        vectors = model.inner_products()
        assert (vectors is None) == (self.model in WITHOUT_VECTORS)
        if vectors is not None:
            assert torch.allclose(vectors.users(users) @ vectors.items.T, scores, rtol=1e-5, atol=1e-6)
        assert takes_histories(model) == (self.model in OF_HISTORIES | OF_SOURCE)
        if self.model not in OF_HISTORIES:
            return
        seed = noise_seed(2020, 0)  # what the first block of users has
        if self.model in WITHOUT_VECTORS:  # models of ratings
            items, starts, rows, values = model.ratings.gather(users)
            histories = Histories(items, starts, rows, values * model.ratings.high)
        else:
            histories = Histories(*model.positives.gather(users))
        if vectors is not None:
            found = model.history_vectors(histories, seed) @ vectors.items.T
        else:
            found = model.history_scores(histories, seed)
        assert torch.allclose(found, scores, rtol=1e-5, atol=1e-6)

    def test_overwriting_the_scores_does_no_harm(self, checkerboard):
        built = self.build(checkerboard)
        built.model.eval()
        first = built.model.full_sort_predict(built.users([1, 2]))
        kept = first.clone()
        first.fill_(-torch.inf)  # what RecBole's evaluator does to seen items
        assert torch.equal(built.model.full_sort_predict(built.users([1, 2])), kept)

    def test_saved_and_loaded_weights_score_equally(self, checkerboard, tmp_path):
        built, trainer, _ = self.trained(checkerboard, tmp_path / "runs", epochs=2)
        fresh = self.build(checkerboard, seed=2020)
        state = checkpoint.load(trainer.folder.best)
        fresh.model.load_state_dict(state["state_dict"])
        fresh.model.load_other_parameter(state["other_parameter"])
        fresh.model.eval()
        built.model.eval()
        users = built.users([1, 2, 3])
        assert torch.equal(fresh.model.full_sort_predict(users), built.model.full_sort_predict(users))
        assert torch.load(trainer.folder.best, weights_only=True)["model"] == self.model

    def test_same_seed_same_loss_and_evaluation_leaves_the_training_stream_alone(self, checkerboard):
        losses = []
        for evaluate in (False, False, True):
            built = self.build(checkerboard)
            if evaluate:
                built.model.eval()
                built.model.full_sort_predict(built.users([1, 2, 3]))
                built.model.train()
            losses.append([built.loss().item(), built.loss().item()])
        assert losses[0] == losses[1] == losses[2]

    def test_resume_continues_as_if_never_stopped(self, checkerboard, tmp_path):
        common = {**checkerboard.overrides, **self.options, "eval_step": 1, "stopping_step": 50}
        straight = run(
            self.model,
            checkerboard.name,
            overrides={**common, "epochs": 4, "run_dir": str(tmp_path / "straight")},
        )
        run(
            self.model,
            checkerboard.name,
            overrides={**common, "epochs": 2, "run_dir": str(tmp_path / "stopped")},
        )
        resumed = run(resume=tmp_path / "stopped", overrides={"epochs": 4})
        for key in ("valid", "test", "best_epoch", "best_valid_score"):
            assert resumed[key] == straight[key]

    def test_out_of_range_options_are_refused(self, checkerboard):
        cls, defaults = registry.resolve(registry.MODELS[self.model].options), default_values(self.model)
        wrong = []
        for name, field in cls.__dataclass_fields__.items():
            meta = field.metadata
            wrong += [(name, "no such choice")] if meta.get("choices") else []
            for bound, sign, is_open in (
                (meta.get("low"), -1, meta["open_low"]),
                (meta.get("high"), 1, meta["open_high"]),
            ):
                if bound is not None:
                    beyond, default = bound if is_open else bound + sign, defaults[name]
                    wrong.append((name, int(beyond) if default is None else type(default)(beyond)))
        assert len(wrong) > 3
        for name, value in wrong:
            with pytest.raises(UsageError, match=name):
                self.build(checkerboard, **{name: value})
