"""Stages: their order and early stopping, the cache, and resuming exactly wherever a run was stopped."""

import json
from pathlib import Path

import pytest
import torch

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.model.stage import TrainingStage, UpdateStep
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.live import live_page
from recbole_diffusion.report.run_page import runs_page
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.testing import FAST
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.staged import StagedTrainer, _StageSteps

OPTIONS = {
    **FAST,
    "mf_epochs": 3,
    "epochs": 3,
    "learning_rate": 0.01,
    "train_batch_size": 16,
    "hidden_size": 8,
    "evaluations": 3,
    "stopping_step": 50,
}


def records(folder: str | Path) -> list[dict]:
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith("seconds")} for line in lines]


def weights(folder: str | Path, file: str = "best.pt") -> dict:
    return checkpoint.load(Path(folder) / file)["state_dict"]


def keep(cache: Path, stages: str) -> None:
    """Leave these stages alone in the cache."""
    for file in cache.iterdir():
        if file.name.partition("-")[0] not in stages:
            file.unlink()


def stop_after(epoch: int, monkeypatch, begin) -> None:
    """Begin a run that is interrupted when it has saved an epoch."""
    close = StagedTrainer._close_epoch

    def stopping(self):
        saved = self._last_saved
        close(self)
        if self._last_saved != saved and self._last_saved == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StagedTrainer, "_close_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            begin()


@pytest.fixture
def go(two_domains, tmp_path):
    def started(name: str, on_epoch=None, **more):
        options = {**two_domains.overrides, **OPTIONS, **more, "run_dir": str(tmp_path / name)}
        return run("DiffCDR", two_domains.name, overrides=options, on_epoch=on_epoch)

    return started


def test_stages_follow_each_other_and_each_begins_with_the_best_of_the_one_before(go, tmp_path):
    go("run", mf_learning_rate=0.3, mf_epochs=12, mf_stopping_step=1, learning_rate=1e-9)
    lines = records(tmp_path / "run")
    stages = [line["stage"] for line in lines]
    assert [line["epoch"] for line in lines] == list(range(len(lines)))
    assert sorted(set(stages), key=stages.index) == ["source", "target", "transfer"]
    errors = [line["valid"]["error"] for line in lines if line["stage"] == "source"]
    assert errors.index(min(errors)) < len(errors) - 1 or len(errors) == 12
    final = weights(tmp_path / "run")
    for stage in ("source", "target"):
        best = weights(tmp_path / "run", f"{stage}.pt")
        assert all(torch.equal(best[name], final[name]) for name in best if name.startswith(f"{stage}."))


@pytest.mark.parametrize(
    ("stop", "cached"), [(0, ""), (2, ""), (3, "source"), (5, ""), (6, ""), (7, "source target")]
)
def test_a_run_stopped_after_any_epoch_goes_on_as_if_never_stopped(go, tmp_path, monkeypatch, stop, cached):
    """Also if the stages in ``cached`` came from the cache, after which epochs are counted from 0."""
    cache = tmp_path / "cache"
    straight = go("straight", stage_cache=str(cache))
    keep(cache, cached)
    if cached:
        straight = go("straight_cached", stage_cache=str(cache))
        stop -= 3 * len(cached.split())
        keep(cache, cached)
    stop_after(stop, monkeypatch, lambda: go("stopped", stage_cache=str(cache)))
    resumed = run(resume=tmp_path / "stopped")
    for key in ("valid", "test", "test_cold", "test_warm", "best_epoch", "best_valid_score"):
        assert resumed[key] == straight[key]
    whole = tmp_path / ("straight_cached" if cached else "straight")
    assert records(tmp_path / "stopped") == records(whole)
    one, other = weights(tmp_path / "stopped", "checkpoint.pt"), weights(whole, "checkpoint.pt")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop", [6, 7])
