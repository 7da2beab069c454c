"""Figures as files, by matplotlib."""

import copy
import functools
import math
import re
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.report.figure import SEVERAL, Figure, Panel, PlotSeries
from recbole_diffusion.storage.atomic import write_whole

SUFFIXES = ("png", "svg", "pdf")
HOW_TO_INSTALL = "pip install 'recbole-diffusion[plots]'"
PANEL = (4.6, 3.6)  # inches
LETTER, LEGEND_ROW = 0.075, 0.19  # inches of a letter and of a row of the legend
MOST_COLUMNS = 3
DOTS_PER_INCH = 150
LINES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
SYMBOLS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "cross": "P",
    "x": "X",
    "triangle-up": "^",
    "star": "*",
}


def require_matplotlib() -> None:
    """Check that matplotlib is installed.

    Raises:
        UsageError: it is not.
    """
    if util.find_spec("matplotlib") is None:
        raise UsageError(f"pictures need matplotlib, which is not installed: {HOW_TO_INSTALL}")


def write_pictures(figures: Sequence[Figure], folder: Path, suffix: str = "png") -> list[Path]:
    """Draw each figure into a file of the folder, which is created; return the files.

    Raises:
        UsageError: matplotlib is not installed, or the suffix is not one of SUFFIXES.
        RunError: a file cannot be written.
    """
    require_matplotlib()
    if suffix not in SUFFIXES:
        raise UsageError(f"pictures are written as {', '.join(SUFFIXES)}, not {suffix!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {folder} for pictures: {error}; name another folder") from error
    files = []
    for number, figure in enumerate(figures, start=1):
        path = folder / f"{number:02d}-{re.sub(r'[^a-z0-9]+', '-', figure.name.lower()).strip('-')}.{suffix}"
        save = functools.partial(draw(figure).savefig, format=suffix, dpi=DOTS_PER_INCH, bbox_inches="tight")
        write_whole(path, save)
        files.append(path)
    return files


def write_or_explain(figures: Sequence[Figure], folder: Path) -> str:
    """Write pictures that are an extra; return where they are, or why there are none."""
    try:
        files = write_pictures(figures, folder)
    except (UsageError, RunError) as error:
        return f"no pictures: {error}"
    return f"{counted(len(files), 'picture')} in {folder}"


def draw(figure: Figure) -> Any:
    """Return a matplotlib figure with the panels and one legend below them."""
    # Not pyplot: no display, and no state shared with the caller's figures.
    from matplotlib.figure import Figure as Canvas

    columns = min(MOST_COLUMNS, len(figure.panels))
    rows = math.ceil(len(figure.panels) / columns)
    names = list(dict.fromkeys(series.name for panel in figure.panels for series in panel.series))
    fitting = int(PANEL[0] * columns / (0.5 + max(map(len, names)) * LETTER))
    beside = max(1, min(6, fitting))  # entries in a row of the legend
    under = math.ceil(len(names) / beside) * LEGEND_ROW if len(names) > 1 else 0.0
    canvas = Canvas(figsize=(PANEL[0] * columns, PANEL[1] * rows + under), layout="constrained")
    canvas.suptitle(figure.title, fontsize=11)
    handles: dict[str, Any] = {}
    for number, panel in enumerate(figure.panels, start=1):
        axes = canvas.add_subplot(rows, columns, number)
        for name, handle in _draw_panel(axes, panel).items():
            handles.setdefault(name, handle)
    _grey_where_several(figure, handles)
    if len(handles) > 1:
        canvas.legend(handles.values(), list(handles), loc="outside lower center", fontsize=8, ncols=beside)
    return canvas


def _grey_where_several(figure: Figure, handles: dict[str, Any]) -> None:
    """Give names that have several colours a grey handle, so that none of the colours is singled out."""
    every = [series for panel in figure.panels for series in panel.series]
    for name, handle in handles.items():
        if len({series.colour for series in every if series.name == name}) > 1:
            handles[name] = copy.copy(handle)
            handles[name].set_color(SEVERAL)


def _draw_panel(axes: Any, panel: Panel) -> dict[str, Any]:
    axes.set_title(panel.title, fontsize=9)
    axes.set_xlabel(panel.x_label, fontsize=8)
    axes.set_ylabel(panel.y_label, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    bars = [series for series in panel.series if series.kind == "bars"]
    handles = {}
    for series in panel.series:
        handles[series.name] = (
            _draw_bars(axes, series, bars) if series.kind == "bars" else _draw(axes, series)
        )
    if panel.x_log:
        axes.set_xscale("log")
    if panel.bare:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    else:
        axes.grid(axis="y", alpha=0.25)
        axes.set_axisbelow(True)
    if panel.ticks:
        axes.set_xticks(*panel.ticks)
    return handles


def _draw(axes: Any, series: PlotSeries) -> Any:
    y = [math.nan if value is None else value for value in series.y]
    width = 0.9 if series.faint else 1.6
    if series.kind == "steps":
        return axes.stairs(y, series.x, color=series.colour, linewidth=width)
    if series.kind == "points":
        style = {
            "marker": SYMBOLS[series.symbol],
            "linestyle": "none",
            "markersize": 3.5 if series.faint else 7,
            "alpha": 0.85,
        }
    else:
        style = {"linestyle": LINES[series.dash], "linewidth": width, "alpha": 0.7 if series.faint else 1}
    if series.error is not None:
        return axes.errorbar(
            series.x, y, yerr=series.error, color=series.colour, elinewidth=0.8, capsize=2, **style
        )
    return axes.plot(series.x, y, color=series.colour, **style)[0]


def _draw_bars(axes: Any, series: PlotSeries, bars: list[PlotSeries]) -> Any:
    """Draw one series of bars beside the others of its panel, as Plotly groups them."""
    words = list(dict.fromkeys(word for one in bars for word in one.x))
    width = 0.8 / len(bars)
    shift = (bars.index(series) - (len(bars) - 1) / 2) * width
    places = [words.index(word) + shift for word in series.x]
    axes.set_xticks(
        range(len(words)),
        words,
        rotation=20 if max(len(str(word)) for word in words) > 10 else 0,
        ha="center",
    )
    error = {} if series.error is None else {"yerr": series.error, "error_kw": {"elinewidth": 0.8}}
    y = [math.nan if value is None else value for value in series.y]
    return axes.bar(places, y, width, color=series.colour, label=series.name, **error)
