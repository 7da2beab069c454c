"""What all benchmarks share: help, heads, pages; the counts of wrong inputs and kills."""

import importlib
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import _fault_data, _fault_inputs, faults, gpu, thermodynamics
from benchmarks._fault_kills import Killed
from benchmarks._fault_runs import Answer, Case
from benchmarks._page import page_parser, show_page, stack, table_head

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


@pytest.mark.parametrize("words", [["--turns=1_0"], ["--seconds=1_0.5"], ["--turns=ten"]])
def test_numbers_are_written_as_on_the_command_line_of_the_package(words, capsys):
    parser = page_parser("some text")
    parser.add_argument("--turns", type=int, nargs="+")
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args(["--turns", "10", "2", "--seconds=0.5"])
    assert (given.turns, given.seconds) == ([10, 2], 0.5)
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    assert f"value: '{words[0].partition('=')[2]}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [name for name in SCRIPTS if "type=int" in (FOLDER / f"{name}.py").read_text()]
)
def test_every_benchmark_refuses_numbers_with_underscores(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "page_parser" in text or "refuse_underscores" in text


def test_models_are_rehearsed_on_the_processor_and_without_a_gpu_nothing_is_measured(
    tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "toy"
    folder.mkdir()
    rows = [f"u{user}\ti{(user * 7 + k) % 30}\t4\t{k}" for user in range(20) for k in range(12)]
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "toy.inter").write_text("\n".join([head, *rows]) + "\n")
    kept, out = tmp_path / "kept.json", tmp_path / "gpu.md"
    words = ["gpu", "--device=cpu", "--only=BPR,EDLAE,NoSuch", "--epochs=2", "--seeds=1", "--dataset=toy"]
    monkeypatch.setattr(sys, "argv", [*words, f"--data_path={tmp_path}", f"--kept={kept}", f"--output={out}"])
    gpu.main()
    bpr, edlae, unknown = out.read_text().splitlines()[-3:]
    cells = [cell.strip() for cell in bpr.strip("|").split("|")]
    assert (cells[0], cells[1], cells[6], cells[9]) == ("BPR", "recall@10", "n/a", "yes")
    assert cells[7] == cells[8]  # the same processor
    assert " s, 0." in cells[10]  # trained in bfloat16 too
    assert edlae.startswith("| EDLAE | recall@10 |")
    assert edlae.endswith("n/a: nothing is trained |")
    assert unknown.startswith("| NoSuch | failed: ")
    assert "says nothing about one" in out.read_text()
    measured = kept.read_text()
    monkeypatch.setattr(gpu, "measure", None)  # all is kept
    gpu.main()
    assert kept.read_text() == measured
    monkeypatch.setattr(sys, "argv", ["gpu", f"--output={tmp_path / 'none.md'}"])
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no GPU here"):
        gpu.main()
    assert not (tmp_path / "none.md").exists()


def test_metrics_are_equal_within_their_deviation():
    assert gpu.equal([0.2], [0.2009])
    assert not gpu.equal([0.2], [0.203])
    assert gpu.equal([0.20, 0.22], [0.21, 0.23])  # 0.01 apart, standard error 0.0141
    assert not gpu.equal([0.200, 0.201], [0.210, 0.211])


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


def answer(code: int, text: str = "", internal: bool = False, result: str | None = None) -> Answer:
    return Answer(code, text, internal, result, 0.0)


@pytest.mark.parametrize(
    ("right", "given", "found"),
    [
        ("refused", answer(2, "error: no"), "refused"),
        ("refused", answer(0), "nonsense"),
        ("same", answer(0, result="a"), "accepted"),
        ("same", answer(0, result="b"), "nonsense"),
        ("same", answer(2), "nonsense"),
        ("said", answer(0, "a warning: rows are shared"), "accepted"),
        ("said", answer(0, "all is well"), "nonsense"),
        ("said", answer(2), "refused"),
        ("either", answer(0), "accepted"),
        ("either", answer(1, internal=True), "internal error"),
    ],
)
def test_an_answer_is_held_against_what_is_right(right, given, found, tmp_path):
    case = Case("inter", "a case", (), tmp_path, right, result="a", words=("shared",))
    assert faults.verdict(case, given) == found


def test_the_last_line_of_an_answer_is_its_error():
    assert answer(2, "log\nerror: this\nmore\n").last == "error: this"
    assert answer(0, "log\nfolder x\n").last == "folder x"


def test_the_tables_stand_between_the_marks_of_the_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{faults.BEGIN}\nold\n{faults.END}\n\nafter\n")
    counts = {"inter": Counter({"refused": 3, "accepted": 1})}
    faults._insert(page, faults._page(counts, [Killed("BPR", 2, 5, 2, 0, 0)], ["--kills=5", "--output=x"]))
    text = page.read_text()
    assert text.startswith("before\n\n")
    assert text.endswith("\n\nafter\n")
    assert "old" not in text
    assert "| damaged interaction files | 4 | 3 | 1 | 0 | 0 |" in text
    assert "| BPR | 2 | 5 | 2 | 0 | 0 |" in text
    assert "--kills=5`" in text


@pytest.mark.parametrize("kind", ["inter", "time", "parts", "words", "yaml", "sweep", "scores", "option"])
def test_the_inputs_are_the_same_for_a_seed_and_have_names_of_their_own(kind, tmp_path, monkeypatch):
    for module in (_fault_inputs.files, _fault_inputs.options):
        monkeypatch.setattr(module, "undamaged", lambda *_: "metrics", raising=False)
    first, again = ([one.name for one in _fault_inputs.cases(kind, tmp_path, 0)] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(first) >= 20


def test_the_made_up_data_have_no_pair_twice_and_parts_that_share_nothing():
    pairs = [tuple(row.split("\t")[:2]) for row in _fault_data.lines()]
    assert len(set(pairs)) == len(pairs) == _fault_data.USERS * _fault_data.OF_A_USER
    parts = _fault_data.parts()
    assert sum(map(len, parts.values())) == len(pairs)
    assert {len(rows) for name, rows in parts.items() if name != "train"} == {_fault_data.USERS}
