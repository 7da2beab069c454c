"""``prepare [NAME] [--source=DIR] [--output=DIR] [--seed=..]``: a data set from its published files."""

import contextlib
import logging
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from pathlib import Path

from recbole_diffusion.cli.command import Command, Given
from recbole_diffusion.errors import UsageError, command_line, did_you_mean
from recbole_diffusion.options.declare import argument
from recbole_diffusion.prepare.recipe import RECORD, PreparedSet, Recipe, Request
from recbole_diffusion.prepare.recipes import RECIPES
from recbole_diffusion.prepare.sources import describe, find_files, kept_folder, refuse_files_of_another_set
from recbole_diffusion.storage.versions import __version__


@dataclass(frozen=True)
class PrepareOptions:
    """Options that change the rows of a prepared set; each set has the filter defaults of its paper."""

    seed: int = argument(2024, "seed of the split", low=0, high=2**32 - 1)
    min_user: int = argument(0, "users with fewer positive interactions are removed", low=0)
    min_item: int = argument(
        0, "items with fewer positive interactions are removed, counted after the users", low=0
    )
    min_rating: float = argument(4.0, "smallest rating that is positive (food, yelp2018)", low=0, high=5)
    min_watch_ratio: float = argument(2.0, "smallest watch ratio that is positive (kuairec)", low=0)
    text: str = argument(
        "auto",
        "item texts (baby, sports, clothing) by sentence-transformers, by TF-IDF and SVD, or by the former "
        "if it is available",
        choices=("auto", "sentence", "tfidf"),
    )


@dataclass(frozen=True)
class PrepareArguments(PrepareOptions):
    """What ``prepare`` takes besides the name of a set."""

    source: str | None = argument(
        None, "folder of the published files (or the file itself); null: they are downloaded"
    )
    output: str | None = argument(None, "folder of the prepared sets; null: dataset")
    force: bool = argument(False, "replace an existing set")


PLACES = tuple(
    field.name for field in fields(PrepareArguments) if field.name in PrepareArguments.__annotations__
)


def command() -> Command:
    """Return the command; as defaults of the filters, its help shows those of each set."""
    filters: dict[str, list[str]] = {name: [] for recipe in RECIPES.values() for name in recipe.filters}
    for recipe in RECIPES.values():
        for name, value in recipe.filters.items():
            filters[name].append(f"{recipe.name} {value}")
    return Command(
        "prepare",
        "[NAME] [--key=value ...]",
        "Makes a data set from its published files; without a NAME it lists the sets.",
        PrepareArguments,
        takes="NAME",
        may_be_bare=True,
        defaults={name: ", ".join(values) for name, values in filters.items()},
    )


def prepare(argv: Sequence[str]) -> int:
    """Make one data set, or list what can be made; return the exit code.

    Raises:
        UsageError: unknown name or option, a file that is missing or malformed, or a set that exists already.
        RunError: a download failed, or the disk is full.
    """
    read = command().read(argv)
    if read is None:
        return 0
    given = read.options
    if len(read.arguments) > 1:
        raise UsageError(f"prepare makes one data set at a time; {' and '.join(read.arguments)} are given")
    output = Path(given.get("output") or "dataset").expanduser()
    if not read.arguments:
        if given.keys() - {"output"}:
            raise UsageError(f"prepare needs the name of a data set; there are {', '.join(RECIPES)}")
        sys.stdout.write(_listing(output))
        return 0
    name = read.arguments[0]
    if name not in RECIPES:
        raise UsageError(
            f"no recipe for data set {name!r}{did_you_mean(name, RECIPES)}; there are {', '.join(RECIPES)}"
        )
    recipe = RECIPES[name]
    options = _options(recipe, read)
    _refuse_overwriting(recipe, output / name, options.force)
    source = Path(options.source).expanduser() if options.source else None
    with _log_to_terminal():
        _prepare(recipe, options, output, source, command_line("prepare", *argv))
    return 0