def test_a_run_stopped_before_an_epoch_may_be_chosen_goes_on(go, tmp_path, monkeypatch, stop):
    """Its best score is infinite so far, which is no damage of the checkpoint."""
    straight = go("straight", min_updates=100)
    stop_after(stop, monkeypatch, lambda: go("stopped", min_updates=100))
    assert checkpoint.load(tmp_path / "stopped/checkpoint.pt")["best_valid_score"] == float("inf")
    resumed = run(resume=tmp_path / "stopped")
    for key in ("valid", "test", "best_epoch", "best_valid_score"):
        assert resumed[key] == straight[key]
    assert records(tmp_path / "stopped") == records(tmp_path / "straight")


def test_the_run_folder_keeps_its_paths_whatever_the_stage(go, tmp_path, monkeypatch):
    seen = []
    fit = StagedTrainer._train_epoch

    def watched(self, *arguments, **named):
        seen.append((self.stage.name, self.best_file.name, self.folder.best.name))
        return fit(self, *arguments, **named)

    monkeypatch.setattr(StagedTrainer, "_train_epoch", watched)
    go("run")
    assert list(dict.fromkeys(seen)) == [
        ("source", "source.pt", "best.pt"),
        ("target", "target.pt", "best.pt"),
        ("transfer", "best.pt", "best.pt"),
    ]


def test_a_cached_stage_gives_the_same_run_and_serves_other_models(go, two_domains, tmp_path):
    cache = str(tmp_path / "cache")
    first = go("first", stage_cache=cache)
    assert sorted(path.name.partition("-")[0] for path in Path(cache).iterdir()) == ["source", "target"]
    again = go("again", stage_cache=cache)
    assert {line["stage"] for line in records(tmp_path / "again")} == {"transfer"}
    assert (again["test"], again["valid"]) == (first["test"], first["valid"])
    options = {**two_domains.overrides, **OPTIONS, "stage_cache": cache, "run_dir": str(tmp_path / "other")}
    for name in ("hidden_size", "evaluations"):
        options.pop(name)
    run("EMCDR", two_domains.name, overrides=options)
    assert {line["stage"] for line in records(tmp_path / "other")} == {"transfer"}
    go("seed", stage_cache=cache, seed=1)
    assert len(list(Path(cache).iterdir())) == 4  # another seed has other factors
    go("seldom", stage_cache=cache, eval_step=3)
    assert len(list(Path(cache).iterdir())) == 6  # and fewer validations choose other epochs


def test_factors_of_more_items_are_others(go, two_domains, tmp_path):
    """Also if the new item is a test user's, so that the training ratings are the same."""
    cache = str(tmp_path / "cache")
    go("first", stage_cache=cache)
    user = sorted(two_domains.withheld)[0]
    file = Path(two_domains.overrides["data_path"]) / "films/films.inter"
    before = file.read_text()
    file.write_text(f"{before}{user}\tnew\t5\n")
    try:
        go("more", stage_cache=cache)
    finally:
        file.write_text(before)
    stages = [line["stage"] for line in records(tmp_path / "more")]
    assert "target" in stages
    assert "source" not in stages


