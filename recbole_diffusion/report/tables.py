"""Tables as Markdown, LaTeX, CSV and HTML."""

import csv
import html
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    mark: f"\\{mark}" for mark in "&%$#_{}"
}


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is shown.
        value: the sort key, and the value in CSV; the text if None.
        deviation: standard deviation of ``value`` over runs; a column of its own in CSV.
        best: whether it is the best of its column.
    """

    text: str
    value: float | str | None = None
    deviation: float | None = None
    best: bool = False

    @property
    def key(self) -> float | str:
        """Return the sort key."""
        return self.text if self.value is None else self.value


@dataclass
class Table:
    """A table of cells.

    Attributes:
        title: what it shows.
        columns: headings; a column holds numbers unless it is among ``words``.
        rows: cells, one per column in each row.
        words: the columns that hold text, aligned to the left.
        notes: lines below it.
        name: its name in CSV; the title if empty.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    words: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    name: str = ""


def number(value: float | None, digits: int = 4) -> Cell:
    """Return the cell of a number with this many decimals, empty for None, NaN and infinity."""
    return Cell("") if value is None or not math.isfinite(value) else Cell(f"{value:,.{digits}f}", value)


def markdown(tables: Sequence[Table]) -> str:
    """Return tables as Markdown, the best of each column in bold."""
    pages = []
    for table in tables:
        body = [[_bold(cell, "**").replace("|", "\\|") for cell in row] for row in table.rows]
        # A rule is one dash and a colon at least.
        widths = [
            max(2, *(len(line[k]) for line in [table.columns, *body])) for k in range(len(table.columns))
        ]
        rule = [
            ("-" * widths[k]) if name in table.words else "-" * (widths[k] - 1) + ":"
            for k, name in enumerate(table.columns)
        ]
        lines = [
            [text.ljust(width) for text, width in zip(line, widths, strict=True)]
            for line in [table.columns, rule, *body]
        ]
        text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        pages.append("\n\n".join([f"## {table.title}", text, *table.notes]))
    return "\n\n".join(pages) + "\n"


def latex(tables: Sequence[Table]) -> str:
    """Return tables as LaTeX ``table`` environments for booktabs."""
    pages = []
    for table in tables:
        align = "".join("l" if name in table.words else "r" for name in table.columns)
        body = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows]
        lines = [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(table.title)}}}",
        ]
        lines += [
            rf"\begin{{tabular}}{{{align}}}",
            r"\toprule",
            " & ".join(map(_latex, table.columns)) + r" \\",
            r"\midrule",
        ]
        lines += [
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(f"% {note}" for note in table.notes),
            r"\end{table}",
        ]
        pages.append("\n".join(lines))
    return "\n\n".join(pages) + "\n"


def comma_separated(tables: Sequence[Table]) -> str:
    """Return tables with the same columns as CSV: unrounded, with columns for deviation and table name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first = tables[0]
    spread = [
        any(row[k].deviation is not None for table in tables for row in table.rows)
        for k in range(len(first.columns))
    ]
    head = [
        name
        for k, column in enumerate(first.columns)
        for name in [column, f"{column} deviation"][: 1 + spread[k]]
    ]
    writer.writerow(["table", *head])
    for table in tables:
        for row in table.rows:
            line = [
                value for k, cell in enumerate(row) for value in [cell.key, cell.deviation][: 1 + spread[k]]
            ]
            writer.writerow([table.name or table.title, *("" if value is None else value for value in line)])
    return text.getvalue()


def html_table(table: Table) -> str:
    """Return one table as HTML; the page's script sorts it when a heading is clicked."""
    esc = html.escape
    kinds = ["words" if name in table.words else "number" for name in table.columns]
    head = "".join(
        f'<th class="{kind}" scope="col">{esc(name)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = []
    for row in table.rows:
        cells = [
            f'<td class="{kind}{" best" if cell.best else ""}" '
            f'data-sort="{esc(str(cell.key))}">{esc(cell.text)}</td>'
            for cell, kind in zip(row, kinds, strict=True)
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    notes = "".join(f'<p class="note">{esc(note)}</p>' for note in table.notes)
    caption = f"<caption>{esc(table.title)}</caption>" if table.title else ""
    body = "\n".join(["<tbody>", *rows, "</tbody>"])
    inner = f"{caption}<thead><tr>{head}</tr></thead>\n{body}"
    return f'<div class="table"><table class="sortable">{inner}</table></div>{notes}\n'


def _bold(cell: Cell, mark: str) -> str:
    return f"{mark}{cell.text}{mark}" if cell.best and cell.text else cell.text


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.best else text


def _latex(text: str) -> str:
    escaped = re.sub(r"[\\~^&%$#_{}]", lambda match: LATEX[match.group()], text)
    return escaped.replace("±", r"$\pm$").replace("<", "$<$").replace(">", "$>$")


TEXT_FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "markdown": markdown,
    "latex": latex,
    "csv": comma_separated,
}
