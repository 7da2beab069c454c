"""``compare``: words, formats, files; refusals leave nothing behind."""

import csv

import pytest

from recbole_diffusion.cli import main as cli


@pytest.fixture
def runs(write_run):
    draws = {"BPR": [0.0, 0.5, 1.0, 0.0], "EASE": [1.0, 0.5, 1.0, 0.5]}
    for model, users in draws.items():
        for seed in (0, 1):
            folder = write_run(f"{model}-{seed}", sum(users) / 4, seed, users, model=model)
    return folder.parent


def test_markdown_is_printed(runs, capsys):
    assert (
        cli.main(
            [
                "compare",
                str(runs / "BPR-0"),
                "--metrics",
                "recall@20",
                str(runs / "EASE-0"),
                str(runs / "EASE-1"),
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "| method | seeds | chosen on  | recall@20           | p (Holm) |" in said
    assert "| EASE   | 2     | validation | **0.7500 ± 0.0000** | best     |" in said
    assert "| BPR    | 1     | validation | 0.3750              |" in said


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("t.csv", "table,method,"),
        ("t.tex", "% needs"),
        ("t.md", "## toy, test"),
        ("t.html", "<!doctype html>"),
    ],
)
def test_the_ending_tells_the_format(runs, tmp_path, capsys, name, begins):
    assert cli.main(["compare", f"--glob={runs}/*", f"--output={tmp_path / name}"]) == 0
    assert (tmp_path / name).read_text().startswith(begins)
    assert "4 runs of 2 methods" in capsys.readouterr().out


def test_csv_is_read_back(runs, tmp_path):
    out = tmp_path / "t.txt"
    assert (
        cli.main(["compare", f"--glob={runs}/*", "--format=csv", f"--output={out}", "--test=wilcoxon"]) == 0
    )
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["method"], float(row["recall@20"])) for row in rows] == [("EASE", 0.75), ("BPR", 0.375)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["compare", "--help"], 0, ""),
        (["compare"], 2, ""),
        (["compare", "--format=csv"], 2, "no run is named"),
        (["compare", "nowhere"], 2, "no such folder"),
        (["compare", "RUNS/BPR-0", "--metric=recall@20"], 2, "did you mean 'metrics'"),
        (["compare", "RUNS/BPR-0", "--output=RUNS"], 2, "is a folder"),
        (["compare", "RUNS/BPR-0", "--output=nowhere/t.csv"], 2, "no folder"),
        (["compare", "RUNS/BPR-0", "--output=t.xls"], 2, "has no known ending"),
        (["compare", "RUNS/BPR-0", "--names=files"], 2, "options | folders"),
    ],
)
def test_requests_that_cannot_be_met(runs, capsys, monkeypatch, tmp_path, words, code, said):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert cli.main([word.replace("RUNS", str(runs)) for word in words]) == code
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_is_kept_unless_told(runs, tmp_path, capsys):
    out = tmp_path / "t.csv"
    out.write_text("mine")
    assert cli.main(["compare", f"--glob={runs}/*", f"--output={out}"]) == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert cli.main(["compare", f"--glob={runs}/*", f"--output={out}", "--overwrite"]) == 0
    assert out.read_text() != "mine"


def test_a_damaged_run_is_a_failure_and_an_unfinished_one_may_be_left_out(runs, capsys):
    (runs / "EASE-1" / "result.json").unlink()
    assert cli.main(["compare", f"--glob={runs}/*"]) == 2
    assert "has not ended" in capsys.readouterr().err
    assert cli.main(["compare", f"--glob={runs}/*", "--skip_unfinished"]) == 0
    assert "EASE-1 is left out" in capsys.readouterr().out
    (runs / "EASE-1" / "result.json").write_text("{")
    assert cli.main(["compare", f"--glob={runs}/*", "--skip_unfinished"]) == 1
    assert "result.json is damaged" in capsys.readouterr().err


def test_columns_are_chosen_and_methods_called_otherwise(runs, capsys):
    glob = f"--glob={runs}/*"
    assert cli.main(["compare", glob, "--columns=recall@20,SEEDS", "--alias={EASE: 'EASE, tuned'}"]) == 0
    out = capsys.readouterr().out
    assert "p: " not in out  # there is no p to explain
    lines = [line for line in out.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["method", "recall@20", "seeds"]
    assert lines[2].startswith("| EASE, tuned |")
    assert cli.main(["compare", glob, "--columns=recall@20,p (Holm)"]) == 0
    assert "p: " in capsys.readouterr().out
    for words, message in (
        ("--columns=recall@21", "no column 'recall@21' (did you mean 'recall@20'?)"),
        ("--alias={EASY: other}", "no method 'EASY' to rename (did you mean 'EASE'?)"),
        ("--alias={EASE: BPR}", "two methods would have the same name"),
        ("--alias={EASE: ' '}", "the new name of 'EASE' is empty"),
        ("--columns=,", "option 'columns' is ','; it takes names of columns"),
    ):
        assert cli.main(["compare", glob, words]) == 2
        assert message in capsys.readouterr().err
