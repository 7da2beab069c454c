"""A published table of ratings whose ids are no numbers and whose repeated rows stay."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.pair_files import STARS, counted_pairs
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, PreparedSet, Request
from recbole_diffusion.prepare.rows import SourceRows
from recbole_diffusion.storage.atomic import whole_set

COLUMNS = ("user_id", "item_id", "rating")
TYPED = "user_id:token\titem_id:token\trating:float\n"


@dataclass(frozen=True)
class PlainRatings:
    """The rows of one tab-separated file with a header of ``COLUMNS``, in its order, under typed names.

    Attributes:
        file: the file.
    """

    file: str
    parts = ()
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the ratings and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is malformed or empty.
        """
        rows = list(_read(asked.paths[self.file]))
        if not rows:
            raise UsageError(f"{asked.paths[self.file]} has no row; get the file again")
        counts = counted_pairs([(user, item) for user, item, _ in rows])
        repeated = len(rows) - counts.interactions
        with whole_set(asked.folder, ADVICE) as draft:
            with (draft / f"{asked.recipe.name}.inter").open("w", encoding="utf-8", newline="\n") as file:
                file.write(TYPED)
                file.writelines("\t".join(row) + "\n" for row in rows)
            found = {**asked.record, "found": asdict(counts), "rows": len(rows), "repeated": repeated}
            (draft / RECORD).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        line = f"rows     {len(rows):,} ratings; {repeated:,} repeat a pair, and stay, as in the tables"
        return PreparedSet(counts, [line], [])


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield user, item and rating as they stand in the file.

    Raises:
        SourceError: the header or a row is another one.
    """
    with path.open("rb") as stream:
        rows = SourceRows(stream, path.name, path.stat().st_size)
        rows.row = -1  # the header is no row
        for line in rows.read_lines():
            fields = line.decode("utf-8-sig", "replace").rstrip("\r\n").split("\t")
            if rows.row == 0:
                if tuple(fields) != COLUMNS:
                    raise rows.fault(f"the columns {', '.join(fields)[:80]}", ", ".join(COLUMNS))
                continue
            if any("\ufffd" in field for field in fields):
                raise rows.fault(f"{line[:40]!r}", "UTF-8 text")
            if len(fields) != len(COLUMNS):
                raise rows.fault(f"{line[:40]!r}", f"the fields {', '.join(COLUMNS)}, with tabs between them")
            user, item, rating = fields
            rows.rating(rating, "rating", *STARS)
            yield rows.token(user, "user_id"), rows.token(item, "item_id"), rating
