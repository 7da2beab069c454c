"""The figures of a sweep: what the options did, how the trials learned, what they cost."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, shade_of
from recbole_diffusion.report.sweep import is_number, short, trial_name
from recbole_diffusion.storage import yaml_io

MOST_LINES = 60  # trials in the figure of learning curves: the best ones
MOST_OPTIONS = 9  # panels, one per option


def sweep_figures(
    folder: Path, sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]
) -> tuple[list[Figure], list[Figure]]:
    """Return the figures of a sweep: of its options, and of how the trials learned.

    Args:
        folder: the sweep's.
        sweep: content of ``sweep.json``.
        trials: those with a score, the best first.
    """
    of_options = [options_together(sweep, trials), options_one_by_one(sweep, trials)]
    return [figure for figure in of_options if figure], learning_and_cost(folder, sweep, trials)


def options_together(sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return parallel coordinates: one line per trial, through the ranks of its options to its score."""
    varied = varied_options(trials)
    if not varied or len(trials) < 2:
        return None
    scores = [trial["score"] for trial in trials]
    low, high = min(scores), max(scores)
    panel = Panel(
        "",
        "",
        "rank of the value, and the score",
        ticks=(list(range(len(varied) + 1)), [*varied, sweep["valid_metric"]]),
    )
    for trial in reversed(trials):
        ranks = [
            values.index(trial["options"].get(name)) / (len(values) - 1) for name, values in varied.items()
        ] + [(trial["score"] - low) / (high - low) if high > low else 1.0]
        name = "best" if trial is trials[0] else "other trials"
        style = _style(trial, trials, [_text(trial, sweep["valid_metric"])] * len(ranks))
        panel.series.append(PlotSeries(name, list(range(len(ranks))), ranks, **style))
    note = (
        f"Values of an option are placed by rank; the score runs from {low:.4g} to {high:.4g}. "
        "Colours: worst to best."
    )
    return Figure("options together", "All options of each trial", [panel], note)


def options_one_by_one(sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return the score against each option, one panel per option."""
    panels = []
    for name, values in list(varied_options(trials).items())[:MOST_OPTIONS]:
        numeric = all(is_number(value) for value in values)
        positive = numeric and min(values) > 0
        panel = Panel(name, name, sweep["valid_metric"], x_log=positive and max(values) >= 10 * min(values))
        if not numeric:
            panel.ticks = (list(range(len(values))), [short(value)[:24] for value in values])
        for trial in reversed(trials):
            x = trial["options"].get(name)
            x = x if numeric else values.index(x)
            which = "best" if trial is trials[0] else "other trials"
            style = _style(trial, trials, [_text(trial, sweep["valid_metric"])], kind="points")
            panel.series.append(PlotSeries(which, [x], [trial["score"]], **style))
        panels.append(panel)
    return Figure("options one by one", "Score against each option", panels) if panels else None


def learning_and_cost(
    folder: Path, sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]
) -> list[Figure]:
    """Return the learning curves (by trial for models fitted in one step), and score against time."""
    metric = sweep["valid_metric"]
    label = f"{sweep.get('selection', 'validation')} {metric}"
    found = [
        (trial, validations_of_trial(folder / trial["folder"] / "metrics.jsonl", metric))
        for trial in trials[:MOST_LINES]
    ]
    found = [(trial, points) for trial, points in found if points]
    if found and all(len(points) == 1 for _, points in found):
        learning = Panel("", "trial", label, _by_trial(sweep, trials))
    else:
        learning = Panel("", "epoch", label)
        for trial, points in reversed(found):
            which = "best" if trial is trials[0] else "other trials"
            style = _style(trial, trials, [_text(trial, metric)] * len(points))
            learning.series.append(PlotSeries.from_points(which, points, **style))
    cost = Panel("", "seconds of training and validation", f"best {metric}", x_log=True)
    for trial in reversed(trials):
        which = "best" if trial is trials[0] else "other trials"
        x = max(trial.get("seconds") or 0.0, 0.01)
        style = _style(trial, trials, [_text(trial, metric)], kind="points")
        cost.series.append(PlotSeries(which, [x], [trial["score"]], **style))
    many = f"The {MOST_LINES} best of {len(trials)} trials." if len(trials) > MOST_LINES else ""
    figures = (
        [Figure("learning curves", "How the trials learned", [learning], many)] if learning.series else []
    )
    return [*figures, Figure("score against time", "Score against time", [cost])]


def _style(
    trial: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], texts: list[str], kind: str = "line"
) -> SeriesStyle:
    """Return how a trial is drawn: its colour by rank, from worst to best, and thin unless it is the best."""
    colour = shade_of(1 - trials.index(trial) / max(1, len(trials) - 1))
    return {"kind": kind, "colour": colour, "faint": trial is not trials[0], "texts": texts}


def _by_trial(sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[PlotSeries]:
    """Return the scores in the order of the trials, and the best so far, for models fitted in one step."""
    ordered = sorted(trials, key=lambda trial: trial["number"])
    numbers, scores = [trial["number"] for trial in ordered], [trial["score"] for trial in ordered]
    choose = max if sweep["bigger"] else min
    best = [choose(scores[: place + 1]) for place in range(len(scores))]
    texts = [_text(trial, sweep["valid_metric"]) for trial in ordered]
    return [
        PlotSeries("trials", numbers, scores, kind="points", colour=shade_of(0.0), texts=texts),
        # A step function: it goes up at the better trial, not on the way to it.
        PlotSeries(
            "best so far",
            [number for number in numbers for _ in range(2)][1:],
            [score for score in best for _ in range(2)][:-1],
            colour=shade_of(1.0),
        ),
    ]


def validations_of_trial(file: Path, metric: str) -> list[tuple[int, float]]:
    """Return epoch (from 0) and score of each validation of a trial, up to a half-written line."""
    points: list[tuple[int, float]] = []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            break
        value = record.get("valid", {}).get(metric)
        if value is not None:
            points.append((record["epoch"], value))
    return points


def varied_options(trials: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the options with more than one value and their sorted values, numbers first."""
    names = dict.fromkeys(name for trial in trials for name in trial["options"])
    found = {}
    for name in names:
        values = {
            yaml_io.dump_value(trial["options"].get(name)): trial["options"].get(name) for trial in trials
        }
        if len(values) > 1:
            found[name] = sorted(values.values(), key=_order)
    return found


def _order(value: Any) -> tuple[bool, float, str]:
    """Return a sort key: numbers by size, then everything else by its text."""
    return not is_number(value), value if is_number(value) else 0.0, yaml_io.dump_value(value)


def _text(trial: Mapping[str, Any], metric: str) -> str:
    options = "<br>".join(f"{name}={short(value)}" for name, value in trial["options"].items())
    return f"trial {trial_name(trial)}: {metric} {trial['score']:.5g}<br>{options}"
