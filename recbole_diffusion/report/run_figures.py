"""The figures that all runs have: learning, losses, groups of items and users, accuracy against time."""

import itertools
from collections.abc import Mapping, Sequence

from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.comparison import Comparison, MeanStd
from recbole_diffusion.report.figure import (
    Figure,
    Panel,
    PlotSeries,
    SeriesStyle,
    colour_of,
    dash_of,
    shade_of,
)
from recbole_diffusion.report.runs import RunRecord

MOST_PARTS = 8  # panels of loss parts


def method_style(number: int) -> SeriesStyle:
    """Return colour and dash of the method with this number."""
    return {"colour": colour_of(number), "dash": dash_of(number)}


def learning_curves(methods: Mapping[str, Sequence[RunRecord]], metric: str) -> Figure | None:
    """Return a validation metric by epoch and by time, one line per run; None if no run has validated."""
    by_epoch = Panel("by epoch", "epoch", f"validation {metric}")
    by_time = Panel("by time of training and validation", "seconds", f"validation {metric}")
    for number, (name, runs) in enumerate(methods.items()):
        for run in runs:
            points = validations(run, metric)
            if not points:
                continue
            epochs, seconds, values = zip(*points, strict=True)
            texts = [
                f"{name}, seed {run.seed}<br>epoch {epoch}: {value:.5g}"
                for epoch, value in zip(epochs, values, strict=True)
            ]
            style: SeriesStyle = {**method_style(number), "faint": len(runs) > 1, "texts": texts}
            by_epoch.series.append(PlotSeries(name, epochs, values, **style))
            by_time.series.append(PlotSeries(name, seconds, values, **style))
    if not by_epoch.series:
        return None
    chosen = {run.selection for runs in methods.values() for run in runs}
    note = "One line per seed. " if any(len(runs) > 1 for runs in methods.values()) else ""
    if "test" in chosen:
        note += "Where the epoch was chosen on test, the validation part is the test part."
    return Figure(
        "learning curves", f"Learning: {metric} on the validation part", [by_epoch, by_time], note.strip()
    )


def validations(run: RunRecord, metric: str) -> list[tuple[int, float, float]]:
    """Return epoch (from 0), seconds of training and validation until then, and metric of each validation."""
    seconds = 0.0
    points: list[tuple[int, float, float]] = []
    for record in run.epochs:
        seconds += record.get("train_seconds", 0.0) + record.get("valid_seconds", 0.0)
        value = record.get("valid", {}).get(metric)
        if value is not None:
            points.append((record["epoch"], round(seconds, 3), value))
    return points


def loss_parts(name: str, runs: Sequence[RunRecord]) -> Figure | None:
    """Return the loss by epoch, one panel per part, one line per seed; None for fewer than two epochs.

    A run without epochs, such as a copy that kept its result alone, has no line.
    """
    if max(len(run.epochs) for run in runs) < 2:
        return None  # EASE, Pop and others that are fitted in one step
    parts = list(
        dict.fromkeys(part for run in runs for record in run.epochs for part in record.get("loss", {}))
    )[:MOST_PARTS]
    panels = []
    for part in parts:
        panel = Panel(part, "epoch", "loss")
        for number, run in enumerate(runs):
            points = [
                (record["epoch"], record["loss"][part])
                for record in run.epochs
                if part in record.get("loss", {})
            ]
            if points:
                colour = shade_of(number / max(1, len(runs) - 1))
                panel.series.append(
                    PlotSeries.from_points(f"seed {run.seed}", points, colour=colour, faint=len(runs) > 1)
                )
        panels.append(panel)
    if not panels:
        return None
    return Figure(f"loss {name}", f"Loss of {name}, by part", panels, "Mean over the batches of an epoch.")


def groups(found: Comparison) -> list[Figure]:
    """Return the metrics by item popularity and user activity, one figure per test part."""
    figures = []
    for part in found.parts:
        items = [
            panel
            for panel in (
                _group_panel(found, part, "item_popularity", group_metric(found)),
                _shares(found, part),
            )
            if panel
        ]
        users = _group_panel(found, part, "user_activity", group_metric(found))
        panels = [*items, *([users] if users else [])]
        if panels:
            note = (
                "Group 1 is the most popular or most active. All groups of items have the same number of "
                "items, all groups of users the same number of users. In brackets: training rows per member."
            )
            figures.append(
                Figure(
                    f"groups {part}",
                    f"{group_metric(found)} by group of items and users, {part}",
                    panels,
                    note,
                )
            )
    return figures


