"""One self-contained HTML page: sortable tables, figures drawn by Plotly, nothing loaded from the network."""

import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib import resources
from string import Template
from typing import Any

from recbole_diffusion.report.figure import SEVERAL, Figure, PlotSeries
from recbole_diffusion.report.plotly_figure import panel_json
from recbole_diffusion.report.tables import Table, html_table
from recbole_diffusion.storage.versions import __version__

ASSETS = resources.files("recbole_diffusion.report") / "assets"
PARTS = ("page.html", "page.css", "page.js")
PAUSE = '<button id="pause" type="button" aria-pressed="false">Pause</button>'
SYMBOLS = {
    "circle": '<circle cx="7" cy="7" r="4"/>',
    "square": '<rect x="3" y="3" width="8" height="8"/>',
    "diamond": '<path d="M7 2l5 5-5 5-5-5z"/>',
    "triangle-up": '<path d="M7 2l5 9H2z"/>',
    "cross": '<path d="M5 2h4v3h3v4H9v3H5V9H2V5h3z"/>',
    "x": '<path d="M3 5l2-2 2 2 2-2 2 2-2 2 2 2-2 2-2-2-2 2-2-2 2-2z"/>',
    "star": '<path d="M7 1l1.8 4 4.2.4-3.2 2.8 1 4.3L7 10.2 3.2 12.5l1-4.3L1 5.4 5.2 5z"/>',
}
LINE = {"solid": "", "dash": "4 3", "dot": "1.5 2.5", "dashdot": "5 2 1 2"}


class HtmlPage:
    """A page that is written from top to bottom; :meth:`html` returns it.

    Args:
        title: its heading.
        subtitle: a line below the heading.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title, self.subtitle = title, subtitle
        self.sections: list[tuple[str, str]] = []  # anchor and heading
        self._parts: list[str] = []
        self._panels: list[dict[str, Any]] = []

    def section(self, title: str) -> None:
        """Begin a section, which the navigation bar links to."""
        anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        self.sections.append((anchor, title))
        self._parts.append(f'<h2 id="{anchor}">{html.escape(title)}</h2>')

    def facts(self, facts: Mapping[str, str]) -> None:
        """Show a few values in large type, by name."""
        items = "".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
            for name, value in facts.items()
        )
        self._parts.append(f'<dl class="facts">{items}</dl>')

    def note(self, text: str, warning: bool = False) -> None:
        """Add a paragraph."""
        self._parts.append(f'<p class="{"warning" if warning else "note"}">{html.escape(text)}</p>')

    def table(self, table: Table) -> None:
        """Add a table."""
        self._parts.append(html_table(table))

    def code(self, text: str) -> None:
        """Add preformatted lines."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def open_details(self, title: str) -> None:
        """Begin a block that a click unfolds."""
        self._parts.append(f"<details><summary>{html.escape(title)}</summary>")

    def close_details(self) -> None:
        """End the block of :meth:`open_details`."""
        self._parts.append("</details>")

    def figure(self, figure: Figure) -> None:
        """Add a figure with its legend and note."""
        panels = []
        for panel in figure.panels:
            title = f"<h4>{html.escape(panel.title)}</h4>" if panel.title else ""
            axes = f"{panel.y_label} by {panel.x_label}" if panel.x_label and panel.y_label else ""
            named = ": ".join(part for part in (figure.title, panel.title, axes) if part)
            label, number = html.escape(named), len(self._panels)
            place = f'<div class="plot" data-panel="{number}" role="img" aria-label="{label}"></div>'
            panels.append(f'<div class="panel">{title}{place}</div>')
            self._panels.append(panel_json(panel))
        note = f'<p class="note">{html.escape(figure.note)}</p>' if figure.note else ""
        legend = _legend(series for panel in figure.panels for series in panel.series)
        caption = f"<figcaption>{html.escape(figure.title)}</figcaption>"
        self._parts.append(
            f'<figure>{caption}{note}{legend}<div class="panels">{"".join(panels)}</div></figure>'
        )

    def figures(self, figures: Iterable[Figure | None]) -> None:
        """Add the figures that are not None."""
        for figure in figures:
            if figure is not None:
                self.figure(figure)

    def html(self, reload: float | None = None) -> str:
        """Return the page; it includes Plotly only if it has a figure.

        Args:
            reload: seconds after which the page loads itself again, for one that is still written.
        """
        assets = {name: ASSETS.joinpath(name).read_text(encoding="utf-8") for name in PARTS}
        plotly = ASSETS.joinpath("plotly-basic.min.js").read_text(encoding="utf-8") if self._panels else ""
        links = (f'<a href="#{anchor}">{html.escape(title)}</a>' for anchor, title in self.sections)
        # Inside <script> only "</" and "<!--" would end or change it.
        panels = json.dumps(self._panels, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
        return Template(assets["page.html"]).substitute(
            title=html.escape(self.title),
            subtitle=html.escape(self.subtitle),
            links="".join(links),
            content="\n".join(self._parts),
            version=__version__,
            live="" if reload is None else f' data-reload="{reload:g}"',
            pause="" if reload is None else PAUSE,
            style=assets["page.css"],
            script=assets["page.js"],
            panels=panels,
            plotly=f"<script>{plotly}</script>" if plotly else "",
        )


def _legend(all_series: Iterable[PlotSeries]) -> str:
    """Return the legend of a figure: an entry per name, which hides and shows its series."""
    by_name: dict[str, list[PlotSeries]] = defaultdict(list)
    for series in all_series:
        by_name[series.name].append(series)
    if len(by_name) < 2:
        return ""
    entries = []
    for name, of_name in by_name.items():
        colour = of_name[0].colour if len({series.colour for series in of_name}) == 1 else SEVERAL
        entries.append(
            '<button type="button" aria-pressed="true" '
            f'data-name="{html.escape(name)}">{_swatch(of_name[0], colour)}'
            f"{html.escape(name)}</button>"
        )
    return f'<div class="legend">{"".join(entries)}</div>'


def _swatch(series: PlotSeries, colour: str) -> str:
    if series.kind == "points":
        return (
            f'<svg width="14" height="14" fill="{colour}" aria-hidden="true">{SYMBOLS[series.symbol]}</svg>'
        )
    if series.kind == "bars":
        box = '<rect x="1" y="2" width="11" height="10"/>'
        return f'<svg width="14" height="14" fill="{colour}" aria-hidden="true">{box}</svg>'
    dash = f' stroke-dasharray="{LINE[series.dash]}"' if LINE[series.dash] else ""
    style = f'width="20" height="14" stroke="{colour}" stroke-width="2.5"'
    return f'<svg {style} aria-hidden="true"><path d="M1 7h18"{dash}/></svg>'
