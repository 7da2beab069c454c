"""The command line: arguments in, one folder and an exit code out."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_diffusion import quick_start
from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.train import summary
from recbole_diffusion.errors import Interrupted, RunError, UsageError

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"epochs": 1, "hidden_size": 8, "steps": 3}
RESULT = {
    "model": "TVDiff",
    "dataset": "ml-100k",
    "selection": "validation",
    "seed": 1,
    "best_epoch": 0,
    "valid": {"recall@20": 0.5},
    "test": {"recall@20": 0.25},
    "seconds": {"load": 0.1},
    "run_dir": "x",
}


@pytest.fixture
def asked(monkeypatch):
    """What ``run`` was called with; it does nothing."""
    calls = []

    def run(model, dataset, **rest):
        calls.append({"model": model, "dataset": dataset, **rest})
        return RESULT

    monkeypatch.setattr(quick_start, "run", run)
    return calls


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ("validation", "seed 1, best epoch 0 (chosen on validation)"),
        ("last epoch", "seed 1, epoch 0 (the last, which no validation chose)"),
        ("given weights", "seed 1, the given weights"),
        ("no epoch", "seed 1, untrained"),
    ],
)
def test_the_summary_says_what_chose_the_weights(selection, said):
    assert summary({**RESULT, "selection": selection}).splitlines()[0].endswith(said)


def test_given_weights_beside_a_term_that_validation_weighs_have_no_best_epoch():
    line = summary({**RESULT, "selection": "validation", "best_epoch": -1}).splitlines()[0]
    assert line.endswith("seed 1, no epoch trained (chosen on validation)")


# Dispatch.


def test_what_a_run_is_asked_for(asked, capsys):
    argv = [
        "--model=TVDiff",
        "--dataset",
        "ml-100k",
        "--config_files=a.yaml b.yaml",
        "--seed=7",
        "--gamma",
        "0.2",
    ]
    assert cli.main(argv) == 0
    assert cli.main(["train", *argv]) == 0
    assert asked[0] == {
        "model": "TVDiff",
        "dataset": "ml-100k",
        "config_files": ["a.yaml", "b.yaml"],
        "overrides": {"seed": 7, "gamma": 0.2},
        "resume": None,
        "continue_from": None,
        "command": shlex.join(["recbole-diffusion", *argv]),
    }
    assert asked[1] == asked[0]
    out = capsys.readouterr().out
    assert "TVDiff on ml-100k, seed 1, best epoch 0 (chosen on validation)" in out
    assert "test   recall@20 0.2500" in out


def test_resume_is_handed_on(asked):
    assert cli.main(["--resume=some/folder", "--epochs=9"]) == 0
    assert (asked[0]["resume"], asked[0]["model"], asked[0]["overrides"]) == (
        "some/folder",
        None,
        {"epochs": 9},
    )


def test_an_unknown_command_names_the_nearest(capsys):
    assert cli.main(["tran", "--model=TVDiff"]) == 2
    assert (
        capsys.readouterr().err
        == "error: unknown command 'tran' (did you mean 'train'?); there are "
        + ", ".join(cli.COMMANDS)
        + "\n"
    )


def test_doctor(capsys):
    assert cli.main(["doctor"]) == 0
    assert "recbole 1.2.1" in capsys.readouterr().out
    assert cli.main(["doctor", "--loud"]) == 2
    assert "doctor takes no options" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "tune", "compare", "report", "recommend", "export", "split"])
def test_no_arguments_are_a_wrong_request_in_one_line(capsys, command):
    assert cli.main(command.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    start = f"error: no arguments given; usage: recbole-diffusion {command or '[COMMAND]'} "
    assert said.err.startswith(start)
    assert said.err.endswith("; --help lists all options\n")
    assert said.err.count("\n") == 1


# Exit codes.

ENDS = [
    (UsageError("bad\n  request"), 2, "error: bad request\n"),
    (RunError("disk full"), 1, "error: disk full\n"),
    (MemoryError("8 GB"), 1, "error: out of memory: 8 GB; a smaller eval_batch_size"),
    (ZeroDivisionError("oops"), 1, "error: ZeroDivisionError: oops ("),
    (Interrupted("/a/run"), 130, "interrupted; continue with recbole-diffusion --resume=/a/run\n"),
    (Interrupted("/a b"), 130, "interrupted; continue with recbole-diffusion '--resume=/a b'\n"),
    (KeyboardInterrupt("/a/run"), 130, "interrupted\n"),
]


@pytest.mark.parametrize(("error", "code", "line"), ENDS, ids=lambda value: type(value).__name__)
def test_an_error_is_one_line_and_an_exit_code(monkeypatch, capsys, error, code, line):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(quick_start, "run", fail)
    assert cli.main(["--model=TVDiff"]) == code
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [UsageError("bad"), RunError("bad")], ids=["usage", "run"])
def test_debug_adds_the_trace(monkeypatch, capsys, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(quick_start, "run", fail)
    assert cli.main(["--model=TVDiff", "--debug"]) == (2 if isinstance(error, UsageError) else 1)
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("error: bad\n")


def test_debug_lets_an_unexpected_error_through(monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(quick_start, "run", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["--model=TVDiff", "--debug"])


# The real thing.


def test_the_program_runs_and_records_how_it_was_called(checkerboard, tmp_path):
    argv = ["--model=TVDiff", *checkerboard.words(**SMALL, run_dir=str(tmp_path / "run"))]
    done = subprocess.run(
        [sys.executable, ROOT / "run_recbole_diff.py", *argv],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["command"] == shlex.join(["python", "run_recbole_diff.py", *argv])
    lines = done.stdout.splitlines()
    assert lines[0].startswith("TVDiff on checkerboard, seed 2020, best epoch 0")
    assert lines[-1] == f"folder {tmp_path / 'run'}"
    assert f"recall@20 {result['test']['recall@20']:.4f}" in lines[2]
    assert "\x1b" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_the_package_is_the_program_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "recbole_diffusion", "compare"], cwd=tmp_path, capture_output=True, text=True
    )
    usage = "python -m recbole_diffusion compare RUN_DIR ..."
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: no arguments given; usage: {usage}")


def test_a_reader_that_has_gone_away_is_no_trace():
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, ROOT / "run_recbole_diff.py", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=buffered,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
