"""A figure as data: panels of series. ``page`` shows it in a browser, ``pictures`` writes it as a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

# One colour per method, readable on white and on dark grey, the same in all figures of a page.
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


class SeriesStyle(TypedDict, total=False):
    """How a series is drawn: the optional arguments of :class:`PlotSeries`, shared by several series."""

    kind: str
    colour: str
    dash: str
    symbol: str
    error: Sequence[float] | None
    texts: Sequence[str] | None
    faint: bool


@dataclass(frozen=True)
class PlotSeries:
    """One line, scatter plot, group of bars or histogram of a panel.

    Attributes:
        name: its legend entry; series of the same name in several panels share one entry.
        x: values or categories, [n]; for ``steps`` the bin edges, [n + 1].
        y: values, [n]; None is a gap.
        kind: one of KINDS.
        colour: a colour, from :func:`colour_of` or :func:`shade_of`.
        dash: line style, one of DASHES.
        symbol: marker: ``circle``, ``square``, ``diamond``, ``cross``, ``x``, ``triangle-up`` or ``star``.
        error: standard deviations of ``y``, [n], drawn as error bars.
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

    @classmethod
    def from_points(
        cls, name: str, points: Iterable[tuple[Any, float | None]], **style: Unpack[SeriesStyle]
    ) -> "PlotSeries":
        """Return the series through (x, y) points."""
        pairs = list(points)
        return cls(name, tuple(x for x, _ in pairs), tuple(y for _, y in pairs), **style)


@dataclass
class Panel:
    """One pair of axes.

    Attributes:
        title: what it shows.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        series: what is drawn, later ones in front.
        x_log: whether the horizontal axis is logarithmic.
        bare: whether the axes carry no meaning, as after t-SNE: no ticks, equal scales.
        ticks: positions and labels of the horizontal axis, for categories.
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
        name: short name, used for files.
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
    """Return the line style of the method with this number, which tells methods of the same colour apart."""
    return DASHES[number // len(COLOURS) % len(DASHES)]


def shade_of(place: float) -> str:
    """Return the colour of a position between 0, the first, and 1, the last."""
    at = min(max(place, 0.0), 1.0) * (len(SHADES) - 1)
    low = min(int(at), len(SHADES) - 2)
    mixed = (round(a + (b - a) * (at - low)) for a, b in zip(SHADES[low], SHADES[low + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
