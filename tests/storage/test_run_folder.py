"""One run is one folder: all files whole, the lock of its process, contents that no run writes refused."""

import errno
import json
import logging
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recbole_diffusion import __version__
from recbole_diffusion.cli import main as cli
from recbole_diffusion.data import preparation
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.storage import lock as module
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.result_form import damage_of_epoch, damage_of_result
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.run_log import logging_to

FILES = [
    ".lock",
    "best.pt",
    "checkpoint.pt",
    "config.yaml",
    "data.npz",
    "log.txt",
    "metrics.jsonl",
    "result.json",
    "tensorboard",
    "user_metrics.npz",
]
SMALL = {"epochs": 2, "hidden_size": 8, "steps": 3}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working directory."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


# A whole run.


@pytest.mark.parametrize(
    ("model", "options"),
    [("TVDiff", SMALL), ("BPR", {"epochs": 2}), ("EASE", {})],
    ids=["TVDiff", "BPR", "EASE"],
)
def test_a_run_writes_its_folder_and_nothing_else(checkerboard, home, model, options):
    before = set(checkerboard.data_path.rglob("*"))
    result = run(model, overrides={**checkerboard.overrides, **options, "runs_path": "runs"})
    (folder,) = (home / "runs").iterdir()
    assert result["run_dir"] == str(folder)
    assert re.fullmatch(rf"{model}-checkerboard-\d{{8}}-\d{{6}}-[0-9a-f]{{4}}", folder.name)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [path.name for path in home.iterdir()] == ["runs"]
    assert set(checkerboard.data_path.rglob("*")) == before


def test_the_result_is_complete(checkerboard, home, result_keys):
    result = run(
        "TVDiff", overrides={**checkerboard.overrides, **SMALL, "run_dir": "here"}, command="the command"
    )
    stored = json.loads((home / "here/result.json").read_text())
    assert list(stored) == result_keys
    assert result == {**stored, "run_dir": str(home / "here")}
    assert stored["model"] == "TVDiff"
    assert stored["selection"] == "validation"
    assert stored["parameters"] > 50 * 8
    assert (
        set(stored["valid"])
        == set(stored["test"])
        == {f"{name}@{k}" for name in ("recall", "ndcg", "mrr", "hit", "precision") for k in (10, 20)}
    )
    assert stored["best_valid_score"] == stored["valid"]["recall@20"]
    assert len(stored["epoch_seconds"]) == 2
    assert set(stored["seconds"]) == {"load", "build", "train", "valid", "test"}
    assert stored["versions"]["recbole_diffusion"] == __version__
    assert {"python", "recbole", "torch", "numpy"} <= set(stored["versions"])
    assert stored["peak_rss_mb"] > 1
    assert stored["command"] == "the command"


