"""A described data set as lines of text and as a page with figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_diffusion.data.valid_shift import UNSHIFTED
from recbole_diffusion.errors import counted
from recbole_diffusion.prepare.own.number_times import number_form
from recbole_diffusion.prepare.own.times import date_text
from recbole_diffusion.report.data_splits import GROUPS, SplitSummary
from recbole_diffusion.report.data_summary import DataSummary
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of, dash_of
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.tables import Cell, Table, number
from recbole_diffusion.storage.yaml_io import dump_value

POINTS = 300  # of a line
BINS = 40
ALL_ROWS = "all rows"


def lines_of(found: DataSummary) -> list[str]:
    """Return a description as lines of text."""
    lines = [
        f"{found.dataset}: {counted(found.rows, 'row')}, {counted(found.users, 'user')}, "
        f"{counted(found.items, 'item')}, density {found.density:.4%}"
    ]
    if found.rows_read != found.rows:
        lines.append(f"filters   leave {found.rows:,} of {counted(found.rows_read, 'row')}")
    if found.repeats:
        remedy = "--rm_dup_inter=last keeps one of each pair, --repeatable=True ranks seen items too"
        lines.append(f"repeats   {counted(found.repeats, 'row')} of a pair that is there already; {remedy}")
    for what, counts in (("user", found.of_users), ("item", found.of_items)):
        small = ", ".join(f"{counts[name]:,.0f} have {name}" for name in ("one", "two") if counts[name])
        lines.append(
            f"{what + 's':9} {counts['least']:,.0f} to {counts['most']:,.0f} rows each, median "
            f"{counts['median']:g}, mean {counts['mean']:g}{'; ' + small if small else ''}"
        )
    lines.append(
        "popular   " + ", ".join(f"top {part} of items: {share:.1%}" for part, share in found.top.items())
    )
    lines += [f"ratings   {_ratings_text(found.ratings)}"] if found.ratings else []
    if found.negatives:
        lines.append(
            f"labels    {counted(found.negatives, 'row')} with the label 0, counted as positives here; most "
            "models refuse them: keep the others with val_interval and load_col"
        )
    lines += [f"times     {_times_text(found.times, found.rows)}"]
    return [*lines, "", *_split_lines(found.splits)]


def _ratings_text(ratings: dict[str, float]) -> str:
    missing = f", {counted(int(ratings['missing']), 'row')} without" if ratings["missing"] else ""
    return (
        f"{ratings['least']:g} to {ratings['most']:g}, mean {ratings['mean']:g}, "
        f"{counted(int(ratings['values']), 'different value')}{missing}"
    )


def _times_text(times: dict[str, Any] | None, rows: int) -> str:
    if times is None:
        return "none"
    if "from" not in times:
        return times["unusable"]
    tied = f"; {times['tied'] / rows:.1%} of the rows share their time with another of the user"
    ends = [f"; {times[name]}" for name in ("doubts", "unusable") if name in times]
    return f"{times['from']} to {times['to']} ({times['unit']}){tied if times['tied'] else ''}{''.join(ends)}"


def _split_lines(splits: Sequence[SplitSummary]) -> list[str]:
    """Return a table of the splits, then their options and what is wrong with them."""
    width = max(len(split.title) for split in splits) + 2
    head = ["train", "valid", "test", "test_ood", "untested", "unknown", "in two"]
    lines = [f"{'split':{width}}" + "".join(f"{name:>11}" for name in head)]
    for split in splits:
        mark = "* " if split.own else "  "
        if split.refused:
            lines.append(f"{mark + split.title:{width}}  {split.refused}")
            continue
        cells = [f"{value:,}" if value is not None else "-" for value in _numbers(split)]
        lines.append(f"{mark + split.title:{width}}" + "".join(f"{cell:>11}" for cell in cells))
    lines += [
        "* what a run with these options gets. train to test_ood: rows. untested: users without a row in",
        "the last test part. unknown: held-out rows of a user or an item without a row in train. in two:",
        "pairs of user and item in two parts, which a run refuses.",
        *_unshifted_line(splits),
        "",
    ]
    lines += [f"{split.title}: {options_text(split.options)}" for split in splits]
    return lines


def _unshifted_line(splits: Sequence[SplitSummary]) -> list[str]:
    """Return what is said where valid is cut from train: the split's own part has no column."""
    if not any(UNSHIFTED in split.parts for split in splits):
        return []
    return [
        f"Valid is the part that valid_shift cuts from train; the split's own, {UNSHIFTED}, is not shown."
    ]


def _numbers(split: SplitSummary) -> list[int | None]:
    rows = [part["rows"] for name, part in split.parts.items() if name != UNSHIFTED]
    return [*rows, *[None] * (4 - len(rows)), split.untested, split.unknown, split.overlap]


