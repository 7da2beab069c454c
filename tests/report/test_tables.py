"""Tables in four forms."""

import csv

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
