"""The ratings of Amazon's reviews, row by row; memory holds a number for each user, item and pair."""

import gzip
import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare.amazon import REVIEW_KEYS, record_of
from recbole_diffusion.prepare.amazon_ids import is_product_of_reviewer
from recbole_diffusion.prepare.cores import k_core
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, Counts, PreparedSet, Request
from recbole_diffusion.prepare.rows import SourceError, SourceRows
from recbole_diffusion.storage.atomic import whole_set

LOW, HIGH = 1.0, 5.0
HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
CSV_COLUMNS = "user,item,rating,timestamp"
CORE = 5  # of the published review files; the files of all ratings are cut to it
# Rows of a file of all ratings by whose ids the order of its columns is judged; fewer have no core.
FEWEST, LOOKED_AT = 20, 10_000
OTHER_YEAR = (
    f": that is the order of Amazon's files of 2018, and this set is of 2014, {CSV_COLUMNS}; get the file of "
    "2014, or make a data set of this one with 'convert', which tells the order by the ids"
)
Rating = tuple[str, str, float, float]  # user, item, rating, seconds since 1970


@dataclass(frozen=True)
class RatingDomain:
    """Every rating of a review file, as a set of its own or as a domain of a cross-domain model.

    Attributes:
        shared: number of users that the paper says the domain shares with another one, by its name.
        tolerance: allowed difference to such a number, which the paper rounds.
    """

    shared: Mapping[str, int]
    tolerance: int

    parts = ()
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the ratings and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is malformed or empty.
        """
        reviews = asked.paths[asked.recipe.files[0].name]
        with whole_set(asked.folder, ADVICE) as draft:
            counts, rows_read, repeated = write_ratings(reviews, draft / f"{asked.recipe.name}.inter")
            if not rows_read:
                raise UsageError(f"{reviews} has no review; get the file again")
            if not counts.interactions:
                raise UsageError(
                    f"no rating of {reviews} ({counted(rows_read, 'row')}) is in a {CORE}-core; give the "
                    "file of all ratings of the category, not a part of it"
                )
            described = {
                **asked.record,
                "found": asdict(counts),
                "rows_read": rows_read,
                "repeated": repeated,
            }
            (draft / RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        lines = [f"rows     {rows_read:,} reviews, {repeated:,} of them repeated"]
        outside = rows_read - repeated - counts.interactions
        lines += [f"core     {outside:,} ratings are of no {CORE}-core"] if outside else []
        made = PreparedSet(counts, lines, [])
        self._compare_shared(asked.recipe.name, asked.folder, made)
        return made

    def _compare_shared(self, name: str, folder: Path, made: PreparedSet) -> None:
        """Add the number of users that the domain shares with each of the others prepared beside it."""
        users = users_of(folder / f"{name}.inter")
        for other, paper in sorted(self.shared.items()):
            file = folder.parent / other / f"{other}.inter"
            if not file.is_file():
                continue
            shared = len(users & users_of(file))
            made.lines.append(f"shared   {shared:,} users with {other}, {paper:,} in the paper")
            if abs(shared - paper) > self.tolerance:
                made.warnings.append(
                    f"{name} and {other} share {shared} users, in the paper {paper}; one of them is not the "
                    "file that the paper counts"
                )


def write_ratings(path: Path, output: Path) -> tuple[Counts, int, int]:
    """Write the ratings of a file as atomic rows; of one user and item, the first.

    Args:
        path: gzipped reviews, one JSON object or Python literal per line, or a CSV file of all ratings of the
            category (``user,item,rating,timestamp``), whose ``CORE``-core is written: the same rows.
        output: the .inter file.

    Returns:
        The counts of the written rows, the number of rows of the file, and how many of these repeat a pair.

    Raises:
        SourceError: a row is no rating, or not one in 1..5; the message names its number.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    seen: set[int] = set()
    # Codes of each written row.
    columns = array("i"), array("i")
    whole = path.suffix == ".csv"
    with (
        path.open("rb") if whole else gzip.open(path, "rb") as stream,
        output.open("w", encoding="utf-8") as out,
    ):
        rows = SourceRows(stream, path.name, path.stat().st_size if whole else 0)
        out.write(HEADER)
        for user, item, rating, time in _all_ratings(rows) if whole else _reviews(rows):
            codes = users.setdefault(user, len(users)), items.setdefault(item, len(items))
            pair = codes[0] << 32 | codes[1]
            if pair not in seen:
                seen.add(pair)
                for column, code in zip(columns, codes, strict=True):
                    column.append(code)
                out.write(f"{user}\t{item}\t{rating:g}\t{time:.0f}\n")
    owners, things = (np.array(column, np.int64) for column in columns)
    keep = k_core(owners, things, CORE) if whole else np.ones(len(owners), bool)
    if not keep.all():
        _only_rows(output, keep)
    counts = Counts(len(np.unique(owners[keep])), len(np.unique(things[keep])), int(keep.sum()))
    return counts, rows.row, rows.row - len(seen)


def _reviews(rows: SourceRows) -> Iterator[Rating]:
    for line in rows.read_lines():
        record = record_of(rows, line, REVIEW_KEYS)
        yield (
            rows.token(record["reviewerID"], "reviewerID"),
            rows.token(record["asin"], "asin"),
            rows.rating(record["overall"], "overall", LOW, HIGH),
            rows.number(record["unixReviewTime"], "unixReviewTime"),
        )


def _all_ratings(rows: SourceRows) -> Iterator[Rating]:
    """Yield the rows of a CSV file, which has no header as it is published, and one in some copies.

    Raises:
        SourceError: a row is malformed, or the file has items before users, as Amazon's of 2018.
    """
    item_first = 0  # rows
    for line in rows.read_lines():
        fields = line.decode("utf-8-sig", "replace").strip().split(",")
        if rows.row == 1 and ",".join(fields) == CSV_COLUMNS:
            rows.row = 0
            continue
        if rows.row == 1 and sorted(fields) == sorted(CSV_COLUMNS.split(",")):
            raise SourceError(f"{rows.name} has the columns {','.join(fields)}{OTHER_YEAR}")
        if len(fields) != 4 or "\ufffd" in fields[0] + fields[1]:
            raise rows.fault(f"{line[:40]!r}", f"the four fields {CSV_COLUMNS}")
        if rows.row <= LOOKED_AT:
            item_first += is_product_of_reviewer(*fields[:2])
            if rows.row >= FEWEST and 2 * item_first > rows.row:
                raise SourceError(
                    f"{rows.name} has items before users, such as {fields[0]:.40} of {fields[1]:.40} in row "
                    f"{rows.row}{OTHER_YEAR}"
                )
        yield (
            rows.token(fields[0], "user"),
            rows.token(fields[1], "item"),
            rows.rating(fields[2], "rating", LOW, HIGH),
            rows.number(fields[3], "timestamp"),
        )


def _only_rows(file: Path, keep: np.ndarray) -> None:
    """Leave in an atomic file the rows where ``keep``, bool [rows], is true."""
    cut = file.with_suffix(".core")
    with file.open(encoding="utf-8") as stream, cut.open("w", encoding="utf-8") as out:
        out.write(next(stream))
        out.writelines(line for line, kept in zip(stream, keep.tolist(), strict=True) if kept)
    cut.replace(file)


def users_of(file: Path) -> set[str]:
    """Return the user tokens of an atomic file that :func:`write_ratings` has written."""
    with file.open(encoding="utf-8") as stream:
        next(stream)
        return {line.partition("\t")[0] for line in stream}
