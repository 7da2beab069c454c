"""One rating domain out of Amazon's reviews, row by row: held are a number for each user, item and pair, never the reviews."""

import gzip
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.prepare.amazon import KEYS, _record
from recbole_diffusion.prepare.making import RECORD, remove_if_empty
from recbole_diffusion.prepare.rows import Rows
from recbole_diffusion.prepare.table import Counts, Recipe

LOW, HIGH = 1.0, 5.0
HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@dataclass(frozen=True)
class MadeDomain:
    """What was made: counts, lines of the reviews, and how many of them rate an item a second time."""

    counts: Counts
    rows_read: int
    repeated: int


def write_ratings(path: Path, output: Path) -> MadeDomain:
    """Write the ratings of a review file as atomic rows; of one user and item, the first.

    Args:
        path: gzipped reviews, one JSON object or Python literal a line.
        output: the .inter file.

    Raises:
        SourceError: a line is no review, or its rating is not in 1..5; the message names its number.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    seen: set[int] = set()
    with gzip.open(path, "rb") as stream, output.open("w", encoding="utf-8") as out:
        rows = Rows(stream, path.name, 0)
        out.write(HEADER)
        for line in rows.of_lines():
            record = _record(rows, line, KEYS)
            user, item = rows.token(record["reviewerID"], "reviewerID"), rows.token(record["asin"], "asin")
            rating, time = (
                rows.number(record["overall"], "overall"),
                rows.number(record["unixReviewTime"], "unixReviewTime"),
            )
            if not LOW <= rating <= HIGH:
                raise rows.fault(f"the rating {rating:g}", "one from 1 to 5")
            pair = users.setdefault(user, len(users)) << 32 | items.setdefault(item, len(items))
            if pair not in seen:
                seen.add(pair)
                out.write(f"{user}\t{item}\t{rating:g}\t{time:.0f}\n")
    return MadeDomain(Counts(len(users), len(items), len(seen)), rows.row, rows.row - len(seen))


def users_of(file: Path) -> set[str]:
    """Return the user tokens of an atomic file that :func:`write_ratings` has written."""
    with file.open(encoding="utf-8") as stream:
        next(stream)
        return {line.partition("\t")[0] for line in stream}


def make_domain(
    recipe: Recipe, paths: Mapping[str, Path], folder: Path, record: Mapping[str, Any]
) -> MadeDomain:
    """Read and write one domain; the files appear in ``folder`` at the end, ``prepare.json`` last.

    Args:
        recipe: the set, with one file of reviews.
        paths: path of each source file by name.
        folder: where to.
        record: what ``prepare.json`` says beside what is found here.

    Raises:
        UsageError: the file is malformed or empty. RunError: the disk is full or not writable.
    """
    reviews = paths[recipe.files[0].name]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".prepare-", dir=folder))
        try:
            made = write_ratings(reviews, draft / f"{recipe.name}.inter")
            if not made.rows_read:
                raise UsageError(f"{reviews} has no review; get the file again")
            described = {
                **record,
                "found": asdict(made.counts),
                "rows_read": made.rows_read,
                "repeated": made.repeated,
            }
            (draft / RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
            (folder / RECORD).unlink(missing_ok=True)
            for name in (f"{recipe.name}.inter", RECORD):
                (draft / name).replace(folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            remove_if_empty(folder)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error}; free some space, or name another folder with --output"
        ) from error
    return made
