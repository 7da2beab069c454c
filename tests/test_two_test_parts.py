"""Runs with two test parts, and runs that are stopped and resumed."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from support.killed_run import killed

from recbole_diffusion.cli import main as cli
from recbole_diffusion.compat import TrainDataLoader
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import Interrupted, RunError, UsageError
from recbole_diffusion.evaluation.lists import load_user_metrics
from recbole_diffusion.quick_start import run
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint

SMALL = {
    "embedding_size": 8,
    "denoiser_size": 8,
    "time_size": 4,
    "steps": 4,
    "start": 1,
    "stride": 2,
    "learning_rate": 0.02,
}
PARTS = ["train", "valid", "test_iid", "test_ood"]


@pytest.fixture
def shifted(write_parts):
    """Eight users and twelve items; each user's row in each part is another item."""
    parts = {part: [] for part in PARTS}
    for user in range(8):
        items = [(user + step) % 12 for step in range(7)]
        for part, chosen in zip(PARTS, (items[:4], items[4:5], items[5:6], items[6:7]), strict=True):
            parts[part] += [(f"u{user}", f"i{item}") for item in chosen]
    parts["train"] += [("u0", f"i{item}") for item in range(8, 12)]  # every item has a training row
    return write_parts("shifted", **parts)


def test_each_part_masks_train_and_valid_but_not_the_other_test_part(shifted):
    config = Config("BPR", overrides={**shifted.overrides, "topk": [5], "valid_metric": "Recall@5"})
    dataset = create_dataset(config)
    _, _, tests = prepare_data(config, dataset)
    assert list(tests) == ["test_iid", "test_ood"]
    user = int(dataset.token2id(dataset.uid_field, "u3"))
    for name, loader in tests.items():
        masked = {}
        for interaction, history, _, _ in loader:
            rows = interaction[dataset.uid_field][history[0]]
            for one, item in zip(rows.tolist(), history[1].tolist(), strict=True):
                masked.setdefault(one, set()).add(dataset.id2token(dataset.iid_field, item))
        assert masked[user] == {"i3", "i4", "i5", "i6", "i7"}, name  # i8 is test_iid, i9 is test_ood


def test_the_result_has_both_parts_groups_and_users(shifted, tmp_path):
    options = {
        **shifted.overrides,
        **SMALL,
        "epochs": 2,
        "topk": [2, 5],
        "valid_metric": "Recall@5",
        "report_groups": 2,
    }
    result = run(
        "CNSDiff", overrides={**options, "run_dir": str(tmp_path / "run"), "false_negative_part": "test_ood"}
    )
    assert result["test"] == result["test_iid"]
    assert result["selection"] == "validation"
    stored = load_user_metrics(tmp_path / "run" / "user_metrics.npz")
    assert sorted(stored) == ["test_iid", "test_ood"]
    for part, columns in stored.items():
        assert sorted(columns["users"]) == [f"u{k}" for k in range(8)]
        for metric, value in result[part].items():
            assert float(np.mean(columns[metric])) == pytest.approx(value, abs=1e-5)
        of_items, of_users = (
            result["groups"][part]["item_popularity"],
            result["groups"][part]["user_activity"],
        )
        assert sum(group["held_out"] for group in of_items) == 8
        assert sum(group["users"] for group in of_users) == 8
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["diagnostics"]["false_negative_rate"] <= 1 for line in lines)
    without = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "other"), "report_groups": 0})
    assert without["groups"] == {}


def test_the_second_test_part_changes_nothing_but_its_own_metrics(shifted, tmp_path):
    """Training and choice ignore test parts: with other rows in test_ood all else is equal."""
    options = {
        **shifted.overrides,
        **SMALL,
        "epochs": 3,
        "topk": [5],
        "valid_metric": "Recall@5",
        "report_groups": 0,
    }
    first = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "first")})
    file = shifted.folder / "shifted.test_ood.inter"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, *rows[:3]]) + "\n")
    second = run("CNSDiff", overrides={**options, "run_dir": str(tmp_path / "second")})
    for key in ("valid", "test_iid", "best_epoch", "best_valid_score"):
        assert first[key] == second[key]
    weights = [
        torch.load(tmp_path / name / "best.pt", weights_only=True)["state_dict"]
        for name in ("first", "second")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_resume_under_a_shift_continues_as_if_never_stopped(tmp_path):
    options = {**SMALL, "shift": "popularity", "train_batch_size": 8192, "use_gpu": False, "eval_step": 1}
    straight = run(
        "CNSDiff", "ml-100k", overrides={**options, "epochs": 3, "run_dir": str(tmp_path / "straight")}
    )
    run("CNSDiff", "ml-100k", overrides={**options, "epochs": 1, "run_dir": str(tmp_path / "stopped")})
    resumed = run(resume=tmp_path / "stopped", overrides={"epochs": 3})
    for key in ("valid", "test_iid", "test_ood", "groups", "split", "best_epoch"):
        assert resumed[key] == straight[key]
    assert straight["split"]["kind"] == "popularity"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train", "valid", "test", "test"], "names a part twice"),
        (["train", "valid", "seed", "model"], "need names that begin with test_"),
        (["train", "train"], "names a part twice"),
    ],
)
def test_part_names_are_checked(shifted, parts, message):
    with pytest.raises(UsageError, match=message):
        Config("BPR", overrides={**shifted.overrides, "benchmark_filename": parts})


