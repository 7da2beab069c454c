"""docs/adding_a_model.md, followed: its model passes the contract, the linter, and every command."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from support.page_package import MODEL, write_package

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.config import Config
from recbole_diffusion.errors import UsageError
from recbole_diffusion.registry import outside
from recbole_diffusion.tuning.plan import space_for

ROOT = Path(__file__).resolve().parents[1]
_KEPT = tempfile.TemporaryDirectory(prefix="adding-a-model-")  # as long as this process
FOLDER = write_package(Path(_KEPT.name))
sys.path += [str(FOLDER), str(FOLDER / "their_tests")]

from test_row_diffusion import TestRowDiffusion  # noqa: E402, F401 what the page's author sees from pytest
from their_recommenders.row_diffusion import RowDiffusion  # noqa: E402

SMALL = {"hidden_size": 8, "epochs": 2, "train_batch_size": 20}


def test_the_package_passes_linter_and_formatter():
    (FOLDER / "their_recommenders/__init__.py").write_text('"""Recommenders of somebody else."""\n')
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    settings = ["--no-cache", f"--config={ROOT / 'pyproject.toml'}"]
    for command in (
        ["check", "--per-file-ignores=their_tests/*:INP001,their_tests/*:RUF012"],
        ["format", "--check"],
    ):
        asked = [ruff, *command, *settings]
        done = subprocess.run(asked, cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run that was started with the class."""
    from recbole_diffusion.testing import make_checkerboard

    data = make_checkerboard(tmp_path_factory.mktemp("outside"))
    result = run(RowDiffusion, overrides={**data.overrides, **SMALL})
    return Path(result["run_dir"]), result


@pytest.fixture
def new_process(monkeypatch):
    """Forget what was named, as a process has that begins."""
    monkeypatch.setattr(outside, "_named", {})


def test_a_run_holds_the_path_of_its_model(trained):
    folder, result = trained
    assert result["model"] == json.loads((folder / "result.json").read_text())["model"] == MODEL
    assert f"model: {MODEL}" in (folder / "config.yaml").read_text()
    assert folder.name.startswith("RowDiffusion-checkerboard-")
    assert f"--model={MODEL}" in result["command"]
    assert load_run(folder).config["model"] == MODEL  # named in this process


def test_a_run_folder_alone_imports_nothing(trained, new_process):
    folder, _ = trained
    for load in (
        lambda: load_run(folder),
        lambda: run(resume=folder),
        lambda: Config(config_files=[folder / "config.yaml"]),
    ):
        with pytest.raises(UsageError, match=f"{MODEL}' is from outside this package.*give --model={MODEL}"):
            load()
    with pytest.raises(UsageError, match=f"has the model '{MODEL}', not 'BPR'"):
        load_run(folder, model="BPR")
    again = load_run(folder, model=RowDiffusion)
    assert len(again.recommend(k=3)) == 150


def test_every_command_takes_the_model_by_its_path(trained, new_process, tmp_path, capsys):
    folder, _ = trained
    assert cli.main([f"--model={MODEL}", "--help"]) == 0
    text = capsys.readouterr().out
    assert "A user's row x_0 of 0 and 1 is noised to x_t" in text
    assert "--noise_max=0.01" in text
    assert "--train_batch_size=400" in text  # the model's own default, among the options of every run
    (tmp_path / "new.inter").write_text("user_id:token\titem_id:token\nme\ti0\nme\ti2\n")
    asked = [
        "recommend",
        f"--run={folder}",
        f"--histories={tmp_path / 'new.inter'}",
        f"--output={tmp_path / 'out.csv'}",
    ]
    outside._named.clear()
    assert cli.main(asked) == 2
    assert "runs only if you name it" in capsys.readouterr().err
    assert cli.main([*asked, "--k=5", f"--model={MODEL}"]) == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 5
    copy = shutil.copytree(folder, tmp_path / "copy")
    outside._named.clear()
    assert cli.main([f"--resume={copy}", f"--model={MODEL}", "--epochs=3"]) == 0
    assert len(json.loads((copy / "result.json").read_text())["epoch_seconds"]) == 3


def test_options_are_checked_and_defaults_are_beside_the_module(trained, monkeypatch):
    folder, _ = trained
    config = load_run(folder).config
    assert (config.options.hidden_size, config.options.noise_max) == (8, 0.01)
    with pytest.raises(UsageError, match=r"'noise_max' is 2.0; it takes float in \(0, 1\)"):
        Config(RowDiffusion, "ml-100k", overrides={"noise_max": 2})
    with pytest.raises(UsageError, match=r"unknown option 'noise_mx' .did you mean 'noise_max'"):
        Config(RowDiffusion, "ml-100k", overrides={"noise_mx": 2})
    assert {one.label for one in space_for(config, None, {}).parameters} == {
        "learning_rate",
        "hidden_size",
        "dropout_prob",
    }
    monkeypatch.setattr(
        sys.modules[RowDiffusion.__module__], "__file__", str(FOLDER / "elsewhere/row_diffusion.py")
    )
    with pytest.raises(
        UsageError, match=r"RowDiffusion.yaml is missing: it has the defaults.*; put it there"
    ):
        Config(RowDiffusion, "ml-100k")
    with pytest.raises(
        UsageError, match=r"has no search space .*RowDiffusion.tune.yaml; write one, or give --space"
    ):
        space_for(config, None, {})


def test_a_class_that_keeps_to_recbole_alone_runs(checkerboard):
    """No options, no YAML, no declared property: what it reads is found in its source."""
    from recbole.model.general_recommender.bpr import BPR

    class Mine(BPR):
        def __init__(self, config, dataset):
            super().__init__(config, dataset)
            self.power = config["power"] or 1

    result = run(Mine, overrides={**checkerboard.overrides, "epochs": 1, "embedding_size": 8, "power": 2})
    loaded = load_run(result["run_dir"], model=Mine)
    assert (loaded.model.power, loaded.model.embedding_size) == (2, 8)
    assert result["model"].endswith(".Mine")
