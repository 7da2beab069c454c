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
from recbole_diffusion.data.split import PARTS
from recbole_diffusion.errors import UsageError, command_line, did_you_mean
from recbole_diffusion.options.declare import argument
from recbole_diffusion.prepare.amazon import PARTS as AMAZON_PARTS
from recbole_diffusion.prepare.amazon_making import MadeAmazon, make_amazon
from recbole_diffusion.prepare.amazon_table import AMAZON
from recbole_diffusion.prepare.domain import MadeDomain, make_domain, users_of
from recbole_diffusion.prepare.domain_table import DOMAINS, SHARED_USERS, THOUSAND, as_published
from recbole_diffusion.prepare.making import RECORD, Made, make, text_of, write
from recbole_diffusion.prepare.sources import describe, find_files, kept_folder
from recbole_diffusion.prepare.table import RECIPES, Recipe
from recbole_diffusion.storage.versions import __version__


@dataclass(frozen=True)
class PrepareOptions:
    """What changes the rows of a prepared set. The defaults of the filters are those of each set's paper."""

    seed: int = argument(2024, "seed of the split", low=0, high=2**32 - 1)
    min_user: int = argument(0, "users with fewer positive interactions are removed", low=0)
    min_item: int = argument(
        0, "items with fewer positive interactions are removed, counted after the users", low=0
    )
    min_rating: float = argument(4.0, "lowest rating that is positive (food, yelp2018)", low=0, high=5)
    min_watch_ratio: float = argument(2.0, "smallest watch ratio that is positive (kuairec)", low=0)
    text: str = argument(
        "auto",
        "item texts (baby, sports, clothing) by sentence-transformers, by TF-IDF and SVD, or by the former "
        "where it can be had",
        choices=("auto", "sentence", "tfidf"),
    )


@dataclass(frozen=True)
class PrepareArguments(PrepareOptions):
    """What ``prepare`` takes beside the name of a set."""

    source: str | None = argument(
        None, "folder that holds the published files (or the file itself); without it they are downloaded"
    )
    output: str | None = argument(None, "folder of the prepared sets; null: dataset")
    force: bool = argument(False, "replace a set that is there")


PLACES = tuple(
    field.name for field in fields(PrepareArguments) if field.name in PrepareArguments.__annotations__
)