def test_metrics_have_one_line_an_epoch(checkerboard, home):
    result = run("TVDiff", overrides={**checkerboard.overrides, **SMALL, "epochs": 3, "run_dir": "here"})
    lines = [json.loads(line) for line in (home / "here/metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert all(set(line["loss"]) == {"total", "energy", "entropy"} for line in lines)
    assert all(
        line["loss"]["total"] == pytest.approx(line["loss"]["energy"] + line["loss"]["entropy"])
        for line in lines
    )
    assert lines[result["best_epoch"]]["valid"] == result["valid"]


def test_a_search_leaves_the_test_part_alone(checkerboard, home):
    seen = []
    result = run(
        "BPR",
        overrides={**checkerboard.overrides, "epochs": 2},
        on_epoch=lambda *given: seen.append(given),
        test=False,
    )
    assert result["test"] is None
    assert [epoch for epoch, _ in seen] == [0, 1]
    assert seen[result["best_epoch"]][1] == result["best_valid_score"]


def test_without_a_validation_the_last_epoch_is_the_best(checkerboard, home):
    result = run("BPR", overrides={**checkerboard.overrides, "epochs": 3, "eval_step": 2, "run_dir": "a"})
    assert result["best_epoch"] == 1
    assert len((home / "a/metrics.jsonl").read_text().splitlines()) == 3


def test_a_command_that_repeats_the_run_is_kept(checkerboard, home):
    result = run("BPR", overrides={**checkerboard.overrides, "epochs": 1, "run_dir": "a"})
    assert result["command"].startswith("recbole-diffusion --model=BPR ")
    assert "--epochs=1" in result["command"]
    assert "'--load_col={inter: [user_id, item_id]}'" in result["command"]


def test_early_stopping_is_counted_in_validations(checkerboard, home):
    overrides = {**checkerboard.overrides, **SMALL, "epochs": 50, "learning_rate": 1e-12, "stopping_step": 2}
    result = run("TVDiff", overrides={**overrides, "metric_decimal_place": 1})
    assert len(result["epoch_seconds"]) == 50  # an equal score is a new best for RecBole, so nothing stops
    losing = iter(range(100, 0, -1))
    epochs = []

    def worse(epoch, score):
        epochs.append(epoch)

    import recbole_diffusion.trainer.base as base

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            base.RunMixin, "_valid_epoch", lambda self, *args, **kwargs: (next(losing), {"recall@20": 0.1})
        )
        run("TVDiff", overrides=overrides, on_epoch=worse)
    assert epochs == [0, 1, 2, 3]  # the best, two that are forgiven, and the one that stops


# Logs.


def test_a_second_run_does_not_write_into_the_first_ones_log(checkerboard, home):
    handlers = list(logging.getLogger().handlers)
    for name in ("first", "second"):
        run("BPR", overrides={**checkerboard.overrides, "epochs": 1, "run_dir": name})
    logs = [(home / name / "log.txt").read_text() for name in ("first", "second")]
    assert all(str(home / name) in log for name, log in zip(("first", "second"), logs, strict=True))
    assert str(home / "second") not in logs[0]
    assert logs[0].count("epoch 0 training") == logs[1].count("epoch 0 training") == 1
    assert "\x1b" not in logs[0]
    assert logging.getLogger().handlers == handlers


def test_the_trace_of_an_error_is_in_the_log_and_not_on_the_terminal(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError), logging_to(tmp_path / "log.txt"):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError" in (tmp_path / "log.txt").read_text()
    assert "Traceback" in (tmp_path / "log.txt").read_text()
    assert capsys.readouterr().err == ""


def test_a_log_that_cannot_be_written_does_not_stop_the_run(capsys):
    with logging_to("/dev/full") as logger:  # every write: no space left on device
        logger.info("a line")
    err = capsys.readouterr().err
    assert "a line" in err
    assert "Traceback" not in err


# The folder.


def test_a_folder_that_is_in_use_is_refused(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used/result.json").write_text("{}")
    with pytest.raises(
        UsageError, match=r"run_dir .*used is not empty; name another, or continue that run with --resume="
    ):
        RunFolder.create("BPR", "toy", "runs", str(tmp_path / "used"))
    assert (tmp_path / "used/result.json").read_text() == "{}"


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "empty").mkdir()
    assert RunFolder.create("BPR", "toy", "runs", str(tmp_path / "empty")).path == tmp_path / "empty"


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path, where):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot make the run folder .*name another with --run_dir"):
        RunFolder.create("BPR", "toy", "runs", str(tmp_path / where))
    with pytest.raises(UsageError, match="cannot make the run folder"):
        RunFolder.create("BPR", "toy", str(tmp_path / where), None)


@pytest.mark.parametrize("option", ["runs_path", "run_dir"])
def test_an_address_is_no_folder(home, option):
    with pytest.raises(UsageError, match=f"{option} is 's3://bucket/x', an address; it takes a folder"):
        run("Pop", "ml-100k", overrides={option: "s3://bucket/x"})
    assert not list(home.iterdir())


def test_two_folders_of_the_same_second_differ(tmp_path):
    folders = {RunFolder.create("BPR", "toy", str(tmp_path), None).path for _ in range(20)}
    assert len(folders) == 20


def test_resume_needs_a_run(tmp_path):
    with pytest.raises(UsageError, match=r"no run in .*config.yaml is missing"):
        RunFolder.existing(tmp_path)
    RunFolder(tmp_path).write_config({"a": 1})
    assert yaml_io.load_yaml(RunFolder.existing(tmp_path).config) == {"a": 1}


def test_what_has_trained_is_never_discarded(tmp_path):
    folder = RunFolder.create("BPR", "toy", str(tmp_path), None)
    folder.write_config({"a": 1})
    folder.append_metrics({"epoch": 0})
    folder.discard()
    assert folder.metrics.is_file()
    folder.metrics.unlink()
    folder.discard()
    assert not folder.path.exists()


def test_a_result_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    folder = RunFolder.create("BPR", "toy", str(tmp_path), None)
    folder.write_result({"a": 1})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="No space left"):
        folder.write_result({"a": 2})
    assert json.loads(folder.result.read_text()) == {"a": 1}
    assert [path.name for path in folder.path.iterdir()] == ["result.json"]


