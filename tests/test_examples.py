"""The scripts of ``examples/`` run, and leave what they say."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_own_data_goes_from_a_csv_file_to_a_report(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, ROOT / "examples/own_data.py", tmp_path],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "size     6,000 rows, 300 users, " in done.stdout
    files = ["sales.html", "report.html", "lists.csv", "runs/from_table/data/data/data.inter.parquet"]
    assert [name for name in files if not (tmp_path / name).is_file()] == []
    assert len((tmp_path / "lists.csv").read_text().splitlines()) == 1 + 300 * 5
    table = [line for line in done.stdout.splitlines() if line.startswith("| ") and " EASE" in line]
    pop = [line for line in done.stdout.splitlines() if line.startswith("| ") and " Pop" in line]
    assert table and pop


def test_two_models_are_compared_in_a_table_and_on_a_page(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, ROOT / "examples/two_models.py", tmp_path, "--epochs=1"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:4] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert {tuple(cell.strip() for cell in row[:2]) for row in rows} >= {("EASE", "1"), ("TVDiff", "2")}
    assert "paired t-test over users of recall@10" in done.stdout
    assert r"\toprule" in (tmp_path / "table.tex").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "<caption>User 405</caption>" in page
    assert "Star Wars" in page
    assert len((tmp_path / "lists.csv").read_text().splitlines()) == 1 + 943 * 5


def test_the_example_lives_its_nights(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "examples/nightly.py"), str(tmp_path), "--epochs=3"])
    runpy.run_path(str(ROOT / "examples/nightly.py"), run_name="__main__")
    told = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0].split(" by")[0] for line in told[1::2]] == [
        "night 1: 64 users",
        "night 2: 68 users",
    ]
    assert (tmp_path / "runs/current").resolve().name in ("night1", "night2")
    for night in (1, 2):  # split by time, nothing that is held out was trained on
        origin = json.loads((tmp_path / f"runs/night{night}/result.json").read_text())["origin"]
        assert origin["seen_rows"] == {"valid": 0, "test": 0}
    assert pd.read_csv(tmp_path / "lists.csv")["user"].nunique() == 68


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--epochs=1_0"], "error: the value 1_0 is ambiguous"),
        (["--epochs=ten"], "error: option 'epochs' is 'ten'; it takes int"),
        (["--model=Nope"], "error: unknown model 'Nope'"),
    ],
)
def test_a_wrong_argument_of_the_nights_is_one_line(words, told, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(ROOT / "examples/nightly.py"), str(tmp_path), *words])
    with pytest.raises(SystemExit, match=told):
        runpy.run_path(str(ROOT / "examples/nightly.py"), run_name="__main__")
    assert not (tmp_path / "runs/night0").exists()


def test_epochs_of_the_two_models_are_read_by_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "examples/two_models.py"), str(tmp_path), "--epochs=1_0"])
    with pytest.raises(SystemExit, match="this command failed: --model=TVDiff"):
        runpy.run_path(str(ROOT / "examples/two_models.py"), run_name="__main__")
    assert "the value 1_0 is ambiguous" in capsys.readouterr().err
