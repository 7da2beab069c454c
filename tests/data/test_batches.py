"""train_batch_size: auto. Batches have a bound, the step size follows, and small data is as before."""

import logging
import math
from types import SimpleNamespace

import pytest
import torch
import yaml

from recbole_diffusion.config import Config
from recbole_diffusion.data import batches
from recbole_diffusion.data.batches import automatic_size, scaled_rate
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.graph import cnsdiff
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing.built import Built
from recbole_diffusion.tuning.driver import read_settings
from recbole_diffusion.tuning.plan import make_record


def asked(model, default="auto", **options):
    """Return what ``automatic_size`` reads of a configuration."""
    config = Config(model, "ml-100k", overrides={"train_batch_size": "auto", **options})
    return SimpleNamespace(
        model_class=config.model_class,
        options=config.options,
        internal_config_dict={"train_batch_size": default},
    )


@pytest.mark.parametrize(
    ("rows", "size", "most"),
    [
        (0, 2048, 0),
        (1, 2048, 1),
        (1_048_576, 2048, 512),  # 512 batches of 2,048
        (1_048_577, 4096, 257),
        (10_000_000, 32_768, 306),
        (100_000_000, 262_144, 382),
    ],
)
def test_an_epoch_of_interactions_has_at_most_512_batches(rows, size, most):
    found = automatic_size(asked("TVDiff"), rows)
    assert (found, math.ceil(rows / found)) == (size, most)


def test_an_epoch_of_users_has_at_most_32_batches():
    config = asked("TVDiff", batch_by="user")
    assert [automatic_size(config, users) for users in (30_000, 65_536, 65_537, 300_000)] == [
        2048,
        2048,
        4096,
        16_384,
    ]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("MultiVAE", {}),
        ("SASRec", {"TIME_FIELD": "timestamp"}),
        ("SGL", {}),
        ("TVDiff", {"training": "dense"}),
    ],
)
def test_models_whose_rows_grow_with_the_catalogue_keep_their_batches(model, options):
    assert automatic_size(asked(model, **options), 10**8) == 2048


def test_auto_begins_at_the_number_that_the_model_names():
    assert automatic_size(asked("DGRM", default=64), 10**8) == 64
    assert automatic_size(asked("LightGCN", default=1000), 10**6) == 2000


def test_the_step_size_follows_the_batch_by_the_learner():
    assert scaled_rate(0.001, 16, "adam") == pytest.approx(0.004)
    assert scaled_rate(0.001, 16, "sgd") == pytest.approx(0.016)
    assert scaled_rate(0.001, 1, "adamw") == 0.001


@pytest.fixture
def small_bounds(monkeypatch):
    """Batches of 64 rows by default, and at most three an epoch: of 1,000 rows 512 each, eight times 64."""
    monkeypatch.setattr(batches, "default_size", lambda config: 64)
    monkeypatch.setattr(batches, "BATCHES", 3)


@pytest.mark.parametrize("model", ["TVDiff", "LightGCN", "BPR"])
def test_a_run_trains_with_the_numbers_it_tells(checkerboard, small_bounds, tmp_path, caplog, model):
    width = {"hidden_size" if model == "TVDiff" else "embedding_size": 8}
    options = {**checkerboard.overrides, **width, "epochs": 1, "learning_rate": 0.002}
    options["train_batch_size"] = "auto"
    with caplog.at_level(logging.INFO):
        result = run(model, overrides={**options, "run_dir": str(tmp_path / "run")})
    rate = 0.002 * math.sqrt(8)
    assert result["train_batch_size"] == 512 and result["batches_per_epoch"] == 2
    assert result["learning_rate"] == pytest.approx(rate)
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert stored["train_batch_size"] == 512 and stored["learning_rate"] == pytest.approx(rate)
    assert (
        "train_batch_size auto: 512 rows, 8 times the default; learning_rate 0.00565685 instead of 0.002"
        in caplog.text
    )
    state = torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["optimizers"]["optimizer"]
    assert state["param_groups"][0]["lr"] == pytest.approx(rate)