@pytest.mark.parametrize(
    "parts",
    [
        ["train", "test", "valid"],
        ["valid", "train", "test"],
        ["test", "valid", "train"],
        ["test", "train"],
        ["train", "test_iid", "valid_ood"],
        ["valid", "train_fit", "test_iid", "test_ood"],
    ],
)
def test_parts_in_another_order_than_their_names_say_are_refused(shifted, parts):
    with pytest.raises(UsageError, match="taken in the order train, valid, test"):
        Config("BPR", overrides={**shifted.overrides, "benchmark_filename": parts})


def test_an_epoch_that_is_chosen_on_a_part_named_test_is_told(shifted):
    def notes(*parts):
        return Config("BPR", overrides={**shifted.overrides, "benchmark_filename": list(parts)}).notes

    told = "the epoch is chosen on test_iid, the second part of benchmark_filename"
    assert told in notes("train", "test_iid", "test_ood")
    for parts in (("train", "test"), ("train_fit", "valid", "test"), ("first", "second", "third")):
        assert not any("epoch is chosen" in note for note in notes(*parts))


def test_an_unknown_part_to_count_against_names_those_there_are(shifted, tmp_path):
    options = {**shifted.overrides, **SMALL, "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    with pytest.raises(UsageError, match="this run has valid, test_iid, test_ood"):
        run("CNSDiff", overrides={**options, "false_negative_part": "test", "run_dir": str(tmp_path / "run")})


def test_a_user_without_popular_negatives_is_named(write_parts):
    pairs = [("full", f"i{item}") for item in range(6)] + [("other", "i0"), ("other", "i1")]
    data = write_parts("full", train=pairs, valid=[("other", "i2"), ("other", "new")], test=[("other", "i3")])
    with pytest.raises(UsageError, match="user 'full' has all 6 items that have interactions"):
        run(
            "CNSDiff",
            overrides={
                **data.overrides,
                "negative_sampler": "popularity",
                "topk": [2],
                "valid_metric": "Recall@2",
            },
        )


SAME = (
    "model",
    "dataset",
    "selection",
    "seed",
    "parameters",
    "best_epoch",
    "best_valid_score",
    "valid",
    "test",
)
# Several batches an epoch, and an epoch that is not the last as the best one.
OPTIONS = {
    "TVDiff": {"hidden_size": 8, "steps": 4, "train_batch_size": 256, "negative_sampler": "ar_gsp"},
    "BPR": {"embedding_size": 8, "train_batch_size": 256},
    "MultiVAE": {"latent_dimension": 8, "mlp_hidden_size": [16], "train_batch_size": 256},
    "DiffRec": {"dims_dnn": [16], "steps": 5, "train_batch_size": 256},
    "RecVAE": {"hidden_dimension": 8, "latent_dimension": 8, "train_batch_size": 256},  # two optimizers
}


def metrics_of(folder: str | Path) -> list[dict]:
    """Return the lines of ``metrics.jsonl`` without their times."""
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.endswith("seconds")} for line in lines]