def command() -> Command:
    """Return how ``prepare`` is called; as defaults of the filters its help shows those of each set."""
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
        UsageError: unknown name or option, a file that is missing or malformed, or a set that is already
            there.
        RunError: a download failed, or the disk is full.
    """
    read = command().read(argv)
    if read is None:
        return 0
    recipes = RECIPES | AMAZON | DOMAINS
    given = read.options
    if len(read.arguments) > 1:
        raise UsageError(f"prepare makes one data set at a time; {' and '.join(read.arguments)} are given")
    output = Path(given.get("output") or "dataset").expanduser()
    if not read.arguments:
        if given.keys() - {"output"}:
            raise UsageError(f"prepare needs the name of a data set; there are {', '.join(recipes)}")
        sys.stdout.write(_listing(output))
        return 0
    name = read.arguments[0]
    if name not in recipes:
        raise UsageError(
            f"no recipe for data set {name!r}{did_you_mean(name, recipes)}; there are {', '.join(recipes)}"
        )
    recipe = recipes[name]
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
    sources = [describe(file, paths[file.name], given=source is not None) for file in recipe.files]
    for found in sources:
        sys.stdout.write(
            f"{found['file']}: {found['bytes']:,} bytes, SHA-256 {found['sha256']} ({found['checked']})\n"
        )
    sys.stdout.flush()
    filters = {name: getattr(options, name) for name in recipe.filters}
    record = {
        "dataset": recipe.name,
        "command": command,
        "sources": sources,
        "licence": recipe.licence,
        "filters": filters,
        "seed": options.seed,
        "paper": asdict(recipe.paper),
        "versions": _versions(),
    }
    folder = output / recipe.name
    if recipe.name in DOMAINS:
        _report_domain(recipe, make_domain(recipe, paths, folder, record), folder)
        return
    if recipe.name in AMAZON:
        _report_amazon(recipe, make_amazon(recipe, paths, folder, record, options.seed, options.text), folder)
        return
    made = make(recipe, paths, filters, options.seed)
    write(made, folder, recipe.name, record)
    _report(recipe, made, folder, filters)


def _report(recipe: Recipe, made: Made, folder: Path, filters: dict[str, float]) -> None:
    sizes = ", ".join(f"{part} {len(rows):,}" for part, rows in zip(PARTS, made.split.rows, strict=True))
    lines = [
        f"rows     {text_of(made.steps)}",
        f"dropped  {text_of(made.split.dropped)}",
        f"parts    {sizes}",
        f"found    {made.counts}",
        f"paper    {recipe.paper}",
    ]
    sys.stdout.write("\n".join([*lines, f"folder   {folder}"]) + "\n")
    if made.counts != recipe.paper:
        own = "" if filters == recipe.filters else " The filters are not the paper's."
        logging.getLogger(__name__).warning(
            "the counts differ from the paper's: found %s; paper %s.%s Known: %s. The set is usable; do not "
            "compare its results "
            "with the paper's digit by digit.",
            *(made.counts, recipe.paper, own, recipe.note),
        )


def _report_amazon(recipe: Recipe, made: MadeAmazon, folder: Path) -> None:
    features, without = made.features, f"items without text {made.features['items_without_text']}"
    parts = ", ".join(f"{part} {rows:,}" for part, rows in made.sizes.items())
    lines = [
        f"rows     {made.rows_read:,} reviews",
        f"parts    {parts}",
        f"text     {features['text']}; {without}, without image {features['items_without_image']}",
        f"found    {made.counts}",
        f"paper    {recipe.paper}",
    ]
    sys.stdout.write("\n".join([*lines, f"folder   {folder}"]) + "\n")
    if any(made.thin.values()):
        logging.getLogger(__name__).warning(
            "not a 5-core set: %s",
            ", ".join(f"{count} {kind} have fewer than 5 rows" for kind, count in made.thin.items()),
        )
    if made.counts != recipe.paper:
        logging.getLogger(__name__).warning(
            "the counts differ from the paper's: found %s; paper %s. Known: %s",
            made.counts,
            recipe.paper,
            recipe.note,
        )


def _report_domain(recipe: Recipe, made: MadeDomain, folder: Path) -> None:
    lines = [
        f"rows     {made.rows_read:,} reviews, {made.repeated:,} of them repeated",
        f"found    {made.counts}",
    ]
    sys.stdout.write("\n".join([*lines, f"paper    {recipe.paper}", f"folder   {folder}"]) + "\n")
    if not as_published(made.counts, recipe.paper):
        logging.getLogger(__name__).warning(
            "the counts differ from the paper's: found %s; paper %s. Known: %s",
            made.counts,
            recipe.paper,
            recipe.note,
        )
    _report_shared(recipe.name, folder)


def _report_shared(name: str, folder: Path) -> None:
    """Tell how many users a domain shares with those prepared beside it, and how many the paper says."""
    users = users_of(folder / f"{name}.inter")
    for other in sorted(DOMAINS.keys() - {name}):
        file = folder.parent / other / f"{other}.inter"
        if not file.is_file():
            continue
        shared, paper = len(users & users_of(file)), SHARED_USERS[frozenset((name, other))]
        sys.stdout.write(f"shared   {shared:,} users with {other}, {paper:,} in the paper\n")
        if abs(shared - paper) > THOUSAND:
            logging.getLogger(__name__).warning(
                "%s and %s share %d users, in the paper %d; one of them is not the file that the paper "
                "counts",
                *(name, other, shared, paper),
            )


def _options(recipe: Recipe, given: Given) -> PrepareArguments:
    """Return the options over the set's own defaults."""
    known = (
        []
        if recipe.name in DOMAINS
        else ["seed", *recipe.filters, *(["text"] if recipe.name in AMAZON else [])]
    )
    for name in given.options:
        if name not in (*known, *PLACES):
            near = did_you_mean(name, [*known, *PLACES])
            allowed = ", ".join(f"--{option}" for option in (*PLACES, *known))
            raise UsageError(f"prepare {recipe.name} has no option {name!r}{near}; there are {allowed}")
    return given.read(PrepareArguments, recipe.filters)


def _refuse_overwriting(recipe: Recipe, folder: Path, force: bool) -> None:
    own = {f"{recipe.name}.{part}.inter" for part in (AMAZON_PARTS if recipe.name in AMAZON else PARTS)}
    own = {f"{recipe.name}.inter"} if recipe.name in DOMAINS else own
    there = {path.name for path in folder.glob("*.inter")}
    if there - own:
        raise UsageError(
            f"{folder} holds {', '.join(sorted(there - own))}, of another split of the same name; parts of "
            "two splits "
            "in one folder would be mixed up. Move them away, or name another folder with --output"
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
    for recipe in (RECIPES | AMAZON | DOMAINS).values():
        lines += [f"{recipe.name}: {recipe.title}", f"    state    {_state(recipe, output)}"]
        for file in recipe.files:
            how = "downloaded" if file.urls else "by hand, then --source=FOLDER"
            lines += [f"    source   {file.name} from {file.page} ({how})"]
        lines += [f"    licence  {recipe.licence}", f"    paper    {recipe.paper}"]
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
