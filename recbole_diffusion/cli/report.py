"""``report``: one HTML page of a run, of several, or of a sweep, which needs no network."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.compare import ComparisonOptions
from recbole_diffusion.cli.machine import MachineOptions
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.declare import argument
from recbole_diffusion.storage.slow_step import told_if_slow


@dataclass(frozen=True)
class ReportOptions(ComparisonOptions, MachineOptions):
    """What ``report`` takes besides folders."""

    output: str = argument("", "file to write")
    pictures: str | None = argument(None, "folder for the figures as files (needs matplotlib)")
    pictures_format: str = argument("png", "format of those files", choices=("png", "svg", "pdf"))
    models: bool = argument(True, "load trained models for the figures and lists that need them")
    users: str | None = argument(
        None, "original ids of the users whose lists are shown: 405,13; null: four of different activity"
    )
    item_title: str | None = argument(
        None, "column of the .item file that holds titles; null: title, movie_title, name or the like"
    )
    watch: bool = argument(
        False, "write the page of a run or sweep that is going on, and again when there is news, to its end"
    )
    every: float = argument(
        5.0, "seconds between two looks, and between two loads of the page, with --watch", low=0.1, high=3600
    )

    def __post_init__(self) -> None:
        if not self.output:
            raise UsageError(f"--output is missing; usage: {COMMAND.usage_line()}")


COMMAND = Command(
    "report",
    "DIR ... [--glob=PATTERN] --output=FILE.html [--key=value ...]",
    """
Writes one HTML page that needs nothing else, of one run, of several (a comparison), or of a sweep's folder:
metrics, learning curves, parts of the loss, metrics by group of items and users, accuracy against time,
calibration of predicted ratings, items by popularity and who recommends them, the lists of a few users side
by side, the importance of a sweep's options, and the figures of the papers. What needs a trained model is
made if its best.pt and its data set exist; the page says what is missing. With --watch the page follows a run
or sweep that is going on: open it in a browser, where it loads itself again.
""",
    ReportOptions,
    takes="DIR",
)


def report(argv: Sequence[str]) -> int:
    """Write the page; return the exit code.

    Raises:
        UsageError: there is nothing to report, or the output exists; nothing is written.
        RunError: a folder is damaged; nothing is written.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(ReportOptions)
    from recbole_diffusion.report.live import check_watched, watch
    from recbole_diffusion.report.pictures import require_matplotlib, write_pictures
    from recbole_diffusion.report.runs import find_folders
    from recbole_diffusion.storage.atomic import output_file, write_text

    path = output_file(options.output, options.overwrite)
    if options.pictures:
        require_matplotlib()
    folders = find_folders(given.arguments, options.glob)
    if options.watch:
        folder = check_watched(folders)
        sys.stdout.write(f"watching {folder}: open {path} in a browser; Ctrl-C ends this\n")
        sys.stdout.flush()
        watch(folder, path, options.every)
    with told_if_slow("making the page"):
        page, figures, missing = _made(folders, options)
        text = page.html()
    pictures = []
    if options.pictures:
        with told_if_slow("drawing the pictures"):
            pictures = write_pictures(figures, Path(options.pictures).expanduser(), options.pictures_format)
    write_text(path, text)
    lines = [
        *missing,
        f"file   {path} ({len(text.encode()) / 1e6:.1f} MB, {counted(len(figures), 'figure')})",
    ]
    lines += [f"also   {counted(len(pictures), 'picture')} in {pictures[0].parent}"] if pictures else []
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _made(folders: list[Path], options: ReportOptions) -> tuple[Any, list, list[str]]:
    """Return page, figures, and what is missing."""
    from recbole_diffusion.report.comparison import compare
    from recbole_diffusion.report.run_page import runs_page
    from recbole_diffusion.report.runs import RunRecord, read_runs
    from recbole_diffusion.report.sweep import is_sweep
    from recbole_diffusion.report.sweep_page import sweep_page

    sweeps = [folder for folder in folders if is_sweep(folder)]
    if sweeps and len(folders) > 1:
        raise UsageError(f"{sweeps[0]} is a sweep, which has its own page; name only the sweep, or runs")
    if sweeps:
        return sweep_page(sweeps[0])
    runs, left_out = read_runs(folders, options.skip_unfinished)
    found = compare(runs, **options.of_comparison())

    def load(run: RunRecord) -> Any:
        from recbole_diffusion.serving.loaded_run import load_run

        return load_run(run.path, **options.for_loading())

    return runs_page(found, load if options.models else None, left_out, options.users, options.item_title)