def _prepare(
    recipe: Recipe, options: PrepareOptions, output: Path, source: Path | None, command: str
) -> None:
    paths = find_files(recipe, output, source)
    refuse_files_of_another_set(recipe, paths, RECIPES.values())
    sources = [describe(file, paths[file.name], given=source is not None) for file in recipe.files]
    for found in sources:
        sys.stdout.write(
            f"{found['file']}: {found['bytes']:,} bytes, SHA-256 {found['sha256']} ({found['checked']})\n"
        )
    sys.stdout.flush()
    given = {name: getattr(options, name) for name in recipe.options}
    filters = {name: given[name] for name in recipe.filters}
    record = {
        "dataset": recipe.name,
        "command": command,
        "sources": sources,
        "licence": recipe.licence,
        "filters": filters,
        "seed": options.seed,
        "paper": asdict(recipe.paper) if recipe.paper else None,
        "versions": _versions(),
    }
    folder = output / recipe.name
    _report(recipe, recipe.kind.make(Request(recipe, paths, folder, record, given)), folder, filters)


def _report(recipe: Recipe, made: PreparedSet, folder: Path, filters: dict[str, float]) -> None:
    lines = [
        *made.lines,
        f"found    {made.counts}",
        f"paper    {recipe.paper or recipe.note}",
        f"folder   {folder}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    logger = logging.getLogger(__name__)
    for text in made.warnings:
        logger.warning("%s", text)
    if not recipe.filters and not recipe.resembles(made.counts):
        logger.warning(
            "the counts differ from the paper's by far: found %s; paper %s. The files are those of another "
            "set, or a part of this one: no result on them belongs beside a table of %s",
            *(made.counts, recipe.paper, recipe.name),
        )
    elif not recipe.agrees(made.counts):
        own = "" if filters == recipe.filters else " The filters are not the paper's."
        logger.warning(
            "the counts differ from the paper's: found %s; paper %s.%s Known: %s. The set is usable; do not "
            "compare its results with the paper's digit by digit.",
            *(made.counts, recipe.paper, own, recipe.note),
        )


def _options(recipe: Recipe, given: Given) -> PrepareArguments:
    """Return the options over the set's own defaults."""
    known = recipe.options
    for name in given.options:
        if name not in (*known, *PLACES):
            near = did_you_mean(name, [*known, *PLACES])
            allowed = ", ".join(f"--{option}" for option in (*PLACES, *known))
            raise UsageError(f"prepare {recipe.name} has no option {name!r}{near}; there are {allowed}")
    return given.read(PrepareArguments, recipe.filters)


def _refuse_overwriting(recipe: Recipe, folder: Path, force: bool) -> None:
    own = set(recipe.inter_files)
    there = {path.name for path in folder.glob("*.inter")}
    if there - own:
        raise UsageError(
            f"{folder} holds {', '.join(sorted(there - own))}, of another split of the same name; parts of "
            "two splits would be mixed up. Move them away, or name another folder with --output"
        )
    if there and not force:
        what = (
            "is prepared already"
            if (folder / RECORD).is_file()
            else f"holds {', '.join(sorted(there))}, not made by prepare"
        )
        raise UsageError(f"{folder} {what}; replace it with --force, or name another folder with --output")


def _listing(output: Path) -> str:
    lines = []
    for recipe in RECIPES.values():
        lines += [f"{recipe.name}: {recipe.title}", f"    state    {_state(recipe, output)}"]
        for file in recipe.files:
            how = "downloaded" if file.urls else "by hand, then --source=FOLDER"
            lines += [f"    source   {file.name} from {file.page} ({how})"]
        lines += [f"    licence  {recipe.licence}", f"    paper    {recipe.paper or recipe.note}"]
    return "\n".join([*lines, f"make one: {command_line('prepare', 'NAME')} (--help says more)"]) + "\n"


def _state(recipe: Recipe, output: Path) -> str:
    folder = output / recipe.name
    if (folder / RECORD).is_file():
        return f"prepared in {folder}"
    if any(folder.glob("*.inter")):
        return f"{folder} holds files of that name that prepare did not make"
    kept = kept_folder(recipe, output)
    if all((kept / file.name).is_file() for file in recipe.files):
        return f"not prepared, its files are in {kept}"
    return f"not in {output}"


def _versions() -> dict[str, str]:
    return {
        "recbole_diffusion": __version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
    }


@contextlib.contextmanager
def _log_to_terminal() -> Iterator[None]:
    """Show warnings of this package on standard error while the block runs, above a progress bar."""
    logger, handler = logging.getLogger("recbole_diffusion"), _TerminalHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _TerminalHandler(logging.Handler):
    """Writes a line to standard error as tqdm wants it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stderr)
