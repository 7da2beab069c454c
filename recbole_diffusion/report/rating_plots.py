"""Plots of predicted ratings, from what a run folder holds; matplotlib is imported late and may be missing."""

import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

from recbole_diffusion.storage.run_folder import RunFolder

SHOWN_EPOCHS = 6


def plot_ratings(folder: RunFolder, report: dict[str, Any]) -> list[Path]:
    """Draw how predicted ratings are distributed by epoch, for rated and other items, and at the end beside the actual ones.

    Args:
        folder: a run folder with ``metrics.jsonl``.
        report: rating reports by test part, as ``result.json`` has them under ``rated``.

    Returns:
        The files written, ``ratings_<what>.png`` in the run folder; none where matplotlib is not installed,
        and the log says so.
    """
    reports = {part: values for part, values in report.items() if "counts" in values}
    lines = folder.metrics.read_text().splitlines() if folder.metrics.is_file() else []
    records = [record for record in map(json.loads, lines) if "ratings" in record]
    if not reports:
        return []
    if importlib.util.find_spec("matplotlib") is None:
        logging.getLogger().info(
            "plots of predicted ratings are skipped, matplotlib is not installed (pip install "
            "'recbole-diffusion[plots]'); their "
            "data is in metrics.jsonl and result.json"
        )
        return []
    drawn = [_by_epoch(folder, records, kind) for kind in ("rated", "unrated") if records]
    return drawn + [_beside_actual(folder, part, values) for part, values in reports.items()]


def shown(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most SHOWN_EPOCHS records, evenly spaced, the first and the last among them."""
    last = len(records) - 1
    places = {round(k * last / (SHOWN_EPOCHS - 1)) for k in range(SHOWN_EPOCHS)}
    return [records[place] for place in sorted(places)]


def shares(counts: list[int]) -> list[float]:
    """Return counts divided by their sum, zeros where there are none."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _axes() -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel("predicted rating")
    axes.set_ylabel("share")
    return axes


def _by_epoch(folder: RunFolder, records: list[dict[str, Any]], kind: str) -> Path:
    axes = _axes()
    for record in shown(records):
        axes.stairs(
            shares(record["ratings"][kind]), record["ratings"]["edges"], label=f"epoch {record['epoch']}"
        )
    axes.set_title(f"{kind} items of the validation users")
    axes.legend()
    path = folder.path / f"ratings_{kind}.png"
    axes.figure.savefig(path)
    return path


def _beside_actual(folder: RunFolder, part: str, report: dict[str, Any]) -> Path:
    axes = _axes()
    counts = report["counts"]
    for kind, label in (
        ("rated", "predicted"),
        ("actual", "actual"),
        ("unrated", "predicted, unrated items"),
    ):
        axes.stairs(shares(counts[kind]), counts["edges"], label=label)
    axes.set_title(f"{part}: KL(predicted || actual) {report['distribution']['kl']:.3f}")
    axes.legend()
    path = folder.path / f"ratings_{part}.png"
    axes.figure.savefig(path)
    return path