def test_small_data_has_the_batches_and_steps_of_2048_rows(checkerboard, tmp_path, caplog):
    options = {**checkerboard.overrides, "embedding_size": 8, "epochs": 2, "train_batch_size": "auto"}
    with caplog.at_level(logging.INFO):
        automatic = run("BPR", overrides={**options, "run_dir": str(tmp_path / "auto")})
    assert "train_batch_size auto: 2,048 rows, the default; the data are no larger" in caplog.text
    number = run("BPR", overrides={**options, "train_batch_size": 2048, "run_dir": str(tmp_path / "number")})
    for name in ("train_batch_size", "learning_rate", "batches_per_epoch", "valid", "test"):
        assert automatic[name] == number[name]
    assert automatic["train_batch_size"] == 2048 and automatic["learning_rate"] == 0.001


def test_a_resumed_run_keeps_its_batches(checkerboard, small_bounds, monkeypatch, tmp_path):
    options = {**checkerboard.overrides, "embedding_size": 8, "learning_rate": 0.002}
    options["train_batch_size"] = "auto"
    whole = run("LightGCN", overrides={**options, "epochs": 4, "run_dir": str(tmp_path / "whole")})
    run("LightGCN", overrides={**options, "epochs": 2, "run_dir": str(tmp_path / "part")})
    monkeypatch.setattr(batches, "BATCHES", 512)  # as if another version had another bound
    resumed = run(resume=tmp_path / "part", overrides={"epochs": 4})
    for name in ("train_batch_size", "learning_rate", "valid", "test"):
        assert resumed[name] == whole[name]


def test_other_texts_are_refused():
    with pytest.raises(UsageError, match=r"train_batch_size' is 'many'; it takes int in \[1, inf\) or auto"):
        Config("BPR", "ml-100k", overrides={"train_batch_size": "many"})
    with pytest.raises(UsageError, match=r"train_batch_size' is 0; it takes int in \[1, inf\) or auto"):
        Config("BPR", "ml-100k", overrides={"train_batch_size": 0})


def test_a_search_space_may_offer_auto_beside_numbers():
    settings = read_settings({"space": {"train_batch_size": {"choice": [1024, "auto"]}}, "search": "grid"})
    record = make_record("BPR", "ml-100k", [], {}, settings, "command")[0]
    assert [trial.options["train_batch_size"] for trial in record.trials] == [1024, "auto"]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("CNSDiff", {"negative_sampler": "uniform", "reg_weight": 0.1}),
        ("LightGCN", {"reg_weight": 0.1, "require_pow": True}),
    ],
)
def test_a_batch_is_its_halves_with_their_gradients_accumulated(checkerboard, monkeypatch, model, options):
    def next_item(positives, users):  # instead of random ones, so that both ways have the same
        return users % 7 + 1

    monkeypatch.setattr(cnsdiff, "uniform_negatives", next_item)
    monkeypatch.setattr(
        cnsdiff, "choose_negatives", lambda _, positives, users, *more, **named: (next_item(0, users), None)
    )
    built = Built(model, None, {**checkerboard.overrides, **options, "embedding_size": 4, "n_layers": 2})
    net = built.model

    def gradients(rows):
        users, items = rows % 50 + 1, rows % 40 + 1
        batch = {net.USER_ID: users, net.ITEM_ID: items}
        if model == "LightGCN":
            batch[net.NEG_ITEM_ID] = next_item(0, users)
        losses = net.calculate_loss(batch)
        total = sum(losses) if isinstance(losses, tuple) else losses
        return torch.autograd.grad(total, list(net.parameters()))

    rows = torch.arange(200) * 13
    halves = [gradients(half) for half in rows.split(100)]
    for whole, first, second in zip(gradients(rows), *halves, strict=True):
        torch.testing.assert_close(whole, (first + second) / 2, rtol=1e-4, atol=1e-7)
        assert whole.abs().sum() > 0


def test_loaders_without_a_run_settle_their_batches_too(checkerboard, small_bounds):
    config = Config("CNSDiff", overrides={**checkerboard.overrides, "train_batch_size": "auto"})
    train, _, _ = prepare_data(config, create_dataset(config))
    assert len(train) == 2 and config["train_batch_size"] == train.batch_size == 512
    assert config.general.learning_rate == config["learning_rate"] == pytest.approx(0.005 * math.sqrt(8))