def group_metric(found: Comparison) -> str:
    """Return the metric to show by group: the comparison's if groups have it, else their first."""
    tables = (
        table
        for method in found.methods
        for run in method.runs
        for kinds in run.result.get("groups", {}).values()
        for table in kinds.values()
    )
    row: Mapping[str, float] = next((table[0] for table in tables if table), {})
    known = [name for name in row if name.startswith(("recall@", "ndcg@"))]
    return found.by if found.by in known or not known else known[0]


def _group_panel(found: Comparison, part: str, kind: str, metric: str) -> Panel | None:
    what = {"item_popularity": "popularity of the item", "user_activity": "activity of the user"}[kind]
    panel = Panel(what, "group", metric)
    for number, method in enumerate(found.methods):
        tables = [run.result.get("groups", {}).get(part, {}).get(kind) for run in method.runs]
        if not tables or not all(tables) or any(metric not in row for table in tables for row in table):
            continue
        panel.series.append(group_bars(method.name, number, tables, metric))
    return panel if panel.series else None


def group_bars(
    name: str, number: int, tables: Sequence[Sequence[Mapping[str, float]]], metric: str
) -> PlotSeries:
    """Return the bars of one method: the mean of each group over runs, with the standard deviation.

    Args:
        name: the method's name.
        number: its number on the page.
        tables: of each run, a row a group, with ``group`` from 0 and the metric; ``smallest_count`` and
            ``largest_count`` stand in the label where they are there.
        metric: what is shown.
    """
    values: dict[float, list[float]] = {}
    labels: dict[float, str] = {}
    for row in itertools.chain.from_iterable(tables):
        values.setdefault(row["group"], []).append(row[metric])
        labels.setdefault(row["group"], _group_label(row))
    order = sorted(values)
    spreads = [MeanStd.from_values(values[group]) for group in order]
    several = len(tables) > 1
    return PlotSeries(
        name,
        [labels[group] for group in order],
        [spread.mean for spread in spreads],
        kind="bars",
        colour=colour_of(number),
        error=[spread.deviation for spread in spreads] if several else None,
    )


def _group_label(row: Mapping[str, float]) -> str:
    if "smallest_count" not in row:
        return f"{row['group'] + 1}"
    low, high = row["smallest_count"], row["largest_count"]
    return f"{row['group'] + 1} ({low}–{high})" if low != high else f"{row['group'] + 1} ({low})"


def _shares(found: Comparison, part: str) -> Panel | None:
    """Return the share of recommendations each group of items gets, beside its share of held-out rows."""
    panel = Panel("share of recommendations", "group of items by popularity", "share")
    held_out: PlotSeries | None = None
    for number, method in enumerate(found.methods):
        tables = [run.result.get("groups", {}).get(part, {}).get("item_popularity") for run in method.runs]
        if not tables or not all(tables):
            continue
        share = next((name for name in sorted(tables[0][0]) if name.startswith("share@")), None)
        if share is None:
            continue
        total = sum(row["held_out"] for row in tables[0])
        table = [{**row, "held": row["held_out"] / total} for row in tables[0]]
        bars = group_bars("held-out rows", 0, [table], "held")
        held_out = held_out or PlotSeries(bars.name, bars.x, bars.y, kind="bars", colour="#9aa1ab")
        panel.y_label = f"{share.replace('share', 'share of top ').replace('@', '')}"
        panel.series.append(group_bars(method.name, number, tables, share))
    if held_out:
        panel.series.append(held_out)
    return panel if panel.series else None


def accuracy_against_time(found: Comparison) -> Figure | None:
    """Return the metric of each method on each test part against its cost in seconds; None for one method."""
    if len(found.methods) < 2:
        return None
    panels = []
    for part in found.parts:
        panel = Panel(part, "seconds of making and training, mean over seeds", found.by, x_log=True)
        for number, method in enumerate(found.methods):
            spread, seconds = method.metrics[part][found.by], method.cost_seconds
            text = f"{method.name}<br>{found.by} {spread.mean:.4f}<br>{seconds:,.1f} s"
            error = [spread.deviation] if spread.runs > 1 else None
            point: SeriesStyle = {
                "kind": "points",
                "colour": colour_of(number),
                "texts": [text],
                "error": error,
            }
            # A method that trains for no time, such as Pop, still needs a place on a logarithmic axis.
            panel.series.append(PlotSeries(method.name, [max(seconds, 0.01)], [spread.mean], **point))
        panels.append(panel)
    better = "Lower" if smaller_is_better(found.by) else "Higher"
    note = f"{better} and further left is better. Seconds depend on the machine of each run."
    return Figure("accuracy against time", "Accuracy against training time", panels, note)
