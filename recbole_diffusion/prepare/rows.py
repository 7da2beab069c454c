"""Rows of published text files, read in a stream, and the error that names file and row.

The fields and the rating of every row are checked, ids and times only of positive rows.
"""

import contextlib
import csv
import gzip
import io
import math
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO

from tqdm import tqdm

from recbole_diffusion.errors import UsageError

Stream = IO[bytes] | gzip.GzipFile
LONGEST = 80  # characters of a bad value that a message shows
UNWRITABLE = re.compile("[\0\ud800-\udfff]")  # NUL ends a field for some readers, UTF-8 has no half pairs
TICK = 20_000  # rows between two moves of the progress bar


def byte_bar(title: str, total: int | None, done: int = 0) -> tqdm:
    """Return a progress bar that counts bytes; silent unless standard error is a terminal.

    Args:
        title: what is read or fetched.
        total: bytes at the end, or None if unknown.
        done: bytes left by an earlier attempt.
    """
    shown = sys.stderr.isatty()
    return tqdm(
        desc=title, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024, disable=not shown
    )


class SourceError(UsageError):
    """A published file is not in its known format; the message says file, row, found and expected."""


class SourceRows:
    """Reads one stream row by row and keeps track of the position.

    Attributes:
        name: the file, for messages.
        row: number of the row just read, from 1, not counting the header.
    """

    def __init__(self, stream: Stream, name: str, size: int) -> None:
        self.stream, self.name, self.size = stream, name, size
        self.row, self.line = 0, 0

    def fault(self, found: str, expected: str) -> SourceError:
        """Return the error that describes the row just read."""
        where = (
            f"row {self.row} (line {self.line})"
            if self.line
            else f"row {self.row}"
            if self.row
            else "its first line"
        )
        return SourceError(
            f"{self.name}, {where}: found {found}, expected {expected}; get the file again, or correct that "
            "row"
        )

    def number(self, text: str | float, column: str) -> float:
        """Return a finite number.

        Raises:
            SourceError: it is none: also ``true``, and ``1_0``, which Python reads as 10.
        """
        try:
            value = math.nan if isinstance(text, bool) or "_" in str(text) else float(text)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
        if not math.isfinite(value):
            raise self.fault(f"{text!r:.{LONGEST}} as {column}", "a number")
        return value

    def rating(self, text: str | float, column: str, low: float, high: float) -> float:
        """Return a number on a scale of ratings.

        Raises:
            SourceError: it is none, or lies outside the scale.
        """
        value = self.number(text, column)
        if not low <= value <= high:
            raise self.fault(f"{text!r:.{LONGEST}} as {column}", f"a number from {low:g} to {high:g}")
        return value

    def token(self, text: str, column: str) -> str:
        """Return an id that a tab-separated file can hold.

        Raises:
            SourceError: it is empty, not a text, or has a blank character, a quote, NUL or half a surrogate
                pair in it.
        """
        if not isinstance(text, str) or not text or text.split() != [text] or '"' in text:
            raise self.fault(f"{text!r:.{LONGEST}} as {column}", "an id without blanks and quotes")
        if not text.isprintable() and UNWRITABLE.search(text):
            raise self.fault(f"{text!r:.{LONGEST}} as {column}", "an id that a text file can hold")
        return text

    def day(self, text: str, column: str) -> float:
        """Return the seconds since 1970 of a date, or of a date and a time, in UTC.

        Raises:
            SourceError: the text is neither.
        """
        try:
            return _seconds(text)
        except (TypeError, ValueError):
            raise self.fault(
                f"{text!r:.{LONGEST}} as {column}", "a date such as 2018-07-05, or 2018-07-05 21:40:09"
            ) from None

    @contextlib.contextmanager
    def readable(self) -> Iterator[None]:
        """Turn Python's errors from a damaged file into one that names the row.

        Raises:
            SourceError: the text is not UTF-8, a quoted field does not end, or a compressed file is truncated
                or damaged.
        """
        try:
            yield
        except UnicodeDecodeError as error:
            self.row, self.line = self.row + 1, 0
            found = (
                f"the bytes {error.object[error.start : error.start + 8]!r} here or in one of the next rows"
            )
            raise self.fault(found, "UTF-8 text") from error
        except csv.Error as error:
            self.row, self.line = self.row + 1, 0
            raise self.fault(
                f"a row that cannot be split ({error})", "fields with their quotes closed"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            self.row, self.line = self.row + 1, 0
            raise self.fault(f"a damaged archive ({error})", "a whole compressed file") from error

    def read_csv(self, columns: Sequence[str]) -> Iterator[list[str]]:
        """Yield the named columns of each row of a CSV file with a header; quoted fields may hold line ends.

        Raises:
            SourceError: a column is missing or there twice, or a row does not have the fields of the header,
                or cannot be split.
        """
        text = io.TextIOWrapper(self.stream, encoding="utf-8-sig", newline="")
        with self.readable(), byte_bar(self.name, self.size) as bar:
            reader = csv.reader(text, strict=True)
            header = next(reader, [])
            missing = [name for name in columns if name not in header]
            if missing:
                raise self.fault(
                    f"the columns {', '.join(header)[:LONGEST] or 'of an empty file'}", ", ".join(columns)
                )
            twice = [name for name in columns if header.count(name) > 1]
            if twice:
                raise self.fault(f"the column {twice[0]} {header.count(twice[0])} times", "each column once")
            places, width = [header.index(name) for name in columns], len(header)
            line = reader.line_num
            for self.row, fields in enumerate(reader, 1):
                self.line, line = line + 1, reader.line_num
                if len(fields) != width:
                    raise self.fault(f"{len(fields)} fields", f"{width} as in the header")
                yield [fields[place] for place in places]
                if self.row % TICK == 0:
                    bar.update(self.stream.tell() - bar.n)

    def read_lines(self) -> Iterator[bytes]:
        """Yield each line of a file; the last may lack its line end.

        Raises:
            SourceError: a compressed file is truncated or damaged.
        """
        with self.readable(), byte_bar(self.name, self.size) as bar:
            done = 0
            for line in self.stream:
                self.row += 1
                done += len(line)
                yield line
                if self.row % TICK == 0:
                    bar.update(done - bar.n)


@lru_cache(maxsize=1 << 14)
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
