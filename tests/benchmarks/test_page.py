"""What all benchmarks share: their help, heads of tables, and pages that are printed and written."""

import importlib
import sys
from pathlib import Path

import pytest

from benchmarks import thermodynamics
from benchmarks._page import show_page, stack, table_head

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(
    file.stem for file in FOLDER.glob("[!_]*.py") if "__main__" in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_has_a_help_and_an_output(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    module = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as ended:
        (module.arguments if hasattr(module, "arguments") else module.main)()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python -m benchmarks.{name}" in said
    assert "--output" in said


def test_the_head_of_a_table_tells_words_from_numbers():
    assert table_head("row", "a", "b") == ["| row | a | b |", "|---|---:|---:|"]
    assert table_head("row", "kind", "a", words=2)[1] == "|---|---|---:|"
    assert table_head("a", "b", words=0)[1] == "|---:|---:|"


def test_a_page_is_printed_and_written(tmp_path, capsys):
    file = tmp_path / "new/page.md"
    show_page(["# Page", "", "text", "", ""], file)
    assert file.read_text() == capsys.readouterr().out == "# Page\n\ntext\n"
    show_page(["# Page"], None)
    assert capsys.readouterr().out == "# Page\n"


def test_the_stack_names_versions():
    assert stack().startswith("recbole_diffusion ")
    assert ", torch " in stack()


def test_observations_are_judged_by_the_differences_and_told_as_the_papers_ratios():
    of = {"DiffRec": (-2.0, 3.0), "BPR": (-8.0, 2.0), "LightGCN": (-1.0, -4.0)}
    lines = thermodynamics.claims_table({"here": of, "paper": {"BPR": (0.0, 0.0)}})
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[2] for row in rows] == [
        "holds, ratio 0.250",  # -2 is more than -8
        "does not hold, ratio 2.000",
        "holds, ratio 1.500",
        "holds, ratio -0.750",  # the ratio has no meaning where signs differ
        "holds, ratio -0.500",
        "",  # no TVDiff
    ]
    assert [row[3] for row in rows] == [""] * 6
