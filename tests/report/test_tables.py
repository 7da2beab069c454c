"""Tables in four forms; a method's name says how it differs from the others."""

import csv

import pytest

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.methods import group_by_method
from recbole_diffusion.report.tables import Cell, Table, comma_separated, html_table, latex, markdown, number

TABLE = Table(
    "50 % & more",
    ["method", "recall@20"],
    [
        [Cell("A_B|<i>"), Cell("0.5 ± 0.1", 0.5, 0.1, best=True)],
        [Cell("C"), number(0.25)],
        [Cell("D"), number(None)],
    ],
    words={"method"},
    notes=["A note."],
)


def test_markdown():
    assert markdown([TABLE]) == (
        "## 50 % & more\n\n"
        "| method   | recall@20     |\n"
        "| -------- | ------------: |\n"
        "| A_B\\|<i> | **0.5 ± 0.1** |\n"
        "| C        | 0.2500        |\n"
        "| D        |               |\n\n"
        "A note.\n"
    )


def test_latex_escapes():
    text = latex([TABLE])
    assert r"\caption{50 \% \& more}" in text
    assert r"A\_B|$<$i$>$ & \textbf{0.5 $\pm$ 0.1} \\" in text
    assert r"\begin{tabular}{lr}" in text


def test_csv_has_a_column_for_deviations():
    rows = list(csv.reader(comma_separated([TABLE]).splitlines()))
    assert rows[0] == ["table", "method", "recall@20", "recall@20 deviation"]
    assert rows[1:] == [
        ["50 % & more", "A_B|<i>", "0.5", "0.1"],
        ["50 % & more", "C", "0.25", ""],
        ["50 % & more", "D", "", ""],
    ]


def test_html_escapes_and_says_what_to_sort_by():
    text = html_table(TABLE)
    assert '<td class="words" data-sort="A_B|&lt;i&gt;">A_B|&lt;i&gt;</td>' in text
    assert '<td class="number best" data-sort="0.5">0.5 ± 0.1</td>' in text
    assert '<td class="number" data-sort=""></td>' in text


def test_seeds_of_one_setting_are_one_method(make_run):
    runs = [
        make_run(f"BPR-{seed}", seed=seed, config={"run_dir": f"r{seed}", "embedding_size": 8})
        for seed in (2, 0, 1)
    ]
    runs.append(make_run("wide", config={"embedding_size": 64, "learning_rate": 0.001}))
    methods = group_by_method(runs)
    assert list(methods) == ["BPR (embedding_size=8)", "BPR (embedding_size=64, learning_rate=0.001)"]
    assert [run.seed for run in methods["BPR (embedding_size=8)"]] == [0, 1, 2]


def test_a_preset_is_no_difference_of_its_own(make_run):
    """Equal values are one method, whether a preset or the command line has set them."""
    runs = [
        make_run("named", seed=0, config={"preset": "paper", "embedding_size": 8}),
        make_run("spelled", seed=1, config={"preset": None, "embedding_size": 8}),
        make_run("of before", seed=2, config={"embedding_size": 8}),
        make_run("other", seed=0, config={"preset": "best", "embedding_size": 64}),
    ]
    methods = group_by_method(runs)
    assert {name: len(group) for name, group in methods.items()} == {
        "BPR (embedding_size=8)": 3,
        "BPR (embedding_size=64)": 1,
    }


def test_runs_that_began_with_other_weights_are_another_method(make_run):
    """Each seed may have weights of its own, and a run without the option is one without weights."""
    runs = [
        make_run("0", seed=0, config={"load_checkpoint": None}),
        make_run("1", seed=1, config={}),
        make_run("tuned-0", seed=0, config={"load_checkpoint": "/runs/a/best.pt"}),
        make_run("tuned-2", seed=2, config={"load_checkpoint": "/runs/b/best.pt"}),
    ]
    methods = group_by_method(runs)
    assert {name: [run.seed for run in group] for name, group in methods.items()} == {
        "BPR (load_checkpoint=none)": [0, 1],
        "BPR (load_checkpoint=given)": [0, 2],
    }


def test_long_names_leave_usual_values_out(make_run):
    usual = {f"a_long_option_{k}": 1 for k in range(4)}
    runs = [make_run(f"r{k}", config={**usual, f"a_long_option_{k}": 2}) for k in range(4)]
    assert list(group_by_method(runs)) == [f"BPR (a_long_option_{k}=2)" for k in range(4)]


def test_folders_give_names(make_run):
    runs = [make_run(f"LightGCN,_AHNS-1-{seed}", seed=seed) for seed in range(12)] + [
        make_run("Pop", config={"k": 1})
    ]
    assert list(group_by_method(runs, "folders")) == ["LightGCN, AHNS", "Pop"]
    with pytest.raises(UsageError, match="options or folders"):
        group_by_method(runs, "files")


def test_equal_names_get_their_folder(make_run):
    runs = [make_run("TVDiff-0-0", config={"k": 1}), make_run("TVDiff-1-0", config={"k": 2})]
    assert list(group_by_method(runs, "folders")) == ["TVDiff [TVDiff-0-0]", "TVDiff [TVDiff-1-0]"]


def test_one_run_twice_is_refused(make_run):
    with pytest.raises(UsageError, match="are the same: BPR with seed 0"):
        group_by_method([make_run("a"), make_run("b")])


def test_one_seed_on_other_data_is_no_second_run(make_run):
    parts = {name: {"rows": 9, "fingerprint": "f" * 16} for name in ("train", "valid", "test")}
    with pytest.raises(UsageError, match="different interactions; compare runs on the same data"):
        group_by_method([make_run("a"), make_run("b", parts=parts)])
    with_first = make_run("c", first_rows={"rows": 3, "fingerprint": "5" * 16})
    with pytest.raises(UsageError, match="are the same"):  # one of an earlier version, without that
        group_by_method([make_run("d"), with_first])
