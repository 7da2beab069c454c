"""Text files of pairs of user and item, as authors publish them, and atomic files of such rows."""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare.recipe import Counts
from recbole_diffusion.prepare.rows import SourceRows

BETWEEN = re.compile(r" *(?:::|[\t,;]) *| +")  # a tab or comma more is an empty field, a blank more is none
NUMBER = re.compile(r"[-+.]?\d")
STARS = 1.0, 5.0  # the scale of MovieLens and of Douban
LATEST = 4e9  # seconds since 1970: 2096
BOM = b"\xef\xbb\xbf"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Part:
    """Rows of one or more published files.

    Attributes:
        files: names of the files, one after another.
        lists: each line is a user and any number of items; else a user, an item and numbers.
        member: name within the archive of a file that ends in .zip.
    """

    files: tuple[str, ...]
    lists: bool = False
    member: str = ""


def rows_of(part: Part, paths: Mapping[str, Path], columns: Sequence[str]) -> tuple[dict[Pair, str], int]:
    """Return the rows of the files of a part and how many were left out; of a pair the first row counts.

    Args:
        part: the files.
        paths: the path of each by name.
        columns: name and type of the numbers that follow the item; they are kept as one text, with tabs
            between them. A ``rating`` is one of ``STARS``, a ``timestamp`` seconds since 1970.

    Raises:
        SourceError: a row is malformed; the message names it.
        UsageError: a file has no row.
    """
    rows: dict[Pair, str] = {}
    repeated = 0
    for name in part.files:
        read = 0
        for user, item, value in _read(paths[name], part, columns):
            read += 1
            repeated += (user, item) in rows
            rows.setdefault((user, item), value)
        if not read:
            raise UsageError(f"{paths[name]} has no row; get the file again")
    return rows, repeated


def _read(path: Path, part: Part, columns: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield user, item and what follows; a first line of names is left out."""
    numbers = len(columns)
    expected = "a user and items" if part.lists else f"user, item and {counted(numbers, 'number')}"
    width, listed = 0, set[str]()
    with _opened(path, part.member) as (stream, size):
        rows = SourceRows(stream, path.name, size)
        for line in rows.read_lines():
            text = line.removeprefix(BOM).strip().decode("utf-8", "replace")
            words = BETWEEN.split(text)
            if rows.row == 1 and _is_header(rows, words):
                continue
            if not part.lists and len(words) < 2 + numbers:
                raise rows.fault(f"{line[:40]!r}", expected)
            user, *others = words
            for word in (user, *(others if part.lists else others[:1])):
                if not word.isdecimal() or not word.isascii() or (word != "0" and word.startswith("0")):
                    raise rows.fault(f"{word[:40]!r}", f"{expected}, all whole numbers")
            if part.lists:
                if user in listed:
                    raise rows.fault(f"a second line of user {user}", "one line of each user with all items")
                listed.add(user)
                yield from ((user, item, "") for item in others)
                continue
            width = width or len(words)
            if len(words) != width or "" in words:
                raise rows.fault(f"{line[:40]!r}", f"{width} fields, as the rows before, and none empty")
            _check(rows, columns, others[1 : 1 + numbers])
            yield user, others[0], "\t".join(others[1 : 1 + numbers])


def _is_header(rows: SourceRows, words: Sequence[str]) -> bool:
    """Return whether a first line has names of columns, none of them a number.

    Raises:
        SourceError: by their names the columns are an index, or items before users.
    """
    names = [word.strip("'\"").lower() for word in words]
    if any(NUMBER.match(name) for name in names):
        return False
    if len(names) > 1 and not names[0]:
        raise rows.fault("an unnamed first column, an index", "the user first")
    if len(names) > 1 and (names[0].startswith("item") or names[1].startswith("user")):
        raise rows.fault(f"the columns {', '.join(names)[:40]}", "the user first, then the item")
    return any(names)


def _check(rows: SourceRows, columns: Sequence[str], values: Sequence[str]) -> None:
    """Check the numbers that follow the item: ratings on their scale, times in seconds since 1970."""
    for column, value in zip(columns, values, strict=True):
        name = column.partition(":")[0]
        if name == "rating":
            rows.rating(value, name, *STARS)
        elif rows.number(value, name) > LATEST and name == "timestamp":
            raise rows.fault(f"{value!r} as {name}", "seconds since 1970, not milliseconds")
        elif name == "timestamp" and float(value) < 0:
            raise rows.fault(f"{value!r} as {name}", "seconds since 1970, from 0")


@contextlib.contextmanager
def _opened(path: Path, member: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a file, or a member of an archive; its size comes with it.

    Raises:
        UsageError: it is no archive, or has no such member.
    """
    if path.suffix != ".zip":
        with path.open("rb") as stream:
            yield stream, path.stat().st_size
        return
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream, archive.getinfo(member).file_size
    except (zipfile.BadZipFile, KeyError, zlib.error) as error:
        raise UsageError(f"{path} is no whole archive with {member} in it ({error}); get it again") from error


def by_number(rows: Mapping[Pair, str]) -> dict[Pair, str]:
    """Return rows in the order of users and items, which are numbers."""
    return dict(sorted(rows.items(), key=lambda row: (int(row[0][0]), int(row[0][1]))))


def codes_of(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Return codes of users and items, in the order in which they appear, int64 [rows] each."""
    known: tuple[dict[str, int], dict[str, int]] = {}, {}
    users, items = (
        np.array([codes.setdefault(pair[place], len(codes)) for pair in pairs], np.int64)
        for place, codes in enumerate(known)
    )
    return users, items


def counted_pairs(pairs: Sequence[Pair]) -> Counts:
    """Return users, items and different pairs."""
    some = set(pairs)
    return Counts(len({user for user, _ in some}), len({item for _, item in some}), len(some))


def write_rows(rows: Mapping[Pair, str], path: Path, columns: Sequence[str]) -> None:
    """Write one atomic file in the order of the rows, with the columns after the item."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(("user_id:token", "item_id:token", *columns)) + "\n")
        for (user, item), values in rows.items():
            file.write(f"{user}\t{item}\t{values}\n" if columns else f"{user}\t{item}\n")
