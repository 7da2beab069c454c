"""A panel as Plotly's JSON. The colours of text and grid come from the page, which may be light or dark."""

import math
from collections.abc import Iterable
from typing import Any

from recbole_diffusion.report.figure import Panel, PlotSeries

DIGITS = 6


def panel_json(panel: Panel) -> dict[str, Any]:
    """Return ``data`` and ``layout`` for ``Plotly.newPlot``."""
    axes: dict[str, Any] = {
        "xaxis": {"title": {"text": panel.x_label}, **({"type": "log"} if panel.x_log else {})},
        "yaxis": {"title": {"text": panel.y_label}},
    }
    if panel.ticks:
        axes["xaxis"] |= {"tickvals": panel.ticks[0], "ticktext": panel.ticks[1]}
    if panel.bare:
        axes["xaxis"] |= {"showticklabels": False, "zeroline": False, "showgrid": False}
        axes["yaxis"] |= {"showticklabels": False, "zeroline": False, "showgrid": False, "scaleanchor": "x"}
    return {"data": [_trace(series) for series in panel.series], "layout": {"barmode": "group", **axes}}


def _trace(series: PlotSeries) -> dict[str, Any]:
    trace: dict[str, Any] = {"name": series.name, "x": _rounded(series.x), "y": _rounded(series.y)}
    line = {"color": series.colour, "width": 1.3 if series.faint else 2, "dash": series.dash}
    if series.kind == "bars":
        trace |= {"type": "bar", "marker": {"color": series.colour}}
    elif series.kind == "points":
        marker = {
            "color": series.colour,
            "symbol": series.symbol,
            "size": 6 if series.faint else 10,
            "opacity": 0.85,
        }
        trace |= {"type": "scatter", "mode": "markers", "marker": marker}
    elif series.kind == "steps":
        trace |= {"type": "scatter", "mode": "lines", "line": {**line, "shape": "hv"}}
        trace["y"] = [*trace["y"], trace["y"][-1]]
    else:
        few = len(series.x) <= 30 and not series.faint
        marker = {"color": series.colour, "size": 4}
        trace |= {
            "type": "scatter",
            "mode": "lines+markers" if few else "lines",
            "line": line,
            "marker": marker,
        }
        trace["opacity"] = 0.7 if series.faint else 1
    if series.error is not None:
        trace["error_y"] = {"type": "data", "array": _rounded(series.error), "thickness": 1, "width": 3}
    if series.texts is not None:
        trace |= {"text": list(series.texts), "hovertemplate": "%{text}<extra></extra>"}
    return trace


def _rounded(values: Iterable[Any]) -> list[Any]:
    """Return plain values, numbers with six significant digits; values that are not finite are gaps."""
    plain: list[Any] = []
    for value in values:
        if isinstance(value, str) or value is None:
            plain.append(value)
        else:
            value = float(value)
            plain.append(float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None)
    return [int(value) if isinstance(value, float) and value.is_integer() else value for value in plain]
