"""The page of a sweep: the effect of the options, learning curves, the best trial, and the final runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.figure import Figure
from recbole_diffusion.report.importance import importance_figure
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.sweep import is_number, read_sweep, scored_trials, short, tied, trial_name
from recbole_diffusion.report.sweep_figures import sweep_figures, varied_options
from recbole_diffusion.report.tables import Cell, Table, number
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.preset import preset_text, read_preset, replaced


def sweep_page(folder: Path, weigh_options: bool = True) -> tuple[HtmlPage, list[Figure], list[str]]:
    """Return the page of a sweep, its figures, and what is missing in it.

    Args:
        folder: the sweep's.
        weigh_options: whether to estimate the importance of the options, which takes seconds.

    Raises:
        RunError, UsageError: see :func:`read_sweep`.
    """
    sweep = read_sweep(folder)
    trials = scored_trials(sweep)
    best = trials[0]
    metric, selection = sweep["valid_metric"], sweep.get("selection", "validation")
    states = [trial["state"] for trial in sweep["trials"]]
    page = HtmlPage(f"Sweep of {sweep['model']} on {sweep['dataset']}", folder.name)
    if selection == "test":
        page.note(
            "Trials were compared on the test part itself; the winner's test metrics are biased upwards.",
            True,
        )
    page.facts(
        {
            f"best {metric} on {selection}": f"{best['score']:.4f}, trial {trial_name(best)}"
            f"{tied(sweep['trials'], best)}",
            "trials": ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)),
            "preset": _preset(sweep),
            "time of all trials": f"{sum(trial.get('seconds') or 0.0 for trial in sweep['trials']):,.0f} s",
        }
    )
    for note in sweep.get("notes", []):
        page.note(note)
    of_options, learning = sweep_figures(folder, sweep, trials)
    page.section("Best trial")
    page.code("\n".join(f"{name}: {yaml_io.dump_value(value)}" for name, value in best["options"].items()))
    final = _final(sweep)
    if final:
        page.table(final)
    weights, why = (
        importance_figure(trials, list(varied_options(trials)), metric) if weigh_options else (None, None)
    )
    if of_options:
        page.section("Options")
        page.figures([weights])
        if why:
            page.note(why)
        page.figures(of_options)
    page.section("Learning")
    page.figures(learning)
    page.section("Trials")
    page.table(_trials(sweep))
    page.open_details("Space, settings and command")
    kept = {name: sweep.get(name) for name in ("command", "space", "settings", "options", "versions")}
    page.code(yaml_io.dump_yaml({name: value for name, value in kept.items() if value}).rstrip())
    page.close_details()
    return page, [*([weights] if weights else []), *of_options, *learning], []


def _final(sweep: Mapping[str, Any]) -> Table | None:
    """Return mean and standard deviation of the winner's final runs."""
    rows = [
        [
            Cell(part),
            Cell(metric),
            _mean(of),
            number(of["runs"], 0),
        ]
        for part, metrics in (sweep.get("final_metrics") or {}).items()
        for metric, of in metrics.items()
    ]
    return (
        Table(
            "Final runs of the best trial",
            ["part", "metric", "mean", "seeds"],
            rows,
            words={"part", "metric"},
        )
        if rows
        else None
    )


def _mean(of: Mapping[str, Any]) -> Cell:
    """Return a mean, with its deviation where there are several runs."""
    if of["runs"] < 2:
        return Cell(f"{of['mean']:.4f}", of["mean"])
    return Cell(f"{of['mean']:.4f} ± {of['std']:.4f}", of["mean"], of["std"])


def _trials(sweep: Mapping[str, Any]) -> Table:
    names = list(dict.fromkeys(name for trial in sweep["trials"] for name in trial["options"]))
    scored = scored_trials(sweep)
    order = [*scored, *(trial for trial in sweep["trials"] if trial not in scored)]
    words = {"trial", "state", "error"}
    rows = []
    for trial in order:
        values = [trial["options"].get(name) for name in names]
        cells = [
            Cell("" if value is None else short(value), value if is_number(value) else None)
            for value in values
        ]
        error = (trial.get("error") or "").strip().splitlines()
        rows.append(
            [
                Cell(trial_name(trial)),
                Cell(trial["state"]),
                number(trial["score"]),
                number(trial.get("best_epoch"), 0),
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


def _preset(sweep: Mapping[str, Any]) -> str:
    """Return the preset of all trials, with the values given in place of its own, and those searched."""
    name = sweep["options"].get("preset")
    if name is None:
        return "-"
    try:
        used = read_preset(name, sweep["model"], sweep["dataset"])
    except UsageError:  # one of an earlier version
        return str(name)
    text = preset_text(name, replaced(used, sweep["options"]))
    labels = {one.strip() for key in sweep.get("space") or {} for one in str(key).split(",")}
    searched = [option for option in used.options if option in labels]
    return text + (f"; searched: {', '.join(searched)}" if searched else "")
