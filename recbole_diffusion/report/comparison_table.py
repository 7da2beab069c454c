"""The tables of a comparison: one per test part, with a row for each method."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.comparison import Comparison, MeanStd, Method
from recbole_diffusion.report.tables import Cell, Table, number

SMALL_P = 0.0001
P = "p (Holm)"  # the column of corrected p


def comparison_tables(
    found: Comparison, ranked: bool = True, columns: Sequence[str] | None = None
) -> list[Table]:
    """Return a table for each test part; the last one has the notes.

    Args:
        found: the comparison.
        ranked: the best method first; otherwise in the order given.
        columns: names of the columns beside the method, in this order; None for all.

    Raises:
        UsageError: there is no such column.
    """
    tables = [_table(found, part, found.ranked(part) if ranked else found.methods) for part in found.parts]
    tables = tables if columns is None else [_with_columns(table, columns) for table in tables]
    has_p = columns is None or any(P in table.columns for table in tables)
    tables[-1].notes = [*found.notes, *(found.about_p if has_p else [])]
    return tables


def _with_columns(table: Table, columns: Sequence[str]) -> Table:
    """Return a table with its first column and some others."""
    places = {name.lower(): place for place, name in enumerate(table.columns)}
    for name in columns:
        if name.lower() not in places:
            raise UsageError(
                f"the table has no column {name!r}{did_you_mean(name, table.columns)}; there are "
                f"{', '.join(table.columns[1:])}"
            )
    kept = [0, *dict.fromkeys(places[name.lower()] for name in columns if name.lower() != "method")]
    rows = [[row[place] for place in kept] for row in table.rows]
    return dataclasses.replace(table, columns=[table.columns[place] for place in kept], rows=rows)


def tests_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Return the table of the rows of :func:`~recbole_diffusion.report.paired.paired_tests`.

    A ``p`` of None, where only the corrected one was stored, is an empty cell.
    """
    cells = [
        [
            Cell(row["best"]),
            Cell(row["method"]),
            Cell(row["metric"]),
            Cell(f"{row['difference']:+.4f}", row["difference"]),
            *(Cell("" if row[name] is None else f"{row[name]:.2g}", row[name]) for name in ("p", "p_holm")),
        ]
        for row in rows
    ]
    columns = ["method", "against", "metric", "difference", "p", "p (Holm)"]
    return Table(title, columns, cells, words={"method", "against", "metric"})


def _table(found: Comparison, part: str, methods: Sequence[Method]) -> Table:
    tested = any(part in method.tests for method in found.methods)
    presets = len({method.preset for method in found.methods}) > 1
    several = any(len(method.runs) > 1 for method in found.methods)
    best = {
        metric: (min if smaller_is_better(metric) else max)(
            method.metrics[part][metric].mean for method in found.methods
        )
        for metric in found.metrics
    }
    columns = [
        "method",
        *(["preset"] if presets else []),
        "seeds",
        "chosen on",
        *found.metrics,
        *([P] if tested else []),
    ]
    built = any(method.build_seconds is not None for method in found.methods)
    columns += [*(["build s"] if built else []), "train s", "s/epoch", "peak MiB", "parameters"]
    rows = []
    for method in methods:
        metrics = [
            mean_std_cell(method.metrics[part][name], 4, method.metrics[part][name].mean == best[name])
            for name in found.metrics
        ]
        rows.append(
            [
                Cell(method.name),
                *([Cell(method.preset)] if presets else []),
                Cell(str(len(method.runs)), len(method.runs)),
                Cell("TEST" if method.selection == "test" else method.selection),
                *metrics,
                *([_p(method, part, found)] if tested else []),
                *([_seconds(method.build_seconds)] if built else []),
                mean_std_cell(method.train_seconds, 1),
                _seconds(method.epoch_seconds),
                mean_std_cell(method.peak_rss_mb, 0),
                number(method.parameters, 0),
            ]
        )
    title = f"{found.dataset}, {part}" + (", mean ± deviation over seeds" if several else "")
    return Table(title, columns, rows, words={"method", "preset", "chosen on"}, name=part)


def mean_std_cell(spread: MeanStd, digits: int, best: bool = False) -> Cell:
    """Return the cell of a mean over runs, with the standard deviation if there are several."""
    text = f"{spread.mean:,.{digits}f}"
    if spread.runs == 1:
        return Cell(text, spread.mean, None, best)
    return Cell(f"{text} ± {spread.deviation:,.{digits}f}", spread.mean, spread.deviation, best)


def _seconds(spread: MeanStd | None) -> Cell:
    return Cell("") if spread is None else mean_std_cell(spread, 2)


def _p(method: Method, part: str, found: Comparison) -> Cell:
    if part not in method.tests:
        if found.reference is not None:
            return Cell("reference" if method.name == found.reference else "")
        return Cell("best" if method.name == found.best[part] else "")
    p = method.tests[part]["p_holm"]
    return Cell(f"<{SMALL_P}" if p < SMALL_P else f"{p:.4f}", p)
