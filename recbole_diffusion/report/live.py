"""The page of a run or a sweep that still goes on: a file that is written anew and loads itself again.

A file needs no port and no server: it opens from the disk, over a mounted folder, or through any web server.
"""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.report.compared_metrics import smaller_is_better
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, colour_of, dash_of
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.run_figures import learning_curves, loss_parts, validations
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.sweep import is_sweep, scored_trials, sweep_content, trial_name
from recbole_diffusion.report.sweep_figures import validations_of_trial
from recbole_diffusion.report.sweep_page import sweep_page
from recbole_diffusion.storage.atomic import write_text
from recbole_diffusion.storage.run_folder import RunFolder

QUIET = 120.0  # seconds without a new line, or five times the longest epoch, after which the page says so
LOG_LINES = 12
MOST_TRIALS = 20  # running at once, in the figure
ENDED_TRIALS = ("finished", "stopped", "cut", "failed")


def check_watched(folders: Sequence[Path]) -> Path:
    """Return the folder to watch.

    Raises:
        UsageError: there are several, or it is no folder of a run or a sweep.
    """
    if len(folders) != 1:
        raise UsageError(f"--watch takes one folder, of a run or of a sweep, not {len(folders)}")
    folder = folders[0]
    if not is_sweep(folder) and not RunFolder(folder).config.is_file():
        raise UsageError(
            f"there is no run or sweep in {folder}: neither config.yaml nor sweep.json; start it first, with "
            "--run_dir or --sweep_dir for a folder of your choice"
        )
    return folder


def watch(folder: Path, output: Path, every: float) -> None:
    """Write the page whenever there is news, until the run or sweep has ended.

    After Ctrl-C or an error the page stays, says so, and does not load itself again.

    Args:
        folder: of the run or the sweep.
        output: the file; an earlier one is replaced.
        every: seconds between two looks, and between two loads in the browser.

    Raises:
        RunError: a file is damaged or cannot be written.
    """
    written: tuple | None = None
    page = HtmlPage(folder.name)
    try:
        while not has_ended(folder):
            state = (_marks(folder), _is_quiet(folder))
            if state != written:
                page = live_page(folder)
                write_text(output, page.html(reload=every))
                written = state
            time.sleep(every)
    except BaseException:
        page.note(f"Nobody watches this any more since {_clock()}; the page stays as it is.", True)
        write_text(output, page.html())
        raise


def has_ended(folder: Path) -> bool:
    """Return whether a run has written its result, or a sweep its last final run."""
    if not is_sweep(folder):
        return RunFolder(folder).result.is_file()
    sweep = sweep_content(folder)
    done = [trial for trial in sweep.get("final") or [] if trial.get("state") == "finished"]
    seeds = (sweep.get("settings") or {}).get("final_seeds") or 0
    return sweep.get("winner") is not None and len(done) >= seeds


def live_page(folder: Path) -> HtmlPage:
    """Return the page as it is now.

    Raises:
        RunError: a file is damaged.
    """
    page = _sweep_now(folder) if is_sweep(folder) else _run_now(RunFolder(folder))
    if _is_quiet(folder):
        page.note(
            f"Nothing was written for a while (last at {_clock(_last_write(folder))}). If no process works "
            f"on it any more, continue it with {'tune ' if is_sweep(folder) else ''}--resume={folder}",
            True,
        )
    return page


def _run_now(run: RunFolder) -> HtmlPage:
    config = run.read_config()
    metric = str(config.get("valid_metric", "")).lower()
    epochs = list(_records(run.metrics))
    facts = {name: config.get(name) for name in ("model", "dataset", "seed")}
    record = RunRecord(run.path, config, facts, epochs)
    page = HtmlPage(
        f"{facts['model']} on {facts['dataset']}", f"training now, seed {facts['seed']}, {run.path.name}"
    )
    page.facts(_progress(record, metric))
    methods = {str(facts["model"]): [record]}
    figures = [learning_curves(methods, metric), loss_parts(str(facts["model"]), [record])]
    if any(figures):
        page.section("Learning")
        page.figures(figures)
    if run.log.is_file():
        page.section("Log")
        page.code("\n".join(run.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]))
    return page


