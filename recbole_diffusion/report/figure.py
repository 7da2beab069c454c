"""A figure as data: panels of series. ``page`` shows it in a browser, ``pictures`` writes it as a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# One colour a method, readable on white and on dark grey; a method keeps its colour in all figures of a page.
COLOURS = (
    "#4878d0",
    "#e07b39",
    "#3a9e6f",
    "#d65f7a",
    "#8d6cc9",
    "#b0902f",
    "#2f9fb3",
    "#a0705a",
    "#7c8594",
    "#c06cb5",
)
DASHES = ("solid", "dash", "dot", "dashdot")
# From the first to the last of an ordered few, such as epochs.
SHADES = ((0x6F, 0x58, 0xC9), (0x2F, 0x9F, 0xB3), (0x5A, 0xB0, 0x55), (0xE0, 0x9A, 0x2B))
SEVERAL = "#7c8594"  # in a legend, for a name that has several colours
KINDS = ("line", "points", "bars", "steps")


@dataclass(frozen=True)
class PlotSeries:
    """One line, cloud of points, row of bars or histogram of a panel.

    Attributes:
        name: what the legend says; series of one name in several panels are one entry.
        x: values or words, [n]; of ``steps`` the bounds of the bins, [n + 1].
        y: values, [n]; None is a gap.
        kind: one of KINDS.
        colour: a colour, from :func:`colour_of` or :func:`shade_of`.
        dash: of a line, one of DASHES.
        symbol: of points: ``circle``, ``square``, ``diamond``, ``cross``, ``x``, ``triangle-up`` or ``star``.
        error: deviations of ``y``, [n].
        texts: hover text of each value, [n].
        faint: whether it is drawn thin, as one of many.
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    kind: str = "line"
    colour: str = COLOURS[0]
    dash: str = "solid"
    symbol: str = "circle"
    error: Sequence[float] | None = None
    texts: Sequence[str] | None = None
    faint: bool = False


@dataclass
class Panel:
    """One pair of axes.

    Attributes:
        title: what it shows.
        x_label: of the horizontal axis.
        y_label: of the vertical axis.
        series: what is drawn, later ones in front.
        x_log: whether the horizontal axis is logarithmic.
        bare: whether axes mean nothing, as after t-SNE: no ticks, and both of one scale.
        ticks: positions and texts of the horizontal axis, where numbers stand for words.
    """

    title: str
    x_label: str
    y_label: str
    series: list[PlotSeries] = field(default_factory=list)
    x_log: bool = False
    bare: bool = False
    ticks: tuple[list[float], list[str]] | None = None


@dataclass
class Figure:
    """Panels that belong together.

    Attributes:
        name: a short one, for files.
        title: shown above the panels.
        panels: at least one, each with a series.
        note: how to read it.
    """

    name: str
    title: str
    panels: list[Panel]
    note: str = ""


def colour_of(number: int) -> str:
    """Return the colour of the method with this number, from 0."""
    return COLOURS[number % len(COLOURS)]


def dash_of(number: int) -> str:
    """Return the dash of the method with this number, which tells methods of one colour apart."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def shade_of(place: float) -> str:
    """Return the colour of a place from 0, the first, to 1, the last."""
    at = min(max(place, 0.0), 1.0) * (len(SHADES) - 1)
    low = min(int(at), len(SHADES) - 2)
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(SHADES[low], SHADES[low + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
