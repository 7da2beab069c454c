"""The page of a sweep: what the options did, how the trials learned, what was found, and the final runs."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_diffusion import yaml_io
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.report.figure import Figure, Panel, Series, shade_of
from recbole_diffusion.report.page import Page
from recbole_diffusion.report.tables import Cell, Table, number

NEEDED = {"model": str, "dataset": str, "trials": list, "valid_metric": str, "bigger": bool, "options": dict}
OF_A_TRIAL = ("number", "folder", "options", "state", "score")
MOST_LINES = 60  # trials in the figure of learning curves: the best ones
MOST_OPTIONS = 9  # panels of options


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (folder / "sweep.json").is_file()


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return the content of ``sweep.json``.

    Raises:
        RunError: it is damaged. UsageError: no trial has a score yet.
    """
    file = folder / "sweep.json"
    try:
        sweep = json.loads(file.read_bytes())
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}; continue the sweep with tune --resume={folder} to write it anew") from error
    wrong = [name for name, kind in NEEDED.items() if not isinstance(sweep, dict) or not isinstance(sweep.get(name), kind)]
    if not wrong:
        wrong = [f"trials.{name}" for name in OF_A_TRIAL if any(name not in trial for trial in sweep["trials"])]
    if wrong:
        raise RunError(f"{file} is damaged: {', '.join(wrong)} missing or of a wrong type; repeat the sweep")
    if not _scored(sweep):
        raise UsageError(
            f"no trial of the sweep in {folder} has a score yet; wait for one, or continue it with tune --resume={folder}"
        )
    return sweep


def sweep_page(folder: Path) -> tuple[Page, list[Figure], list[str]]:
    """Return the page of a sweep, its figures, and what is missing in it.

    Raises:
        RunError, UsageError: see :func:`read_sweep`.
    """
    sweep = read_sweep(folder)
    trials = _scored(sweep)
    best = trials[0]
    metric, selection = sweep["valid_metric"], sweep.get("selection", "validation")
    states = [trial["state"] for trial in sweep["trials"]]
    page = Page(f"Sweep of {sweep['model']} on {sweep['dataset']}", folder.name)
    if selection == "test":
        page.note("Trials were compared on the test part itself; the winner's test metrics are no estimate of anything.", True)
    page.facts(
        {
            f"best {metric} on {selection}": f"{best['score']:.4f}, trial {_name(best)}",
            "trials": ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)),
            "time of all trials": f"{sum(trial.get('seconds') or 0.0 for trial in trials):,.0f} s",
        }
    )
    for note in sweep.get("notes", []):
        page.note(note)
    figures = [
        figure for figure in (_coordinates(sweep, trials), _options(sweep, trials), *_learning(folder, sweep, trials)) if figure
    ]
    page.section("Best trial")
    page.code("\n".join(f"{name}: {yaml_io.dump_value(value)}" for name, value in best["options"].items()))
    final = _final(sweep)
    if final:
        page.table(final)
    page.section("Options")
    page.figures(figures[:2])
    page.section("Learning")
    page.figures(figures[2:])
    page.section("Trials")
    page.table(_trials(sweep))
    page.open_details("Space, settings and command")
    kept = {name: sweep.get(name) for name in ("command", "space", "settings", "options", "versions")}
    page.code(yaml_io.dump_yaml({name: value for name, value in kept.items() if value}).rstrip())
    page.close_details()
    return page, figures, []