def assert_same_run(one: dict, other: dict) -> None:
    assert {key: one[key] for key in SAME} == {key: other[key] for key in SAME}
    assert metrics_of(one["run_dir"]) == metrics_of(other["run_dir"])
    weights = [
        checkpoint.load(Path(result["run_dir"]) / "checkpoint.pt")["state_dict"] for result in (one, other)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def result_of(folder: Path) -> dict:
    return {**json.loads((folder / "result.json").read_text()), "run_dir": str(folder)}


# Stopped.


@pytest.mark.parametrize("model", OPTIONS)
def test_stopping_and_resuming_changes_nothing(checkerboard, tmp_path, model):
    overrides = {**checkerboard.overrides, **OPTIONS[model], "epochs": 5}
    straight = run(model, overrides={**overrides, "run_dir": str(tmp_path / "straight")})
    run(model, overrides={**overrides, "epochs": 2, "run_dir": str(tmp_path / "stopped")})
    resumed = run(resume=tmp_path / "stopped", overrides={"epochs": 5})
    assert_same_run(resumed, straight)
    assert len(metrics_of(resumed["run_dir"])) == 5


@pytest.mark.parametrize("model", ["BPR", "NeuMF"])
def test_a_run_that_began_with_recboles_loader_goes_on_exactly(checkerboard, tmp_path, monkeypatch, model):
    options = {"learning_rate": 0.01, "train_batch_size": 256}
    overrides = {**checkerboard.overrides, **options, "epochs": 4}
    straight = run(model, overrides={**overrides, "run_dir": str(tmp_path / "straight")})
    with monkeypatch.context() as before:
        before.setattr("recbole_diffusion.data.train_loader.TensorTrainLoader", TrainDataLoader)
        run(model, overrides={**overrides, "epochs": 2, "run_dir": str(tmp_path / "older")})
    assert_same_run(run(resume=tmp_path / "older", overrides={"epochs": 4}), straight)


def test_an_interrupted_run_names_its_folder_and_goes_on(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, **OPTIONS["TVDiff"], "epochs": 4}
    straight = run("TVDiff", overrides={**overrides, "run_dir": str(tmp_path / "straight")})

    def stop(epoch, score):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        run("TVDiff", overrides=overrides, on_epoch=stop)
    assert caught.value.folder.parent == tmp_path / "runs"
    assert_same_run(run(resume=caught.value.folder), straight)


@pytest.mark.parametrize("interval", [2, 10])
def test_epochs_since_the_last_checkpoint_are_done_again(checkerboard, tmp_path, interval):
    overrides = {**checkerboard.overrides, **OPTIONS["TVDiff"], "epochs": 5, "checkpoint_interval": interval}
    straight = run("TVDiff", overrides={**overrides, "run_dir": str(tmp_path / "straight")})

    def stop(epoch, score):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("TVDiff", overrides={**overrides, "run_dir": str(tmp_path / "stopped")}, on_epoch=stop)
    assert len(metrics_of(tmp_path / "stopped")) == 3
    assert_same_run(run(resume=tmp_path / "stopped"), straight)


def test_early_stopping_goes_on_counting(checkerboard, tmp_path):
    overrides = {
        **checkerboard.overrides,
        **OPTIONS["TVDiff"],
        "learning_rate": 0.02,
        "stopping_step": 2,
        "valid_metric": "MRR@10",
    }
    straight = run("TVDiff", overrides={**overrides, "epochs": 60, "run_dir": str(tmp_path / "straight")})
    last = len(straight["epoch_seconds"])
    assert last < 60  # it stopped by itself
    run("TVDiff", overrides={**overrides, "epochs": last - 1, "run_dir": str(tmp_path / "stopped")})
    assert_same_run(run(resume=tmp_path / "stopped", overrides={"epochs": 60}), straight)


def test_resuming_a_finished_run_gives_its_result_again(checkerboard, tmp_path):
    first = run("BPR", overrides={**checkerboard.overrides, "epochs": 2, "run_dir": str(tmp_path / "run")})
    before = (tmp_path / "run/best.pt").read_bytes()
    again = run(resume=tmp_path / "run")
    assert_same_run(again, first)
    assert again["epoch_seconds"] == first["epoch_seconds"]
    assert (tmp_path / "run/best.pt").read_bytes() == before


def test_a_run_that_ends_before_its_first_validation_is_evaluated_as_it_is(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 4, "eval_step": 2, "run_dir": str(tmp_path / "run")}
    last = run("BPR", overrides={**overrides, "epochs": 1, "eval_step": 1, "run_dir": str(tmp_path / "one")})

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "recbole_diffusion.trainer.base.RunMixin._valid_epoch", stop
        )  # epoch 0 is over and stored, epoch 1 is not
        with pytest.raises(KeyboardInterrupt):
            run("BPR", overrides=overrides)
    resumed = run(resume=tmp_path / "run", overrides={"epochs": 1})
    assert (resumed["valid"], resumed["test"], resumed["best_epoch"]) == (last["valid"], last["test"], 0)
    assert resumed["best_valid_score"] == last["best_valid_score"]


def test_more_epochs_are_written_into_config_yaml(checkerboard, tmp_path):
    run("BPR", overrides={**checkerboard.overrides, "epochs": 1, "run_dir": str(tmp_path / "run")})
    longer = run(resume=tmp_path / "run", overrides={"epochs": 3})
    again = run(config_files=[tmp_path / "run/config.yaml"])
    assert (again["valid"], again["test"]) == (longer["valid"], longer["test"])