def test_a_clean_up_that_fails_does_not_hide_what_was_wrong(checkerboard, home, monkeypatch, capsys):
    def read_only(self, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    def wrong(*arguments):
        (home / "run/.best.pt.1.part").write_text("a draft")
        monkeypatch.setattr(Path, "unlink", read_only)
        monkeypatch.setattr(Path, "rmdir", read_only)
        raise UsageError("what was wrong")

    monkeypatch.setattr(preparation, "create_dataset", wrong)
    words = ["--model=BPR", *checkerboard.words(run_dir=str(home / "run"), state="ERROR")]
    assert cli.main(words) == 2
    assert capsys.readouterr().err == "error: what was wrong\n"


def test_a_resume_in_a_folder_that_is_read_only_says_so(checkerboard, home, monkeypatch, capsys):
    overrides = {**checkerboard.overrides, "epochs": 1, "run_dir": str(home / "run")}
    run("BPR", overrides=overrides)
    before = {file.name: file.read_bytes() for file in (home / "run").iterdir() if file.is_file()}
    (home / "run/.best.pt.1.part").write_text("a draft of a killed process")

    def read_only(self, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", read_only)
        capsys.readouterr()
        assert cli.main([f"--resume={home / 'run'}", "--epochs=2"]) == 1
    said = capsys.readouterr().err
    assert said == (
        f"error: cannot remove {home}/run/.best.pt.1.part: Read-only file system. Make it writable, then "
        f"continue with --resume={home}/run\n"
    )
    assert {name: (home / "run" / name).read_bytes() for name in before} == before


HOLD = """
import sys, time
from pathlib import Path
from recbole_diffusion.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_and_then_free(tmp_path):
    with locked(tmp_path / "lock"), pytest.raises(TimeoutError), locked(tmp_path / "lock"):
        pass
    with locked(tmp_path / "lock"), locked(tmp_path / "other"):
        pass


def test_an_error_frees_it(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        1 / 0  # noqa: B018
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="a kill that cannot be caught")
def test_another_process_keeps_it_until_it_is_killed(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "lock"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "held\n"
        start = time.monotonic()
        with pytest.raises(TimeoutError), locked(tmp_path / "lock", patience=0.3):
            pass
        assert time.monotonic() - start >= 0.3
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    with locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("no flock")])
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, caplog, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(module.FileLock, "acquire", refuse)
    ran = []
    with locked(tmp_path / "lock"):
        ran.append(1)
    assert ran == [1]
    assert "cannot be locked" in caplog.text


GOOD = {
    "model": "BPR",
    "dataset": "d",
    "seed": 1,
    "preset": None,
    "best_epoch": -1,
    "best_valid_score": 0.5,
    "valid": {"recall@5": 0.5},
    "test": {"recall@5": 1},
    "test_ood": {"recall@5": 0.0},
    "epoch_seconds": [0.1],
    "groups": {"test": {"item_popularity": [{"group": 0, "recall@5": None}]}},
    "parts": {"train": {"rows": 5, "fingerprint": "ff"}},
    "seconds": {"train": 1.5},
}
DAMAGES = [
    ({"seed": -1}, "seed is -1"),
    ({"seed": True}, "seed is True"),
    ({"parameters": 10**400}, "parameters is a number of many digits"),
    ({"valid": {"recall@5": "x"}}, "valid.recall@5 is 'x'"),
    ({"test_ood": {"recall@5": [1]}}, "test parts.test_ood.recall@5 is [1]"),
    ({"groups": {"test": {"item_popularity": [3]}}}, "groups.test.item_popularity[0] is 3"),
    ({"parts": {"train": {"rows": 5}}}, "parts.train.fingerprint is missing"),
    ({"seconds": {"train": float("inf")}}, "seconds.train is inf"),
    ({"seconds": {"load": 1.0}}, "seconds.train is missing"),
    ({"epoch_seconds": {}}, "epoch_seconds is {}"),
    ({"mine": [[[[[[[[[[[[[1]]]]]]]]]]]]]}, "mine is nested more than 12 deep"),
]


def test_what_a_run_writes_passes():
    assert damage_of_result(GOOD) is None
    assert damage_of_epoch({"epoch": 0, "loss": {"total": float("inf")}, "mine": "text"}) is None


@pytest.mark.parametrize(("change", "told"), DAMAGES)
def test_what_no_run_writes_is_named_by_its_place(change, told):
    assert damage_of_result(GOOD | change) == told


def test_an_epoch_is_an_object_with_numbers():
    assert damage_of_epoch([1]) == "it is not an object"
    assert damage_of_epoch({"epoch": "one"}) == "epoch is 'one'"
    assert damage_of_epoch({"epoch": 1, "loss": {"total": None}}) == "loss.total is None"


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 10_000, json.dumps(GOOD)[:-9], '{"seed": NaN}'])
def test_a_damaged_file_is_one_line(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(RunError, match=r"result.json is damaged: .*; make it again with --resume="):
        RunFolder(tmp_path).read_result()