def options_text(options: dict[str, Any]) -> str:
    """Return options as words of a command line."""
    return " ".join(
        f'--{name}="{dump_value(value)}"' if isinstance(value, dict | list) else f"--{name}={value}"
        for name, value in options.items()
    )


def page_of(found: DataSummary) -> tuple[HtmlPage, list[Figure]]:
    """Return the page of a description and its figures."""
    page = HtmlPage(found.dataset, "a data set before a model learns from it")
    facts = {
        "rows": f"{found.rows:,}",
        "users": f"{found.users:,}",
        "items": f"{found.items:,}",
        "density": f"{found.density:.4%}",
        "repeated rows": f"{found.repeats:,}",
        "rows of a user (median)": f"{found.of_users['median']:g}",
        "rows of an item (median)": f"{found.of_items['median']:g}",
    }
    page.facts(facts | ({"ratings": _ratings_text(found.ratings)} if found.ratings else {}))
    page.code("\n".join(line for line in lines_of(found)[: lines_of(found).index("")]))
    figures = [popularity_figure(found), *([time_figure(found)] if len(found.time_values) else [])]
    page.section("Users and items")
    page.figures(figures)
    page.section("Splits")
    page.table(_table(found.splits))
    splits = splits_figure(found.splits)
    if splits is not None:
        page.figure(splits)
        figures.append(splits)
    return page, figures


def _table(splits: Sequence[SplitSummary]) -> Table:
    parts = ["train", "valid", "test", "test_ood"]
    columns = ["split", *parts, "untested users", "unknown rows", "pairs in two parts"]
    rows = []
    for split in splits:
        cells = [number(value, 0) for value in _numbers(split)] if not split.refused else [Cell("")] * 7
        rows.append(
            [
                Cell(f"{split.title} (a run's own)" if split.own else split.title),
                *cells,
                Cell(split.refused or options_text(split.options)),
            ]
        )
    note = (
        "Rows of each part. Untested users have no row in the last test part; unknown rows are held out of a "
        "user or an item without a row in train; pairs in two parts make a run refuse the split."
    )
    notes = [note, *_unshifted_line(splits)]
    return Table("", [*columns, "options, or why not"], rows, {"split", "options, or why not"}, notes)


def popularity_figure(found: DataSummary) -> Figure:
    """Return how the rows lie over items and users, from those with most rows to those with fewest."""
    by_rank = Panel("rows by rank", "rank (log)", "rows", x_log=True)
    share = Panel("share of the rows", "share of the items or users", "share of the rows")
    for place, (name, counts) in enumerate((("items", found.item_counts), ("users", found.user_counts))):
        ranks = np.unique(np.geomspace(1, len(counts), min(POINTS, len(counts))).round().astype(int))
        colour = colour_of(place)
        by_rank.series.append(PlotSeries(name, ranks.tolist(), counts[ranks - 1].tolist(), colour=colour))
        at = np.unique(np.linspace(1, len(counts), min(POINTS, len(counts))).round().astype(int))
        shares = np.r_[0.0, (np.cumsum(counts) / counts.sum())[at - 1]]
        x = np.r_[0.0, at / len(counts)]
        share.series.append(PlotSeries(name, x.round(5).tolist(), shares.round(5).tolist(), colour=colour))
    return Figure("popularity", "Popularity of items, activity of users", [by_rank, share])


def time_figure(found: DataSummary) -> Figure:
    """Return the rows over time."""
    form = number_form(found.time_values)
    counts, edges = np.histogram(form.seconds[~np.isnan(form.seconds)], BINS)
    places = np.linspace(edges[0], edges[-1], 5)
    texts = [date_text(one)[:10] if form.unit != "none" else f"{one:g}" for one in places]
    panel = Panel("", "time", "rows", ticks=(places.tolist(), texts))
    panel.series.append(PlotSeries("rows", edges.tolist(), counts.tolist(), kind="steps"))
    return Figure("time", "Rows over time", [panel])


def splits_figure(splits: Sequence[SplitSummary]) -> Figure | None:
    """Return the popularity of the items that each split tests, beside that of its training part."""
    panels = []
    deciles = list(range(1, GROUPS + 1))
    for place, part in enumerate(("the last test part", "train")):
        panel = Panel(part, "tenth of the items, the most popular first", "share of the rows")
        for number_of, split in enumerate(splits):
            if split.popularity:
                shares = split.popularity["train"] if place else list(split.popularity.values())[-1]
                style = {"colour": colour_of(number_of), "dash": dash_of(number_of)}
                panel.series.append(PlotSeries(split.title, deciles, shares, **style))  # type: ignore[arg-type]
        panels.append(panel)
    if not panels[0].series:
        return None
    note = "Where a line falls less steeply, rarer items are to be found, which is harder for any model."
    return Figure("splits by popularity", "Which items a split tests", panels, note)
