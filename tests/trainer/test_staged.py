"""Stages: their order and early stopping, the cache, and resuming exactly wherever a run was stopped."""

import json
from pathlib import Path

import pytest
import torch

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import FAST
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.staged import StagedTrainer

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
    close = StagedTrainer._close_epoch

    def stopping(self):
        saved = self._last_saved
        close(self)
        if self._last_saved != saved and self._last_saved == stop:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(StagedTrainer, "_close_epoch", stopping)
        with pytest.raises(KeyboardInterrupt):
            go("stopped", stage_cache=str(cache))
    resumed = run(resume=tmp_path / "stopped")
    for key in ("valid", "test", "test_cold", "test_warm", "best_epoch", "best_valid_score"):
        assert resumed[key] == straight[key]
    whole = tmp_path / ("straight_cached" if cached else "straight")
    assert records(tmp_path / "stopped") == records(whole)
    one, other = weights(tmp_path / "stopped", "checkpoint.pt"), weights(whole, "checkpoint.pt")
    assert all(torch.equal(one[name], other[name]) for name in one)


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
        match=r"nan in epoch \d of the stage 'source'; try a smaller mf_learning_rate \(now 1e\+20\)",
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
