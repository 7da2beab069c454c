"""Mirror gradient: two steps on one batch, by hand, and through a run."""

from types import SimpleNamespace

import pytest
import torch
from support.small import OPTIONS, with_features

from recbole_diffusion.compat import ModelType
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.adversarial import AdversarialTrainer
from recbole_diffusion.trainer.mirror_gradient import MirrorGradient
from recbole_diffusion.trainer.staged import StagedTrainer


class Model(torch.nn.Module):
    """w^2 times the batch."""

    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(1.0))

    def calculate_loss(self, batch):
        return self.w**2 * batch


class Options(dict):
    """RecBole's options by name, and ours as attributes of ``general``."""

    def __init__(self, recboles, **ours):
        super().__init__(recboles)
        self.general = SimpleNamespace(**ours)


class Trainer(MirrorGradient):
    """One plain step a batch, as RecBole's loop has it."""

    enable_scaler, clip_grad_norm = False, None

    def __init__(self, model="BPR", mirror_gradient=True, mirror_interval=3):
        mirror = {"mirror_interval": mirror_interval, "mirror_descent": 0.5, "mirror_ascent": 0.25}
        recboles = {"MODEL_TYPE": ModelType.GENERAL, "model": model}
        self.config = Options(recboles, mirror_gradient=mirror_gradient, **mirror)
        self.model = Model()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def _check_nan(self, loss):
        assert torch.isfinite(loss)

    def epoch(self, batches, loss_func=None):
        compute, losses = self.mirrored(loss_func) or self.model.calculate_loss, []
        for batch in batches:
            self.optimizer.zero_grad()
            parts = compute(batch)
            loss = sum(parts) if isinstance(parts, tuple) else parts
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return losses


def test_a_mirror_step_goes_down_and_then_up_every_third_batch():
    trainer = Trainer()
    losses = trainer.epoch([1.0, 1.0, 1.0, 1.0])
    w, expected = 1.0, []
    for batch in range(4):
        if batch % 3 == 0:
            w -= 0.1 * 0.5 * 2 * w
            expected.append(w**2)
            w += 0.1 * 0.25 * 2 * w
        else:
            expected.append(w**2)
            w -= 0.1 * 2 * w
    assert losses == pytest.approx(expected)
    assert trainer.model.w.item() == pytest.approx(w)


def test_parts_of_a_loss_keep_their_values():
    trainer = Trainer(mirror_interval=1)
    one = Trainer(mirror_interval=1)
    halves = trainer.epoch(
        [1.0, 2.0], lambda batch: (0.5 * trainer.model.w**2 * batch, 0.5 * trainer.model.w**2 * batch)
    )
    assert halves == pytest.approx(one.epoch([1.0, 2.0]))
    assert trainer.model.w.item() == pytest.approx(one.model.w.item())


def test_off_changes_nothing():
    trainer = Trainer(mirror_gradient=False)
    assert trainer.mirrored(None) is None


@pytest.mark.parametrize("model", ["BPR", "TVDiff"])
def test_any_model_takes_it(checkerboard, tmp_path, model):
    options = {**checkerboard.overrides, "epochs": 2, "learning_rate": 0.01, "train_batch_size": 200}
    small = {"hidden_size": 16, "embedding_size": 8, "steps": 4} if model == "TVDiff" else {}
    results = [
        run(
            model,
            checkerboard.name,
            overrides={
                **options,
                **small,
                "mirror_gradient": mirrored,
                "run_dir": str(tmp_path / str(mirrored)),
            },
        )
        for mirrored in (False, True)
    ]
    weights = [
        torch.load(tmp_path / name / "best.pt", weights_only=True)["state_dict"] for name in ("False", "True")
    ]
    assert any(not torch.equal(one, weights[1][name]) for name, one in weights[0].items())
    assert all(len(result["epoch_seconds"]) == 2 for result in results)


def test_trainers_with_steps_of_their_own_are_refused():
    for trainer in (AdversarialTrainer, StagedTrainer):
        with pytest.raises(UsageError, match="mirror_gradient does not go with DGRM, which trains"):
            trainer(Options({"model": "DGRM"}, mirror_gradient=True), None, None)
    own = Trainer(model="RecVAE")
    own.mirrored(None)  # and its loop, like that of RecBole's RecVAE, takes another loss
    with pytest.raises(
        UsageError, match="mirror_gradient does not go with RecVAE, whose trainer makes its own steps"
    ):
        own.require_mirrored()
    used = Trainer()
    used.epoch([1.0])
    used.require_mirrored()
    Trainer(mirror_gradient=False).require_mirrored()


def test_models_without_gradient_steps_are_refused(checkerboard, tmp_path):
    options = {
        **checkerboard.overrides,
        "epochs": 1,
        "mirror_gradient": True,
        "run_dir": str(tmp_path / "run"),
    }
    with pytest.raises(UsageError, match="mirror_gradient needs a model that learns by gradient steps"):
        run("ItemKNN", checkerboard.name, overrides=options)


@pytest.mark.parametrize("mirror", [False, True])
def test_the_average_of_weights_follows_each_batch_once_after_its_last_step(checkerboard, tmp_path, mirror):
    """With ``ema_decay`` 0.01 it is near the last weights, not those before the last step."""
    data = with_features(checkerboard)
    given = {"epochs": 1, "ema_decay": 0.01, "mirror_gradient": mirror, "mirror_interval": 1}
    found = run("CCDRec", overrides={**data.overrides, **OPTIONS, **given, "run_dir": str(tmp_path / "run")})
    state = checkpoint.load(tmp_path / "run/checkpoint.pt")["state_dict"]
    assert state["average.updates"] == found["batches_per_epoch"]
    weight = state["backbone.encoder.items"]
    averages = [
        one for name, one in state.items() if name.startswith("average.") and one.shape == weight.shape
    ]
    apart = min((average - weight).abs().max().item() for average in averages)
    assert 0 < apart < 0.02 * found["learning_rate"]  # a step of Adam is as long as the learning rate
