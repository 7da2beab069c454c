"""``compare``: a table of finished runs, as Markdown, LaTeX, CSV or HTML."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recbole_diffusion.cli.command import Command
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.declare import argument, refusal
from recbole_diffusion.storage.slow_step import told_if_slow

if TYPE_CHECKING:
    from recbole_diffusion.report.comparison import Comparison

SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class ComparisonOptions:
    """Which runs are compared and how, in ``compare`` and in the page of ``report``."""

    glob: str | None = argument(None, "pattern of run folders, in quotes: 'runs/*-ml-100k-*'")
    metrics: str | None = argument(
        None, "metrics to show, such as recall@20,ndcg@20, or all; null: recall and NDCG"
    )
    by: str | None = argument(None, "metric to order and test by; null: the one that chose the epochs")
    names: str = argument(
        "options",
        "name methods after the options that differ, or after the common beginning of folder names",
        choices=("options", "folders"),
    )
    reference: str | None = argument(
        None, "method that is tested against every other one, by its name in the table; null: the best"
    )
    test: str | None = argument(
        None,
        "paired test over users: t, wilcoxon (signed ranks), or bootstrap (of a mean over ratings); null: "
        "bootstrap for errors of ratings, else t",
        choices=("t", "wilcoxon", "bootstrap", "none", None),
    )
    alias: dict = argument(
        {}, "what methods are called in the table, such as '{TVDiff (steps=50): TV-Diff}'", choices=None
    )
    skip_unfinished: bool = argument(False, "leave out runs that have not ended, instead of refusing them")
    overwrite: bool = argument(False, "replace an existing output")

    def of_comparison(self) -> dict[str, Any]:
        """Return the arguments of ``report.comparison.compare``."""
        return {
            name: getattr(self, name) for name in ("metrics", "by", "names", "reference", "test", "alias")
        }


@dataclass(frozen=True)
class CompareOptions(ComparisonOptions):
    """What ``compare`` takes besides run folders."""

    format: str | None = argument(
        None,
        "format of the table; null: by the ending of the output, else markdown",
        choices=("markdown", "latex", "csv", "html", None),
    )
    output: str | None = argument(None, "file to write; without it the table is printed")
    columns: str | None = argument(
        None, "columns beside the method, such as 'seeds,recall@20,s/epoch'; null: all"
    )


COMMAND = Command(
    "compare",
    "RUN_DIR ... [--glob=PATTERN] [--key=value ...]",
    """
Compares finished runs, one row per method: mean and standard deviation over seeds, paired tests over users of
the best method, or of --reference, against every other one (Holm's correction), seconds, memory, parameters,
and the part that epochs were chosen on. Runs with equal options and different seeds are one method. Runs on
different splits are refused.
""",
    CompareOptions,
    takes="RUN_DIR",
)


def compare(argv: Sequence[str]) -> int:
    """Print or write the table; return the exit code.

    Raises:
        UsageError: the runs cannot be compared, or the output exists; nothing is written.
        RunError: a run is damaged; nothing is written.
    """
    given = COMMAND.read(argv)
    if given is None:
        return 0
    options = given.read(CompareOptions)
    from recbole_diffusion.report.comparison import compare as compare_runs
    from recbole_diffusion.report.runs import find_folders, read_runs
    from recbole_diffusion.storage.atomic import output_file, write_text

    path = output_file(options.output, options.overwrite) if options.output else None
    kind = options.format or ("markdown" if path is None else SUFFIXES.get(path.suffix.lower()))
    if kind is None:
        raise UsageError(
            f"{options.output} has no known ending; end it in {', '.join(SUFFIXES)}, or give --format"
        )
    with told_if_slow("comparing the runs"):
        runs, left_out = read_runs(find_folders(given.arguments, options.glob), options.skip_unfinished)
        found = compare_runs(runs, **options.of_comparison())
    found.notes += left_out
    text = _rendered(found, kind, options.columns)
    if path is None:
        sys.stdout.write(text)
    else:
        write_text(path, text)
        sys.stdout.write(
            f"{counted(len(runs), 'run')} of {counted(len(found.methods), 'method')}\nfile   {path}\n"
        )
    return 0


def _rendered(found: "Comparison", kind: str, columns: str | None) -> str:
    from recbole_diffusion.report.comparison_table import comparison_tables
    from recbole_diffusion.report.page import HtmlPage
    from recbole_diffusion.report.tables import TEXT_FORMATS

    wanted = None if columns is None else [one.strip() for one in columns.split(",") if one.strip()]
    if wanted == []:
        raise refusal("columns", columns, "names of columns, separated by commas, such as seeds,recall@20")
    tables = comparison_tables(found, columns=wanted)
    if kind != "html":
        return TEXT_FORMATS[kind](tables)
    page = HtmlPage(
        f"Comparison on {found.dataset}", f"{counted(len(found.methods), 'method')}, ordered by {found.by}"
    )
    for table in tables:
        page.table(table)
    return page.html()
