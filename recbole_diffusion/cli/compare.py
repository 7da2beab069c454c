"""``run_recbole_diff.py compare``: a table of finished runs, as Markdown, LaTeX, CSV or HTML."""

import sys
from dataclasses import dataclass

from recbole_diffusion.cli.arguments import read_folder_words
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import option

SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html", ".htm": "html"}
HELP = """usage: python run_recbole_diff.py compare RUN_DIR ... [--glob=PATTERN] [--key=value ...]

Puts finished runs side by side, a row a method: mean and deviation over seeds, paired tests over users of the best method, or of
--reference, against each other one (Holm's correction), seconds, memory, parameters, and the part that epochs were chosen on. Runs with equal options
and different seeds are one method. Runs on different splits are refused.

"""


@dataclass(frozen=True)
class CompareOptions:
    """What ``compare`` takes beside run folders."""

    glob: str | None = option(None, "pattern of run folders, in quotes: 'runs/*-ml-100k-*'")
    format: str | None = option(
        None,
        "by default the ending of the output tells, else markdown",
        choices=("markdown", "latex", "csv", "html", None),
    )
    output: str | None = option(None, "file to write; without it the table is printed")
    metrics: str | None = option(
        None, "metrics to show, such as recall@20,ndcg@20, or all; null: recall and NDCG"
    )
    by: str | None = option(None, "metric of order and tests; null: the one that chose the epochs")
    names: str = option(
        "options",
        "call methods by differing options, or by what names of folders share",
        choices=("options", "folders"),
    )
    reference: str | None = option(
        None, "method that is tested against each other one, by its name in the table; null: the best"
    )
    test: str | None = option(
        None,
        "paired test over users: by t, by signed ranks (wilcoxon), of a mean over ratings (bootstrap); null: "
        "bootstrap for errors of ratings, else t",
        choices=("t", "wilcoxon", "bootstrap", "none", None),
    )
    skip_unfinished: bool = option(False, "leave runs out that have not ended, instead of refusing them")
    overwrite: bool = option(False, "replace the output if it is there")


def compare(words: list[str]) -> int:
    """Print or write the table; return the exit code.

    Raises:
        UsageError: the runs cannot be compared so, or the output is there. RunError: a run is damaged.
            Nothing is written then.
    """
    read = read_folder_words(words, CompareOptions, HELP)
    if read is None:
        return 0
    folders, options = read
    from recbole_diffusion.report.comparison import compare as compare_runs
    from recbole_diffusion.report.runs import find_folders, read_runs
    from recbole_diffusion.storage.output import output_file, write_text

    path = output_file(options.output, options.overwrite) if options.output else None
    kind = options.format or (SUFFIXES.get(path.suffix.lower()) if path else "markdown")
    if kind is None:
        raise UsageError(
            f"the ending of {path.name} names no format; write it as {', '.join(SUFFIXES)}, or give --format"
        )
    runs, left_out = read_runs(find_folders(folders, options.glob), options.skip_unfinished)
    named = {
        "metrics": options.metrics,
        "by": options.by,
        "names": options.names,
        "reference": options.reference,
        "test": options.test,
    }
    found = compare_runs(runs, **named)
    found.notes += left_out
    text = _rendered(found, kind)
    if path is None:
        sys.stdout.write(text)
    else:
        write_text(path, text)
        sys.stdout.write(f"{len(runs)} runs of {len(found.methods)} methods\nfile   {path}\n")
    return 0


def _rendered(found: object, kind: str) -> str:
    from recbole_diffusion.report.comparison_table import comparison_tables
    from recbole_diffusion.report.page import Page
    from recbole_diffusion.report.tables import TEXT_FORMATS

    tables = comparison_tables(found)
    if kind != "html":
        return TEXT_FORMATS[kind](tables)
    page = Page(f"Comparison on {found.dataset}", f"{len(found.methods)} methods, ordered by {found.by}")
    for table in tables:
        page.table(table)
    return page.html()