def test_a_cache_that_cannot_be_used_says_what_to_remove(go, tmp_path):
    cache = tmp_path / "cache"
    go("first", stage_cache=str(cache))
    damaged = next(cache.glob("target-*"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(
        RunError, match=rf"stage 'target' cannot be loaded from the cache: .*damaged.* Remove {damaged}, and"
    ):
        go("again", stage_cache=str(cache))
    damaged.unlink()
    run(resume=tmp_path / "again")
    assert damaged.is_file()
    with pytest.raises(UsageError, match=r"stage_cache .* cannot be created: .*; name another folder"):
        go("nowhere", stage_cache=str(damaged))
    assert not (tmp_path / "nowhere").exists()


def test_a_loss_that_is_no_number_names_the_stage_and_its_step_size(go):
    with pytest.raises(
        RunError,
        match=r"nan in epoch \d in the stage 'source'; try a smaller mf_learning_rate \(now 1e\+20\)",
    ):
        go("run", mf_learning_rate=1e20)


def test_a_trained_model_is_scored_without_training_and_an_untrained_one_is_not(go, two_domains, tmp_path):
    first = go("first")
    again = go("again", epochs=0, load_checkpoint=str(tmp_path / "first/best.pt"))
    for part in ("valid", "test", "test_cold", "test_warm"):
        assert again[part] == first[part]
    assert not (tmp_path / "again/metrics.jsonl").exists()
    with pytest.raises(UsageError, match=r"the stage 'transfer' of DiffCDR would never run"):
        go("never", epochs=0)


def test_without_stages_the_weights_are_scored_as_they_are(two_domains, tmp_path):
    options = {**two_domains.overrides, "run_dir": str(tmp_path / "run"), "topk": [5]}
    result = run("ItemMean", two_domains.name, overrides=options)
    assert (result["best_epoch"], result["parameters"]) == (-1, 0)
    again = run(resume=tmp_path / "run")
    assert again["test"] == result["test"]


def test_least_and_patience_are_counted_in_updates(go, tmp_path):
    """32 training users in batches of 16: two batches an epoch."""
    options = {
        "learning_rate": 0.3,
        "align_learning_rate": 0.5,
        "epochs": 12,
        "stopping_step": 0,
        "condition": "profile",
        "start": "mean",
        "guidance": 1.0,
        "rating_count_half_weight": 100.0,
        "task_absolute": 0.75,
        "item_offset_reg_weight": 8.0,
    }  # with these, errors go up and down
    free = go("free", **options, patience_in_updates=24)
    best = free["best_epoch"]  # counted in the stage
    errors = [
        line["valid"]["rated_mae"] for line in records(tmp_path / "free") if line["stage"] == "transfer"
    ]
    assert errors[best] == min(errors) == free["best_valid_score"]
    assert best < 11
    options |= {"min_updates": 2 * best + 3}  # the next epoch is the first that may be chosen
    seen = []
    later = go("later", **options, patience_in_updates=24, on_epoch=lambda epoch, score: seen.append(score))
    assert seen == errors[best + 1 :]
    assert later["best_epoch"] == errors.index(min(seen), best + 1)
    go(
        "impatient", **options | {"min_updates": 0}, patience_in_updates=3
    )  # patience for 2 epochs without a better one
    trained = [line for line in records(tmp_path / "impatient") if line["stage"] == "transfer"]
    ends = [k for k in range(3, 12) if min(errors[: k - 2]) < min(errors[k - 2 : k + 1])]
    assert len(trained) == (ends[0] + 1 if ends else 12)
    short = go("short", **{**options, "epochs": best + 1}, patience_in_updates=24)
    assert short["best_epoch"] == best
    longer = run(resume=tmp_path / "short", overrides={"epochs": 12})
    assert (longer["best_epoch"], longer["best_valid_score"]) == (
        later["best_epoch"],
        later["best_valid_score"],
    )


def epoch_of(steps, one_optimizer, clip=None):
    """Take two batches by a trainer of which only the updates are there; return the trainer."""
    made = StagedTrainer.__new__(StagedTrainer)
    made.stage = TrainingStage("own", steps, torch.arange(2), 1, 1, 1, one_optimizer=one_optimizer)
    made.learner, made.learning_rate, made.weight_decay = "adam", 1.0, 0.0
    made.clip_grad_norm, made.device, made.enable_amp = clip, torch.device("cpu"), False
    made.config, made.model = {"reg_weight": None}, torch.nn.Linear(1, 1)
    made.step_optimizers = made._optimizers_of(made.stage)
    _StageSteps._train_epoch(made, [torch.tensor([0]), torch.tensor([1])], 0)
    return made


@pytest.mark.parametrize("one_optimizer", [False, True])
def test_one_optimizer_moves_by_momentum_what_an_update_gives_no_gradient(one_optimizer):
    """By the rule of Adam: with an optimizer each, a parameter has a step a batch, with one it has two."""
    first, second = (torch.nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    steps = (
        UpdateStep(lambda _: 3 * first.sum(), [first], 0.01),
        UpdateStep(lambda _: 2 * second.sum(), [second], 0.001),
    )
    made = epoch_of(steps, one_optimizer)
    gradients = {"first": [3.0, 0.0, 3.0, 0.0], "second": [0.0, 2.0, 0.0, 2.0]}  # of each update
    for name, parameter, rate in (("first", first, 0.01), ("second", second, 0.001)):
        given = [one for one in gradients[name] if one_optimizer or one]
        expected, m, v = 1.0, 0.0, 0.0
        for number, gradient in enumerate(given, 1):
            m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
            expected -= rate * m / (1 - 0.9**number) / ((v / (1 - 0.999**number)) ** 0.5 + 1e-8)
        assert parameter.item() == pytest.approx(expected, abs=1e-6)
    assert len(made.optimizers()) == (1 if one_optimizer else 2)


def test_gradients_are_clipped_in_the_updates_that_ask_for_it():
    clipped, free = (torch.nn.Parameter(torch.tensor([1.0, 1.0])) for _ in range(2))
    steps = (
        UpdateStep(lambda _: (clipped * torch.tensor([3.0, 4.0])).sum(), [clipped], 0.1),
        UpdateStep(lambda _: (free * torch.tensor([3.0, 4.0])).sum(), [free], 0.1, clipped=False),
    )
    epoch_of(steps, False, {"max_norm": 1.0})
    assert clipped.grad.tolist() == pytest.approx([0.6, 0.8])  # of norm 5, cut to 1
    assert free.grad.tolist() == [3.0, 4.0]


def test_clip_grad_norm_is_of_the_last_stage(go, tmp_path):
    cache = str(tmp_path / "cache")
    go("one", stage_cache=cache)
    clipped = go("two", stage_cache=cache, clip_grad_norm={"max_norm": 1e-6})
    assert len(list(Path(cache).iterdir())) == 2  # the same factors serve both
    assert clipped["best_epoch"] >= 0
    one, other = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert torch.equal(one["source.users"], other["source.users"])
    assert not torch.equal(one["alignment.matrix.weight"], other["alignment.matrix.weight"])


def test_a_run_with_one_optimizer_resumes_exactly(go, tmp_path):
    straight = go("straight", one_optimizer=True)

    def stop(epoch, score):
        if epoch == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go("stopped", on_epoch=stop, one_optimizer=True)
    assert run(resume=tmp_path / "stopped")["test"] == straight["test"]
    one, other = (weights(tmp_path / name, "checkpoint.pt") for name in ("straight", "stopped"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_mixed_precision_reaches_the_stages_and_has_factors_of_its_own_in_the_cache(go, tmp_path):
    cache = str(tmp_path / "cache")
    go("exact", stage_cache=cache)
    go("mixed", stage_cache=cache, enable_amp=True)
    assert len(list(Path(cache).iterdir())) == 4
    exact, mixed = (records(tmp_path / name)[-1]["loss"]["total"] for name in ("exact", "mixed"))
    assert mixed != exact  # the mapping multiplies matrices, in bfloat16: 8 bits, near and not equal
    assert mixed == pytest.approx(exact, rel=0.05)


def test_scaled_gradients_are_refused_where_a_batch_has_several_updates(go):
    with pytest.raises(UsageError, match="enable_scaler does not go with DiffCDR"):
        go("scaled", enable_scaler=True)


def test_a_page_says_of_which_stage_the_best_epoch_is(go, tmp_path):
    result = go("run", epochs=2)
    lines = records(tmp_path / "run")
    assert [line["stage_epoch"] for line in lines] == [0, 1, 2, 0, 1, 2, 0, 1]
    page, *_ = runs_page(compare([read_run(tmp_path / "run")]), None)
    assert f"{result['best_epoch']}, of 0 to 1, of the stage transfer" in page.html()
    going = live_page(tmp_path / "run").html()
    assert "8, 2 of them in the stage transfer" in going