def test_a_half_written_line_is_repaired(checkerboard, tmp_path):
    overrides = {**checkerboard.overrides, "epochs": 2, "run_dir": str(tmp_path / "run")}
    run("BPR", overrides=overrides)
    with (tmp_path / "run/metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "train_sec')
    (tmp_path / "run/.checkpoint.pt.4242.part").write_bytes(b"half")
    run(resume=tmp_path / "run", overrides={"epochs": 3})
    assert [line["epoch"] for line in metrics_of(tmp_path / "run")] == [0, 1, 2]
    assert not list((tmp_path / "run").glob(".*.part"))


# Killed.


# An epoch has four batches and, while each is the best so far, two files: best.pt, then checkpoint.pt.
MOMENTS = {
    "in the first epoch": ("training", 3, 0),
    "in the third epoch": ("training", 10, 2),
    "saving the first checkpoint": ("saving", 2, 0),
    "saving the second best": ("saving", 3, 1),
    "saving the second checkpoint": ("saving", 4, 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_process_is_resumed_by_the_command_line(checkerboard, tmp_path, moment):
    how, number, finished = MOMENTS[moment]
    options = {**OPTIONS["TVDiff"], "epochs": 4}
    assert (
        cli.main(["--model=TVDiff", *checkerboard.words(**options, run_dir=str(tmp_path / "straight"))]) == 0
    )
    words = ["--model=TVDiff", *checkerboard.words(**options, run_dir=str(tmp_path / "killed"))]
    assert killed(how, number, words, tmp_path / "stderr")[0] == -signal.SIGKILL
    assert not (tmp_path / "killed/result.json").exists()
    saved = [path for path in (tmp_path / "killed").glob("*.pt") if checkpoint.load(path)]  # each is whole
    assert (tmp_path / "killed/checkpoint.pt" in saved) == (finished > 0)
    assert bool(list((tmp_path / "killed").glob(".*.part"))) == (how == "saving")
    assert cli.main([f"--resume={tmp_path / 'killed'}"]) == 0
    assert_same_run(result_of(tmp_path / "killed"), result_of(tmp_path / "straight"))
    assert not list((tmp_path / "killed").glob(".*.part"))


@pytest.mark.parametrize(("number", "there"), [(3, 1), (4, 1)], ids=["best", "checkpoint"])
def test_a_full_disk_is_one_line_and_harms_nothing(checkerboard, tmp_path, number, there):
    options = {**OPTIONS["TVDiff"], "epochs": 4}
    assert (
        cli.main(["--model=TVDiff", *checkerboard.words(**options, run_dir=str(tmp_path / "straight"))]) == 0
    )
    words = checkerboard.words(**options, run_dir=str(tmp_path / "full"), state="ERROR")
    code, said = killed("full", number, ["--model=TVDiff", *words], tmp_path / "stderr")
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith(f"error: cannot write {tmp_path / 'full'}")
    assert "the version before it is untouched. Free some space, then continue with --resume=" in said
    assert not list((tmp_path / "full").glob(".*.part"))
    assert checkpoint.load(tmp_path / "full/checkpoint.pt")["epoch"] == there - 1
    assert cli.main([f"--resume={tmp_path / 'full'}"]) == 0
    assert_same_run(result_of(tmp_path / "full"), result_of(tmp_path / "straight"))


# What cannot be resumed.


@pytest.fixture
def finished(checkerboard, tmp_path):
    """The folder of a run of two epochs."""
    run("BPR", overrides={**checkerboard.overrides, "epochs": 2, "run_dir": str(tmp_path / "run")})
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"overrides": {"learning_rate": 0.1}}, "learning_rate cannot change now. Allowed: .*epochs"),
        ({"overrides": {"epochs": 3, "seed": 1, "topk": [5]}}, "seed, topk cannot change now"),
        ({"config_files": ["a.yaml"]}, "config_files cannot change now"),
        ({"model": "TVDiff"}, "has model 'BPR', not 'TVDiff'"),
        ({"dataset": "other"}, "has dataset 'checkerboard', not 'other'"),
        ({"overrides": {"epochs": -1}}, "'epochs' is -1"),
    ],
)
def test_a_resumed_run_cannot_become_another(finished, asked, message):
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=message):
        run(resume=finished, **asked)
    assert {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_a_resume_takes_no_epochs_back(finished):
    """The configuration would say one epoch, from which nobody could repeat the result of the second."""
    kept = ("config.yaml", "result.json", "checkpoint.pt", "metrics.jsonl")
    before = [(finished / name).read_bytes() for name in kept]
    with pytest.raises(UsageError, match=r"has trained 2 epochs by now, more than 1.*--epochs=2 or more"):
        run(resume=finished, overrides={"epochs": 1})
    assert [(finished / name).read_bytes() for name in kept] == before


def test_a_resume_takes_no_patience_back(checkerboard, tmp_path):
    """A run that waited and went on, or ended, would have ended before with less patience."""
    folder = tmp_path / "run"
    given = {"epochs": 9, "stopping_step": 3, "learning_rate": 0.3, "valid_metric": "NDCG@10"}
    given["run_dir"] = str(folder)
    run("BPR", overrides={**checkerboard.overrides, **given})
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best, wait, longest = -1.0, 0, 0
    for line in lines[:-1]:  # after the last one, nothing went on
        score = line["valid"]["ndcg@10"]
        best, wait = (score, 0) if score >= best else (best, wait + 1)
        longest = max(longest, wait)
    assert 0 < longest <= 3, "the example is to wait for a while"
    before = (folder / "config.yaml").read_bytes(), (folder / "checkpoint.pt").read_bytes()
    message = rf"went on after {longest} validations? without a new best.*--stopping_step={longest} or more"
    with pytest.raises(UsageError, match=message):
        run(resume=folder, overrides={"stopping_step": longest - 1})
    assert ((folder / "config.yaml").read_bytes(), (folder / "checkpoint.pt").read_bytes()) == before
    assert run(resume=folder, overrides={"stopping_step": longest})["best_epoch"] >= 0


def test_a_damaged_checkpoint_is_refused_and_the_best_still_loads(finished, checkerboard):
    content = (finished / "checkpoint.pt").read_bytes()
    (finished / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"checkpoint.pt is damaged.*best.pt"):
        run(resume=finished, overrides={"epochs": 3})
    best = {**checkerboard.overrides, "epochs": 0, "load_checkpoint": str(finished / "best.pt")}
    assert run("BPR", overrides=best)["test"] == result_of(finished)["test"]


@pytest.mark.parametrize(
    "damage", [lambda best: best.write_bytes(best.read_bytes()[:900]), lambda best: best.unlink()]
)
def test_lost_best_weights_stop_a_resume_and_the_advice_makes_them_again(finished, damage):
    before = result_of(finished)
    damage(finished / "best.pt")
    with pytest.raises(RunError) as told:
        run(resume=finished, overrides={"epochs": 3})
    advice = f"remove {finished}/checkpoint.pt and train this run again from its beginning with "
    advice += f"--resume={finished}"
    assert str(told.value).endswith(f"; no other file has these weights: {advice}")
    (finished / "checkpoint.pt").unlink()
    again = run(resume=finished)
    assert [again[name] for name in ("test", "best_epoch")] == [
        before[name] for name in ("test", "best_epoch")
    ]


def test_weights_alone_are_no_run(finished):
    shutil.copy(finished / "best.pt", finished / "checkpoint.pt")
    with pytest.raises(RunError, match=r"holds weights only.*--load_checkpoint"):
        run(resume=finished, overrides={"epochs": 3})


def test_a_checkpoint_of_other_data_is_refused(finished, write_parts):
    parts = {
        part: (finished.parent / f"data/checkerboard/checkerboard.{part}.inter").read_text()
        for part in ("train", "valid", "test")
    }
    rows = {part: [tuple(line.split("\t")) for line in text.splitlines()[1:]] for part, text in parts.items()}
    same = write_parts("same", **rows)
    best = {"epochs": 0, "load_checkpoint": str(finished / "best.pt")}
    assert run("BPR", overrides={**same.overrides, **best})["test"] == result_of(finished)["test"]
    shuffled = write_parts(
        "shuffled", **{part: rows[part][::-1] for part in rows}
    )  # the same users and items, numbered otherwise
    # By token with the ids that the run has kept; without them the numbers would mean other users.
    found = run("BPR", overrides={**shuffled.overrides, **best})["test"]
    assert found == pytest.approx(result_of(finished)["test"], abs=1e-6)
    alone = shutil.copy(finished / "best.pt", finished.parent / "alone.pt")
    with pytest.raises(RunError, match="users and items had other ids"):
        run("BPR", overrides={**shuffled.overrides, **best, "load_checkpoint": str(alone)})


def test_the_folder_that_is_resumed_keeps_its_log(finished):
    first = RunFolder(finished).log.read_text()
    run(resume=finished, overrides={"epochs": 3})
    assert RunFolder(finished).log.read_text().startswith(first)
    assert "resumed after epoch 1" in RunFolder(finished).log.read_text()
