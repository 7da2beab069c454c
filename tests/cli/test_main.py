"""The command line: words in, one folder and an exit code out."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_diffusion import quick_start, registry
from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import RunError, UsageError

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


# Words.


@pytest.mark.parametrize(
    "words", [["--epochs=3", "--flag", "--rate=1e-3"], ["--epochs", "3", "--flag", "--rate", "1e-3"]]
)
def test_equals_sign_and_space_are_the_same(words):
    assert cli.parse_options(words) == {"epochs": 3, "flag": True, "rate": 1e-3}


VALUES = {
    "--title=a=b": {"title": "a=b"},
    "--seed -1": {"seed": -1},
    "--topk=[5, 10]": {"topk": [5, 10]},
    "--eval_args={split: {RS: [0.8, 0.1, 0.1]}}": {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}}},
    "--x=__import__('os').getpid()": {"x": "__import__('os').getpid()"},
    "--dataset=123": {"dataset": "123"},
    "--run_dir=1e5": {"run_dir": "1e5"},
    "--run_dir='007'": {"run_dir": "007"},
    "--user_inter_num_interval=[5,10]": {"user_inter_num_interval": "[5,10]"},
    "--field_separator=,": {"field_separator": ","},
    "--field_separator= ": {"field_separator": " "},
    "--load_col=": {"load_col": None},
    "--config_files=": {"config_files": ""},
    "-h": {"help": True},
}


@pytest.mark.parametrize("word", VALUES)
def test_values(word):
    words = word.split(" ") if word.startswith("--seed") else [word]
    assert cli.parse_options(words) == VALUES[word]


WRONG = {
    "epochs=3": "unexpected word 'epochs=3'; options are written --name=value",
    "-epochs=3": "unexpected word",
    "--": "unexpected word",
    "--a=1 --a=2": "option 'a' is given twice, as 1 and 2",
    "--resume=": "option 'resume' is given without a value",
    "--run_dir --seed=1": "option 'run_dir' is given without a value",
    "--model": "option 'model' is given without a value",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words(words):
    with pytest.raises(UsageError, match=WRONG[words]):
        cli.parse_options(words.split())


def test_the_same_option_twice_with_the_same_value_is_no_contradiction():
    assert cli.parse_options(["--a=1", "--a", "1"]) == {"a": 1}


# Dispatch.


def test_what_a_run_is_asked_for(asked, capsys):
    words = [
        "--model=TVDiff",
        "--dataset",
        "ml-100k",
        "--config_files=a.yaml b.yaml",
        "--seed=7",
        "--gamma",
        "0.2",
    ]
    assert cli.main(words) == 0
    assert cli.main(["train", *words]) == 0
    assert asked[0] == {
        "model": "TVDiff",
        "dataset": "ml-100k",
        "config_files": ["a.yaml", "b.yaml"],
        "overrides": {"seed": 7, "gamma": 0.2},
        "resume": None,
        "command": shlex.join(["python", "run_recbole_diff.py", *words]),
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


# Help.


def test_help_lists_commands_models_and_options(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in (*cli.COMMANDS, *registry.MODELS, *registry.BASELINES, "--learning_rate=0.001", "--resume"):
        assert name in out


@pytest.mark.parametrize("model", registry.MODELS)
def test_help_of_a_model_lists_each_option_with_default_and_range(model, capsys):
    assert cli.main([f"--model={model}", "--help"]) == 0
    out = capsys.readouterr().out
    for field in registry.resolve(registry.MODELS[model].options).__dataclass_fields__.values():
        assert f"--{field.name}=" in out
        assert field.metadata["help"] in out


def test_help_of_a_baseline_shows_recboles_own(capsys):
    assert cli.main(["--model=LightGCN", "--help"]) == 0
    assert "n_layers: 2" in capsys.readouterr().out


def test_help_of_an_unknown_model(capsys):
    assert cli.main(["--model=TVDif", "--help"]) == 2
    assert "did you mean 'TVDiff'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "tune", "compare", "report", "recommend", "export", "split"])
def test_no_words_are_a_wrong_request_in_one_line(capsys, command):
    assert cli.main(command.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    start = f"error: nothing is asked for; usage: python run_recbole_diff.py {command or '[COMMAND]'} "
    assert said.err.startswith(start)
    assert said.err.endswith("; --help lists all options\n")
    assert said.err.count("\n") == 1


# Exit codes.

ENDS = [
    (UsageError("bad\n  request"), 2, "error: bad request\n"),
    (RunError("disk full"), 1, "error: disk full\n"),
    (MemoryError("8 GB"), 1, "error: out of memory: 8 GB; a smaller eval_batch_size"),
    (ZeroDivisionError("oops"), 1, "error: ZeroDivisionError: oops ("),
    (KeyboardInterrupt("/a/run"), 130, "interrupted; continue with --resume=/a/run\n"),
    (KeyboardInterrupt(), 130, "interrupted\n"),
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


def test_the_door_runs_and_says_what_it_did(checkerboard, tmp_path):
    words = ["--model=TVDiff", *checkerboard.words(**SMALL, run_dir=str(tmp_path / "run"))]
    done = subprocess.run(
        [sys.executable, ROOT / "run_recbole_diff.py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["command"] == shlex.join(["python", "run_recbole_diff.py", *words])
    lines = done.stdout.splitlines()
    assert lines[0].startswith("TVDiff on checkerboard, seed 2020, best epoch 0")
    assert lines[-1] == f"folder {tmp_path / 'run'}"
    assert f"recall@20 {result['test']['recall@20']:.4f}" in lines[2]
    assert "\x1b" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def test_a_reader_that_has_gone_away_is_no_trace():
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, ROOT / "run_recbole_diff.py", "doctor"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=buffered,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")