def _scored(sweep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials that have a score, the best first."""
    scored = [trial for trial in sweep["trials"] if isinstance(trial["score"], int | float) and math.isfinite(trial["score"])]
    sign = -1 if sweep["bigger"] else 1
    return sorted(scored, key=lambda trial: (sign * trial["score"], trial["number"]))


def _name(trial: Mapping[str, Any]) -> str:
    return str(trial["folder"]).rpartition("/")[2]


def _final(sweep: Mapping[str, Any]) -> Table | None:
    """Return mean and deviation of the winner's final runs."""
    rows = [
        [Cell(part), Cell(metric), Cell(f"{of['mean']:.4f} ± {of['std']:.4f}", of["mean"], of["std"]), number(of["runs"], 0)]
        for part, metrics in (sweep.get("final_metrics") or {}).items()
        for metric, of in metrics.items()
    ]
    return (
        Table("Final runs of the best trial", ["part", "metric", "mean", "seeds"], rows, words={"part", "metric"})
        if rows
        else None
    )


def _varied(trials: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the options with more than one value, with their values, numbers by size first."""
    names = dict.fromkeys(name for trial in trials for name in trial["options"])
    found = {}
    for name in names:
        values = {yaml_io.dump_value(trial["options"].get(name)): trial["options"].get(name) for trial in trials}
        if len(values) > 1:
            found[name] = sorted(values.values(), key=_order)
    return found


def _order(value: Any) -> tuple[bool, float, str]:
    """Return what puts numbers by size, and everything else by its text behind them."""
    return not _is_number(value), value if _is_number(value) else 0.0, yaml_io.dump_value(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(trial: Mapping[str, Any], metric: str) -> str:
    options = "<br>".join(f"{name}={_short(value)}" for name, value in trial["options"].items())
    return f"trial {_name(trial)}: {metric} {trial['score']:.5g}<br>{options}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else yaml_io.dump_value(value)


def _goodness(trials: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Return, by number of the trial, its place from 0, the worst, to 1, the best."""
    last = max(1, len(trials) - 1)
    return {trial["number"]: 1 - place / last for place, trial in enumerate(trials)}


def _coordinates(sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return one line a trial through the ranks of its options to its score."""
    varied = _varied(trials)
    if not varied or len(trials) < 2:
        return None
    scores = [trial["score"] for trial in trials]
    low, high = min(scores), max(scores)
    panel = Panel(
        "", "", "rank of the value, and the score", ticks=(list(range(len(varied) + 1)), [*varied, sweep["valid_metric"]])
    )
    good = _goodness(trials)
    for trial in reversed(trials):
        ranks = [values.index(trial["options"].get(name)) / (len(values) - 1) for name, values in varied.items()] + [
            (trial["score"] - low) / (high - low) if high > low else 1.0
        ]
        name = "best" if trial is trials[0] else "other trials"
        style = {"colour": shade_of(good[trial["number"]]), "faint": trial is not trials[0]}
        texts = [_text(trial, sweep["valid_metric"])] * len(ranks)
        panel.series.append(Series(name, list(range(len(ranks))), ranks, texts=texts, **style))
    note = f"Values of an option are placed by rank, the score between {low:.4g} and {high:.4g}. Colours: worst to best."
    return Figure("options together", "All options of each trial", [panel], note)


def _options(sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Return the score against each option, a panel an option."""
    good = _goodness(trials)
    panels = []
    for name, values in list(_varied(trials).items())[:MOST_OPTIONS]:
        numeric = all(_is_number(value) for value in values)
        positive = numeric and min(values) > 0
        panel = Panel(name, name, sweep["valid_metric"], x_log=positive and max(values) >= 10 * min(values))
        if not numeric:
            panel.ticks = (list(range(len(values))), [_short(value)[:24] for value in values])
        for trial in reversed(trials):
            x = trial["options"].get(name)
            x = x if numeric else values.index(x)
            style = {"kind": "points", "colour": shade_of(good[trial["number"]]), "faint": trial is not trials[0]}
            which = "best" if trial is trials[0] else "other trials"
            panel.series.append(Series(which, [x], [trial["score"]], texts=[_text(trial, sweep["valid_metric"])], **style))
        panels.append(panel)
    return Figure("options one by one", "Score against each option", panels) if panels else None


def _learning(folder: Path, sweep: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return how the trials learned, and what their scores cost."""
    metric, good = sweep["valid_metric"], _goodness(trials)
    curves = Panel("", "epoch", f"{sweep.get('selection', 'validation')} {metric}")
    for trial in reversed(trials[:MOST_LINES]):
        points = _validations(folder / trial["folder"] / "metrics.jsonl", metric)
        if points:
            which = "best" if trial is trials[0] else "other trials"
            style = {"colour": shade_of(good[trial["number"]]), "faint": trial is not trials[0]}
            curves.series.append(Series(which, *zip(*points, strict=True), texts=[_text(trial, metric)] * len(points), **style))
    cost = Panel("", "seconds of training and validation", f"best {metric}", x_log=True)
    for trial in reversed(trials):
        style = {"kind": "points", "colour": shade_of(good[trial["number"]]), "faint": trial is not trials[0]}
        which = "best" if trial is trials[0] else "other trials"
        x = max(trial.get("seconds") or 0.0, 0.01)
        cost.series.append(Series(which, [x], [trial["score"]], texts=[_text(trial, metric)], **style))
    many = f"The {MOST_LINES} best of {len(trials)} trials." if len(trials) > MOST_LINES else ""
    figures = [Figure("learning curves", "How the trials learned", [curves], many)] if curves.series else []
    return [*figures, Figure("score against time", "Score against time", [cost])]


def _validations(file: Path, metric: str) -> list[tuple[int, float]]:
    """Return epoch (from 1) and score of each validation of a trial; a line that a killed trial has left half is the end."""
    points: list[tuple[int, float]] = []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            break
        value = record.get("valid", {}).get(metric)
        if value is not None:
            points.append((record["epoch"] + 1, value))
    return points


def _trials(sweep: Mapping[str, Any]) -> Table:
    names = list(dict.fromkeys(name for trial in sweep["trials"] for name in trial["options"]))
    order = [*_scored(sweep), *(trial for trial in sweep["trials"] if trial not in _scored(sweep))]
    words = {"trial", "state", "error"}
    rows = []
    for trial in order:
        values = [trial["options"].get(name) for name in names]
        cells = [Cell("" if value is None else _short(value), value if _is_number(value) else None) for value in values]
        error = (trial.get("error") or "").strip().splitlines()
        rows.append(
            [
                Cell(_name(trial)),
                Cell(trial["state"]),
                number(trial["score"]),
                number(None if trial.get("best_epoch") is None else trial["best_epoch"] + 1, 0),
                number(trial.get("epochs"), 0),
                number(trial.get("seconds"), 1),
                *cells,
                Cell(error[-1][:120] if error else ""),
            ]
        )
    words |= {
        name
        for k, name in enumerate(names, start=6)
        if not all(isinstance(row[k].key, int | float) or not row[k].text for row in rows)
    }
    columns = ["trial", "state", sweep["valid_metric"], "best epoch", "epochs", "seconds", *names, "error"]
    return Table("", columns, rows, words)
