"""Which column of a table is what: named by the user, or known by the table's form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.options.declare import argument
from recbole_diffusion.prepare.own.forms import NAMES, Form
from recbole_diffusion.prepare.own.source import Source
from recbole_diffusion.prepare.own.tables import FrameSource

USER, ITEM, RATING, TIME = "user_id", "item_id", "rating", "timestamp"  # RecBole's default names
ENDINGS = (".gz", ".bz2", ".zst", ".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet")


@dataclass(frozen=True)
class TableOptions:
    """Which columns of a table are what, and how a file of text is read."""

    user: str | None = argument(None, "column of users; null: that of a known form")
    item: str | None = argument(None, "column of items; null: that of a known form")
    rating: str | None = argument(None, "column of ratings; null: that of a known form, or none")
    time: str | None = argument(None, "column of times; null: that of a known form, or none")
    keep: str = argument("", "other columns to keep, separated by commas; numbers, or texts as tokens")
    form: str = argument(
        "auto",
        "form of a published file; auto: recognised by its columns unless --user and --item are given; "
        "table: none",
        choices=NAMES,
    )
    separator: str | None = argument(
        None, "separator of columns in a file of text, tab for a tabulator; null: by its first line"
    )
    encoding: str | None = argument(None, "encoding of a file of text; null: utf-8")
    columns: str = argument(
        "", "names of the columns of a file without a header line, in order, separated by commas"
    )
    time_unit: str = argument(
        "auto",
        "unit of times that are numbers, since 1970; auto: by their size",
        choices=("auto", "s", "ms", "us", "ns"),
    )
    time_format: str | None = argument(
        None, "format of times that are texts, such as %d/%m/%Y %H:%M; null: ISO 8601"
    )


@dataclass(frozen=True)
class Roles:
    """The column of each role, as the table names it; ``keep`` has those that stay under their own names."""

    user: str
    item: str
    rating: str | None
    time: str | None
    keep: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        """Return every column that is read."""
        return [
            name for name in (self.user, self.item, self.rating, self.time, *self.keep) if name is not None
        ]


def roles_of(source: Source, form: Form | None, read: TableOptions, keep: Sequence[str]) -> Roles:
    """Return the columns of a table that are read.

    Raises:
        UsageError: one is not there, or stands twice in the table, or is named for two roles.
    """
    given = {role: getattr(read, role) for role in ("user", "item", "rating", "time")}
    named = [role for role, name in given.items() if name] + ["keep"] * bool(keep)
    if form and form.reshape and named:
        raise UsageError(
            f"{source.where} is read as {form.title}, whose rows are made anew, so that {named[0]} cannot be "
            "named; leave it out"
        )
    found: dict[str, Any] = dict(given)
    for role in given if form else ():
        known = getattr(form, role)
        found[role] = given[role] or (None if known in given.values() else known)
    for role in ("user", "item"):
        if found[role] is None:
            raise UsageError(
                f"{source.where}: which column has the {role}s? Give --{role}=COLUMN; there are "
                f"{', '.join(source.names)[:200]}"
            )
    roles = Roles(**found, keep=tuple(keep) or (form.keep if form else ()))
    for name in roles.all:
        if roles.all.count(name) > 1:
            raise UsageError(f"the column {name!r} is named for two things; each column has one role")
        if name not in source.names:
            raise _missing(source, name)
        if source.names.count(name) > 1:
            raise UsageError(
                f"{source.where} has {source.names.count(name)} columns {name!r}; give each its own name"
            )
    taken = {USER, ITEM} | ({RATING} if roles.rating else set()) | ({TIME} if roles.time else set())
    wrong = [name for name in roles.keep if name in taken or re.search(r"[:\s\"]", name)]
    if wrong:
        raise UsageError(
            f"keep names the column {wrong[0]!r}, which cannot keep its name in a data set; rename it, "
            f"without blanks and colons, and to other than {', '.join(sorted(taken))}"
        )
    return roles


def _missing(source: Source, name: str) -> UsageError:
    hint = did_you_mean(name, source.names)
    if isinstance(source, FrameSource) and name in source.index_names:
        hint = " (it is the index: give data.reset_index())"
    elif not hint and source.headed and source.separator:
        hint = " (if its first line is a row already, name all columns with --columns)"
    return UsageError(
        f"{source.where} has no column {name!r}{hint}; there are {', '.join(source.names)[:200]}"
    )


def name_of(data: Any) -> str:
    """Return a name for a data set that has none: that of its file, or ``data``."""
    if not isinstance(data, str | Path):
        return "data"
    stem = Path(data).name
    while Path(stem).suffix.lower() in ENDINGS:
        stem = Path(stem).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip(".") or "data"
