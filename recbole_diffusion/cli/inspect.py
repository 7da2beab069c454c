"""``inspect --dataset=NAME``: a data set in numbers, and what each split would make of it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_diffusion.cli.arguments import config_files_of, help_asked, parse_options
from recbole_diffusion.cli.command import Command
from recbole_diffusion.cli.help import option_lines, recbole_lines
from recbole_diffusion.cli.split import refuse_unknown
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.declare import argument, read_options
from recbole_diffusion.options.recbole_table import OF_DATA
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage.properties import default_values
from recbole_diffusion.storage.slow_step import LOADING, told_if_slow

SUFFIXES = {".txt": "text", ".json": "json", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class InspectOutput:
    """Where ``inspect`` writes."""

    output: str | None = argument(None, "file to write; without it the description is printed")
    format: str | None = argument(
        None,
        "format of the description; null: by the ending of the output, else text",
        choices=("text", "json", "html", None),
    )
    overwrite: bool = argument(False, "replace an existing output")
    pictures: str | None = argument(None, "folder for the figures as files (needs matplotlib)")
    pictures_format: str = argument("png", "format of those files", choices=("png", "svg", "pdf"))


@dataclass(frozen=True)
class InspectArguments(InspectOutput):
    """What ``inspect`` takes besides the options that load, filter and split data."""

    dataset: str | None = argument(None, "name of a data set: a folder in data_path")
    config_files: str = argument("", "YAML files of options, separated by spaces; later ones win")
    data_path: str | None = argument(None, "folder that holds one folder per data set")


def inspect(argv: Sequence[str]) -> int:
    """Print or write the description of a data set; return the exit code.

    Raises:
        UsageError: there is no such data set, it is malformed, or the output exists; nothing is written.
        RunError: a file cannot be written.
    """
    given = command(everything=help_asked(argv) == "all").read(argv)
    if given is None:
        return 0
    options = given.options | parse_options(given.rest)
    refuse_unknown("inspect", options, InspectArguments, SplitOptions)
    defaults = {field.name: field.default for field in InspectOutput.__dataclass_fields__.values()}
    wanted = read_options(InspectOutput, {name: options.pop(name, one) for name, one in defaults.items()})
    files = config_files_of(options)
    if not files and not options.get("dataset"):
        raise UsageError(f"--dataset is missing; usage: {command().usage_line()}")
    path, kind = _output(wanted)
    with told_if_slow(LOADING):
        from recbole_diffusion.report.data_page import lines_of, page_of
        from recbole_diffusion.report.data_summary import summary_of
        from recbole_diffusion.report.pictures import require_matplotlib, write_pictures
        from recbole_diffusion.storage.atomic import write_text

    if wanted.pictures:
        require_matplotlib()
    with told_if_slow("reading and splitting the data set"):
        found = summary_of(options.pop("dataset", None), files, options)
    page, figures = page_of(found)
    texts = {
        "text": lambda: "\n".join(lines_of(found)) + "\n",
        "json": lambda: json.dumps(found.plain(), indent=2) + "\n",
        "html": page.html,
    }
    text = texts[kind]()
    pictures = []
    if wanted.pictures:
        folder = Path(wanted.pictures).expanduser()
        with told_if_slow("drawing the pictures"):
            pictures = write_pictures(figures, folder, wanted.pictures_format)
    if path is None:
        sys.stdout.write(text)
    else:
        write_text(path, text)
        sys.stdout.write(f"{lines_of(found)[0]}\nfile   {path}\n")
    if pictures and (path or kind == "text"):
        sys.stdout.write(f"also   {counted(len(pictures), 'picture')} in {pictures[0].parent}\n")
    return 0


def _output(wanted: InspectOutput) -> tuple[Path | None, str]:
    """Return the file to write, None for standard output, and its format.

    Raises:
        UsageError: the ending says nothing, the file exists, or a page would go to the terminal.
    """
    from recbole_diffusion.storage.atomic import output_file

    if wanted.output is None:
        if wanted.format == "html":
            raise UsageError("format html is a page; name its file with --output=FILE.html")
        return None, wanted.format or "text"
    path = output_file(wanted.output, wanted.overwrite)
    kind = wanted.format or SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{wanted.output} has no known ending; end it in {', '.join(SUFFIXES)}, or give --format"
        )
    return path, kind


def command(everything: bool = False) -> Command:
    """Return the command; with ``everything``, its help also has RecBole's options."""
    defaults = default_values()
    others = [
        "",
        "and the options of a run that read, filter and split data: load_col, val_interval, eval_args, ... "
        "(see --help=all)",
    ]
    return Command(
        "inspect",
        "--dataset=DATASET [--output=FILE] [--key=value ...]",
        """
Describes a data set: rows, users, items, density, repeats, ratings, times and their unit, and what each way
to split it would make of it: rows of the parts, users that are not tested, rows that no model can know, pairs
in two parts. The output is text, JSON, or an HTML page with figures by popularity.
""",
        InspectArguments,
        open=True,
        defaults=defaults,
        after="\n".join(
            [*option_lines(SplitOptions, defaults), *(recbole_lines(OF_DATA) if everything else others)]
        ),
    )
