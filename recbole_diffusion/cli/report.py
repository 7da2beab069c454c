"""``run_recbole_diff.py report``: one HTML page of a run, of several, or of a sweep, that opens without a network."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.cli.arguments import read_folder_words
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

HELP = """usage: python run_recbole_diff.py report DIR ... [--glob=PATTERN] --output=FILE.html [--key=value ...]

Writes one HTML page that needs nothing else, of one run, of several (a comparison), or of a sweep's folder: metrics, learning
curves, loss parts, metrics by group of items and users, accuracy against time, and the figures of the papers.
Figures that need a trained model are made where its best.pt and its data set are there; the page says what is missing.

"""


@dataclass(frozen=True)
class ReportOptions:
    """What ``report`` takes beside folders."""

    glob: str | None = option(None, "pattern of run folders, in quotes")
    output: str = option("", "file to write")
    pictures: str | None = option(None, "folder to write the figures to as files too (needs matplotlib)")
    pictures_format: str = option("png", "of those files", choices=("png", "svg", "pdf"))
    metrics: str | None = option(None, "as of compare")
    by: str | None = option(None, "as of compare")
    names: str = option("options", "as of compare", choices=("options", "folders"))
    reference: str | None = option(None, "as of compare")
    test: str | None = option(None, "as of compare", choices=("t", "wilcoxon", "bootstrap", "none", None))
    models: bool = option(True, "load trained models for the figures that need them")
    data_path: str | None = option(
        None, "folder of the data sets, if it is not where it was when the runs were made"
    )
    use_gpu: bool = option(True, "load models on a GPU when there is one")
    skip_unfinished: bool = option(False, "leave runs out that have not ended, instead of refusing them")
    overwrite: bool = option(False, "replace the output if it is there")

    def __post_init__(self) -> None:
        if not self.output:
            raise UsageError("--output is missing; report takes DIR ... --output=FILE.html")


def report(words: list[str]) -> int:
    """Write the page; return the exit code.

    Raises:
        UsageError: there is nothing to report, or the output is there. RunError: a folder is damaged. Nothing
            is written then.
    """
    read = read_folder_words(words, ReportOptions, HELP)
    if read is None:
        return 0
    folders, options = read
    from recbole_diffusion.report.pictures import require_matplotlib, write_pictures
    from recbole_diffusion.report.runs import find_folders
    from recbole_diffusion.storage.output import output_file, write_text

    path = output_file(options.output, options.overwrite)
    if options.pictures:
        require_matplotlib()
    page, figures, missing = _made(find_folders(folders, options.glob), options)
    text = page.html()
    pictures = (
        write_pictures(figures, Path(options.pictures).expanduser(), options.pictures_format)
        if options.pictures
        else []
    )
    write_text(path, text)
    lines = [*missing, f"file   {path} ({len(text.encode()) / 1e6:.1f} MB, {len(figures)} figures)"]
    lines += [f"also   {len(pictures)} pictures in {pictures[0].parent}"] if pictures else []
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
        raise UsageError(f"{sweeps[0]} is a sweep, which has a page of its own; name it alone, or name runs")
    if sweeps:
        return sweep_page(sweeps[0])
    runs, left_out = read_runs(folders, options.skip_unfinished)
    named = {name: getattr(options, name) for name in ("metrics", "by", "names", "reference", "test")}
    found = compare(runs, **named)

    def load(run: RunRecord) -> Any:
        from recbole_diffusion.loaded_run import load_run

        here = {"data_path": options.data_path} if options.data_path else {}
        return load_run(run.path, use_gpu=options.use_gpu, **here)

    return runs_page(found, load if options.models else None, left_out)
