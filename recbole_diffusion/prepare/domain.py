"""One rating domain from Amazon's reviews, row by row; memory holds a number for each user, item and pair."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.amazon import REVIEW_KEYS, record_of
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, Counts, PreparedSet, Recipe
from recbole_diffusion.prepare.rows import SourceRows
from recbole_diffusion.storage.atomic import whole_set

LOW, HIGH = 1.0, 5.0
HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@dataclass(frozen=True)
class RatingDomain:
    """A domain for cross-domain models: every rating of a review file.

    Attributes:
        shared: number of users that the paper says the domain shares with another one, by its name.
        tolerance: allowed difference to such a number, which the paper rounds.
    """

    shared: Mapping[str, int]
    tolerance: int

    parts = ()
    options = ()

    def make(
        self,
        recipe: Recipe,
        paths: Mapping[str, Path],
        folder: Path,
        record: Mapping[str, Any],
        options: Mapping[str, Any],  # noqa: ARG002 there are none
    ) -> PreparedSet:
        """Write the ratings and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is malformed or empty.
        """
        reviews = paths[recipe.files[0].name]
        with whole_set(folder, ADVICE) as draft:
            counts, rows_read = write_ratings(reviews, draft / f"{recipe.name}.inter")
            if not rows_read:
                raise UsageError(f"{reviews} has no review; get the file again")
            repeated = rows_read - counts.interactions
            described = {**record, "found": asdict(counts), "rows_read": rows_read, "repeated": repeated}
            (draft / RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
        made = PreparedSet(counts, [f"rows     {rows_read:,} reviews, {repeated:,} of them repeated"], [])
        self._compare_shared(recipe.name, folder, made)
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


def write_ratings(path: Path, output: Path) -> tuple[Counts, int]:
    """Write the ratings of a review file as atomic rows; of one user and item, the first.

    Args:
        path: gzipped reviews, one JSON object or Python literal per line.
        output: the .inter file.

    Returns:
        The counts of the written rows, and the number of lines of the reviews.

    Raises:
        SourceError: a line is not a review, or its rating is not in 1..5; the message names its number.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    seen: set[int] = set()
    with gzip.open(path, "rb") as stream, output.open("w", encoding="utf-8") as out:
        rows = SourceRows(stream, path.name, 0)
        out.write(HEADER)
        for line in rows.read_lines():
            record = record_of(rows, line, REVIEW_KEYS)
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
    return Counts(len(users), len(items), len(seen)), rows.row


def users_of(file: Path) -> set[str]:
    """Return the user tokens of an atomic file that :func:`write_ratings` has written."""
    with file.open(encoding="utf-8") as stream:
        next(stream)
        return {line.partition("\t")[0] for line in stream}