def _progress(record: RunRecord, metric: str) -> dict[str, str]:
    """Return how far a run is, in words, by name."""
    epochs, most = record.epochs, record.config.get("epochs")
    stage = epochs[-1].get("stage") if epochs else None
    here = [one for one in epochs if one.get("stage") == stage]  # of several stages, the present one
    done = f"{len(here)} of {most} at most" if isinstance(most, int) and most > 1 else str(len(here))
    if stage is not None:  # most is the last stage's
        done = f"{len(epochs)}, {len(here)} of them in the stage {stage}"
    facts = {"epochs done": done}
    points = validations(record, metric)
    # Not those of an earlier stage, whose model is another one.
    of_choice = {one["epoch"] for one in epochs if one.get("chooses", True)}
    if choices := [point for point in points if point[0] in of_choice]:
        choose = min if smaller_is_better(metric) else max
        epoch, _, value = choose(choices, key=lambda point: point[2])
        facts[f"best {metric}"] = f"{value:.4f}, epoch {epoch}"
    if points:
        facts[f"last {metric}"] = f"{points[-1][2]:.4f}, epoch {points[-1][0]}"
    seconds = [one.get("train_seconds", 0.0) + one.get("valid_seconds", 0.0) for one in epochs]
    if seconds:
        facts["seconds an epoch"] = f"{sum(seconds) / len(seconds):,.1f}"
        facts["trained for"] = f"{sum(seconds):,.0f} s"
    return facts | {"last news": _clock(_last_write(record.path))}


def _sweep_now(folder: Path) -> HtmlPage:
    sweep = sweep_content(folder)
    if scored_trials(sweep):
        page = sweep_page(folder, weigh_options=False)[0]
    else:
        page = HtmlPage(f"Sweep of {sweep['model']} on {sweep['dataset']}", folder.name)
        states = [trial["state"] for trial in sweep["trials"]]
        told = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        page.facts({"trials": told or "none yet", "last news": _clock(_last_write(folder))})
    running = _running_trials(folder, sweep)
    if running:
        page.section("Running")
        page.figure(running)
    return page


def _running_trials(folder: Path, sweep: Mapping[str, Any]) -> Figure | None:
    """Return the learning curves of the trials and final runs that have begun and not ended."""
    panel = Panel("", "epoch", f"{sweep.get('selection', 'validation')} {sweep['valid_metric']}")
    open_ones = [
        trial
        for trial in [*sweep["trials"], *(sweep.get("final") or [])]
        if trial["state"] not in ENDED_TRIALS
    ]
    for trial in open_ones:
        points = validations_of_trial(folder / trial["folder"] / "metrics.jsonl", sweep["valid_metric"])
        if points and len(panel.series) < MOST_TRIALS:
            place = len(panel.series)
            name = f"{trial_name(trial)}, {counted(points[-1][0] + 1, 'epoch')}"
            style: SeriesStyle = {"colour": colour_of(place), "dash": dash_of(place)}
            panel.series.append(PlotSeries.from_points(name, points, **style))
    return Figure("running", "Trials that are running", [panel]) if panel.series else None


def _records(file: Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl`` up to one that is half written."""
    found: list[dict[str, Any]] = []
    for line in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            break
        if not isinstance(record, dict) or not isinstance(record.get("epoch"), int):
            raise RunError(f"{file} is damaged: a line of it holds no epoch; train the run again")
        found.append(record)
    return found


def _watched(folder: Path) -> list[Path]:
    """Return the files that tell what is new."""
    if is_sweep(folder):
        return [
            folder / "sweep.json",
            *folder.glob("trials/*/metrics.jsonl"),
            *folder.glob("final/*/metrics.jsonl"),
        ]
    run = RunFolder(folder)
    return [run.config, run.metrics, run.log]


def _marks(folder: Path) -> tuple:
    """Return what changes when one of the files does."""
    there = [file for file in _watched(folder) if file.is_file()]
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in there)


def _last_write(folder: Path) -> float:
    return max((file.stat().st_mtime for file in _watched(folder) if file.is_file()), default=0.0)


def _is_quiet(folder: Path) -> bool:
    """Return whether nothing was written for longer than epochs take."""
    longest = 0.0
    if not is_sweep(folder):
        seconds = [
            one.get("train_seconds", 0.0) + one.get("valid_seconds", 0.0)
            for one in _records(RunFolder(folder).metrics)
        ]
        longest = max(seconds, default=0.0)
    return time.time() - _last_write(folder) > max(QUIET, 5 * longest)


def _clock(moment: float | None = None) -> str:
    return datetime.fromtimestamp(time.time() if moment is None else moment).strftime("%H:%M:%S")
