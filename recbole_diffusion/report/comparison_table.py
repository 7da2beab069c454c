"""The tables of a comparison: a row a method, one table for each test part."""

from recbole_diffusion.report.comparison import Comparison, MeanStd, Method, smaller_is_better
from recbole_diffusion.report.tables import Cell, Table, number

SMALL_P = 0.0001


def comparison_tables(found: Comparison) -> list[Table]:
    """Return a table for each test part, best method first; the notes stand under the last one."""
    tables = [_table(found, part) for part in found.parts]
    tables[-1].notes = list(found.notes)
    return tables


def _table(found: Comparison, part: str) -> Table:
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
        *(["p (Holm)"] if tested else []),
    ]
    columns += ["train s", "s/epoch", "peak MiB", "parameters"]
    rows = []
    for method in found.ranked(part):
        metrics = [
            _spread(method.metrics[part][name], 4, method.metrics[part][name].mean == best[name])
            for name in found.metrics
        ]
        rows.append(
            [
                Cell(method.name),
                *([Cell(method.preset)] if presets else []),
                Cell(str(len(method.runs)), len(method.runs)),
                Cell("validation" if method.selection == "validation" else "TEST"),
                *metrics,
                *([_p(method, part, found.best[part])] if tested else []),
                _spread(method.train_seconds, 1),
                Cell("") if method.epoch_seconds is None else _spread(method.epoch_seconds, 2),
                _spread(method.peak_rss_mb, 0),
                number(method.parameters, 0),
            ]
        )
    title = f"{found.dataset}, {part}" + (", mean ± deviation over seeds" if several else "")
    return Table(title, columns, rows, words={"method", "preset", "chosen on"}, name=part)


def _spread(spread: MeanStd, digits: int, best: bool = False) -> Cell:
    text = f"{spread.mean:,.{digits}f}"
    if spread.runs == 1:
        return Cell(text, spread.mean, None, best)
    return Cell(f"{text} ± {spread.deviation:,.{digits}f}", spread.mean, spread.deviation, best)


def _p(method: Method, part: str, best: str) -> Cell:
    if part not in method.tests:
        return Cell("best" if method.name == best else "")
    p = method.tests[part]["p_holm"]
    return Cell(f"<{SMALL_P}" if p < SMALL_P else f"{p:.4f}", p)
