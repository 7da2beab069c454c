"""What every model must do, on a checkerboard whose answer is known; a model's test class inherits it.

Longer than most files: one promise after the other.
"""

import shutil
import typing
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_diffusion import registry
from recbole_diffusion.compat import Interaction
from recbole_diffusion.data.multimodal import MultimodalDataset
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.quick_start import run
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.testing.built import Built
from recbole_diffusion.testing.checkerboard import make_checkerboard
from recbole_diffusion.testing.data_set import DataSet
from recbole_diffusion.testing.histories import histories_of
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.factory import trainer_for

_checked: set[type] = set()  # option classes whose bounds were tried: a model may have several test classes
_untrained: dict[type, Built] = {}  # of the test class at work
_learned: dict[type, tuple[Built, Any, dict]] = {}  # of the test class at work


class ModelContract:
    """Inherit it in a class whose name begins with ``Test``, and set ``model`` and ``options``.

    Attributes:
        model: the model's class or name.
        options: option values with which it learns the checkerboard in seconds.
        epochs: enough of them to learn it.
        found_share: share of a user's withheld items that must be found among as many best ones.
    """

    model: str | type
    options: typing.ClassVar[dict[str, Any]] = {}
    epochs = 30
    found_share = 0.8

    @pytest.fixture
    def checkerboard(self, tmp_path: Path) -> DataSet:
        """The data set of the contract, with ratings or item features where the model reads them."""
        cls = registry.model_class(registry.name_of(self.model))
        dataset = registry.part(cls, "dataset_class")
        with_features = dataset is not None and issubclass(dataset, MultimodalDataset)
        return make_checkerboard(tmp_path, rated=cls.predicts_ratings, features=with_features)

    def build(self, checkerboard: DataSet, **more: Any) -> Built:
        """Return a model on the checkerboard."""
        return Built(self.model, checkerboard.name, {**checkerboard.overrides, **self.options, **more})

    @pytest.fixture
    def untrained(self, checkerboard: DataSet) -> Built:
        """An untrained model that scores, one for the tests of a class that change no weight."""
        if type(self) not in _untrained:
            _untrained.clear()
            _untrained[type(self)] = self.build(checkerboard)
        built = _untrained[type(self)]
        built.model.eval()
        return built

    def trained(self, checkerboard: DataSet, folder: Path, **more: Any) -> tuple[Built, Any, dict]:
        """Return a trained model, its trainer and the result of the run."""
        return self.trained_further(self.build(checkerboard, **more), checkerboard, folder)

    def trained_further(self, built: Built, checkerboard: DataSet, folder: Path) -> tuple[Built, Any, dict]:
        """Train a model that was built with the options of the run."""
        run_folder = RunFolder.create(type(built.model).__name__, checkerboard.name, str(folder), None)
        built.config["checkpoint_dir"] = str(run_folder.path)
        trainer = trainer_for(built.config, built.model, run_folder)
        trainer.fit(built.train, built.valid, show_progress=False)
        return built, trainer, trainer.evaluate(built.test)

    def judged(self) -> dict[str, Any]:
        """Return when a model that learns the checkerboard is evaluated, and saved: after its last epoch."""
        return self.judged_every(self.epochs)

    def judged_every(self, step: int) -> dict[str, Any]:
        """Return the options of an evaluation every few epochs, and of no checkpoint before the last one."""
        return {"eval_step": step, "stopping_step": self.epochs, "checkpoint_interval": self.epochs}

    @pytest.fixture
    def learned(self, checkerboard: DataSet, tmp_path: Path) -> tuple[Built, Any, dict]:
        """A model that has learned the checkerboard, one for the tests of a class, as of ``trained``."""
        if type(self) not in _learned:
            _learned.clear()
            _learned[type(self)] = self.trained(
                checkerboard, tmp_path / "runs", epochs=self.epochs, **self.judged()
            )
        built, trainer, result = _learned[type(self)]
        built.model.eval()
        return built, trainer, result

    def test_learns_the_checkerboard(self, checkerboard, learned):
        """The loss falls and withheld items of the right parity come first."""
        built, trainer, result = learned
        first, last = (trainer.records[k]["loss"]["total"] for k in (0, -1))
        assert last < first or built.model.computed_when_made
        dataset = built.dataset
        field = dataset.uid_field, dataset.iid_field
        hits = total = 0
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
        """No weight is left out of the loss, and none out of the optimizer."""
        built = self.build(checkerboard, epochs=1)
        if built.model.computed_when_made:
            pytest.skip("the model is computed when it is made; no weight is trained")
        before = {name: value.detach().clone() for name, value in built.model.named_parameters()}
        built.model.train()
        built.loss().backward()
        assert [
            name
            for name, value in built.model.named_parameters()
            if value.requires_grad and (value.grad is None or not value.grad.abs().sum() > 0)
        ] == []
        self.trained_further(built, checkerboard, tmp_path / "runs")
        assert [
            name
            for name, value in built.model.named_parameters()
            if torch.equal(value, before[name]) == value.requires_grad  # frozen weights stay
        ] == []

    def test_a_batch_in_mixed_precision_is_near_that_in_single(self, checkerboard):
        """``enable_amp``: nothing mixes numbers of 16 and 32 bits, and the loss differs by their rounding."""
        losses = []
        for mixed in (False, True):
            built = self.build(checkerboard)
            if built.model.computed_when_made:
                pytest.skip("the model is computed when it is made; no batch is trained")
            built.model.train()
            torch.manual_seed(1)
            with torch.autocast(built.config["device"].type, enabled=mixed):
                loss = built.loss()
            loss.backward()
            losses.append(loss.item())
        gradients = [value.grad for value in built.model.parameters() if value.grad is not None]
        assert all(bool(one.isfinite().all()) for one in gradients)
        assert losses[1] == pytest.approx(losses[0], rel=0.05, abs=0.05)

    def test_predict_equals_full_sort_and_scores_do_not_depend_on_the_batch(self, untrained):
        """A score is a property of user and item alone."""
        built = untrained
        n_users, n_items = built.model.n_users, built.model.n_items
        everyone = list(range(1, n_users))
        scores = built.model.full_sort_predict(built.users(everyone)).view(-1, n_items)
        assert scores.shape == (n_users - 1, n_items)
        assert bool(torch.isfinite(scores).all())
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

    def test_declared_item_vectors_give_the_scores(self, untrained):
        """``has_item_vectors`` is true: the inner products are the scores."""
        model = untrained.model
        if not model.has_item_vectors:
            with pytest.raises(TypeError):
                model.inner_products()
            return
        users, vectors = torch.arange(model.n_users, device=model.device), model.inner_products()
        scores = model.full_sort_predict(Interaction({model.USER_ID: users})).view(len(users), -1)
        assert torch.allclose(vectors.users(users) @ vectors.items.T, scores, rtol=1e-5, atol=1e-6)

    def test_a_user_folded_in_by_its_history_has_its_scores(self, untrained):
        """With noise, too: users 0, 1, ... are the first block, whose seed the fold-in is given."""
        built = untrained
        model, rows = built.model, built.train._dataset.inter_feat
        users, items = (rows[name].to(model.device) for name in (model.USER_ID, model.ITEM_ID))
        ratings = rows[built.config["RATING_FIELD"]].to(model.device) if model.predicts_ratings else None
        histories = histories_of(users, items, ratings, list(range(model.n_users)))
        seed = noise_seed(built.config.general.seed, 0)
        if not model.takes_histories:
            with pytest.raises(TypeError):
                model.fold_in_scores(histories, seed)
            return
        if model.fold_in_domain is not None:
            pytest.skip("histories are of another domain; ColdUserContract folds users in by these")
        scores = model.full_sort_predict(built.users(list(range(model.n_users)))).view(model.n_users, -1)
        found = model.fold_in_scores(histories, seed)
        assert torch.allclose(found, scores, rtol=1e-5, atol=1e-6)

    def test_overwriting_the_scores_does_no_harm(self, untrained):
        """Scores are a new tensor: RecBole's evaluator writes into it."""
        users = untrained.users([1, 2])
        first = untrained.model.full_sort_predict(users)
        kept = first.clone()
        first.fill_(-torch.inf)  # what RecBole's evaluator does to seen items
        again = untrained.model.full_sort_predict(users).clone()
        if not torch.equal(again, kept):
            _untrained.clear()  # what was kept is spoiled: not for the other tests
        assert torch.equal(again, kept)

    def test_saved_and_loaded_weights_score_equally(self, checkerboard, learned):
        """Nothing that scoring needs is missing in a checkpoint, which holds tensors and plain types."""
        built, trainer, _ = learned
        fresh = self.build(checkerboard, seed=2020)
        state = checkpoint.load(trainer.folder.best)
        fresh.model.load_state_dict(state["state_dict"])
        fresh.model.load_other_parameter(state["other_parameter"])
        fresh.model.eval()
        users = built.users([1, 2, 3])
        assert torch.equal(fresh.model.full_sort_predict(users), built.model.full_sort_predict(users))
        assert torch.load(trainer.folder.best, weights_only=True)["model"] == built.config["model"]

    def test_same_seed_same_loss_and_evaluation_leaves_the_training_stream_alone(self, checkerboard):
        """Noise of scoring comes from a separate generator."""
        losses = []
        for evaluate in (False, True):
            built = self.build(checkerboard)
            if evaluate:
                built.model.eval()
                built.model.full_sort_predict(built.users([1, 2, 3]))
                built.model.train()
            losses.append([built.loss().item(), built.loss().item()])
        assert losses[0] == losses[1]

    def test_resume_continues_as_if_never_stopped(self, checkerboard, tmp_path):
        """A run that is killed in its third epoch and resumed has the result of one that is not."""
        straight, killed, validated = tmp_path / "straight", tmp_path / "killed", []

        def copy(epoch: int, _: float) -> None:
            validated.append(epoch)  # those of a last stage do not begin at 0
            if len(validated) == 2:
                shutil.copytree(straight, killed)

        own = {"eval_step": 1, "stopping_step": 50, "epochs": 3, "run_dir": str(straight)}
        whole = {**checkerboard.overrides, **self.options, **own}
        expected = run(self.model, checkerboard.name, overrides=whole, on_epoch=copy)
        # Where nothing trains by epochs, the run goes on after its end.
        resumed = run(resume=killed) if killed.exists() else run(resume=straight, overrides={"epochs": 4})
        for key in ("valid", "test", "best_epoch", "best_valid_score"):
            assert resumed[key] == expected[key]

    def test_out_of_range_options_are_refused(self, checkerboard):
        """Every choice and bound of an option is checked, by name."""
        cls = registry.options_class(registry.name_of(self.model))
        if cls is None:
            pytest.skip("the model declares no options")
        if cls in _checked:
            pytest.skip("another test class has tried these options in this process")
        _checked.add(cls)
        wrong = [pair for field in cls.__dataclass_fields__.values() for pair in _outside(field)]
        assert wrong, "no option has choices or a bound"
        for name, value in wrong:
            with pytest.raises(UsageError, match=name):
                self.build(checkerboard, **{name: value})


def _outside(field: Any) -> list[tuple[str, Any]]:
    """Return values of an option that are beyond its choices and bounds, with its name."""
    meta, kinds = field.metadata, typing.get_args(field.type) or (field.type,)
    wrong: list[tuple[str, Any]] = [(field.name, "no such choice")] if meta.get("choices") else []
    bounds = (meta.get("low"), -1, meta["open_low"]), (meta.get("high"), 1, meta["open_high"])
    for bound, step, is_open in bounds:
        if bound is not None:
            beyond = bound if is_open else bound + step
            wrong.append((field.name, float(beyond) if float in kinds else int(beyond)))
    return wrong
