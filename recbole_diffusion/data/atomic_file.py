"""Atomic files read by pandas' C engine instead of its Python engine, into the same data set as RecBole's.

RecBole reads with ``engine="python"`` and checks nothing. This is what it does with a bad row, and where
``AtomicFile`` is stricter:

- Too many fields: in the first row, pandas takes the leading fields of every row for an index and each column
  gets its neighbour's values; in a later row the surplus is dropped. Here both are errors.
- Too few fields: the row is filled with missing values, so a token becomes ``[PAD]``, a number the mean of
  its column, and an interaction without user or item is removed. Here it is an error. An empty field is a
  missing value, as in RecBole.
- Tokens that pandas takes for missing values (``NA``, ``null``, ``None``, ``nan``): here they are tokens like
  others. In a column of numbers they are missing values, as in RecBole.
- A separator of several characters: RecBole splits the header at it and the rows at the regular expression
  that it happens to be. Here it is taken literally, and nothing is quoted in such a file.
- Not a number in a float column: an error in both; RecBole's names neither file nor line.
- Digits with underscores (``1_0``), which Python alone reads as a number: here an error.
- No rows: RecBole fails later, with a hint at the filters. Here it is an error, except in a part of
  ``benchmark_filename``.

Files that the two engines read differently are read by the Python engine: a single column, lines that start
with a blank or end in a bare carriage return, NUL, numbers from 2**53 (unless the whole column is int64) and
numbers that only Python reads (digits of other scripts).

Longer than most files: reading, and the place of each fault.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.errors import UsageError

EXACT = 2.0**53  # the C engine reads every whole number below it as the Python engine does
MARKS = "\x1f\x1e\x1d\x1c\x01\x02\x03\x04\x05\x06"  # stand in for a separator of several characters


class AtomicFileError(UsageError):
    """An atomic file is malformed; the message has file, line, what was found and expected, and a remedy."""


class AtomicFile:
    """One atomic file, held as UTF-8 bytes: its columns, its rows, and the places of its faults."""

    unit = "line"  # what its places are counted in

    def __init__(self, path: Path, encoding: str | None, separator: str) -> None:
        self.path, self.separator, self.raw = path, separator, path.read_bytes()
        self.mark = separator
        self.quoting: Any = csv.QUOTE_MINIMAL
        encoding = codecs.lookup(encoding or "utf-8").name
        try:
            text = self.raw.decode(encoding)
        except UnicodeDecodeError as error:
            line, found = self.raw.count(b"\n", 0, error.start) + 1, self.raw[error.start : error.start + 8]
            remedy = "save it as UTF-8, or set encoding to its own"
            raise self.fault(line, f"the bytes {found!r}", f"{encoding} text", remedy) from error
        as_read = encoding == "utf-8" and not text.startswith("\ufeff")
        text = text.removeprefix("\ufeff")
        if len(separator) > 1 or not separator.isascii():
            self.mark = next((mark for mark in MARKS if mark not in text), MARKS[0])
            self.quoting = csv.QUOTE_MINIMAL if len(separator) == 1 else csv.QUOTE_NONE
            text, as_read = text.replace(separator, self.mark), False
        if not as_read:
            self.raw = text.encode()
        self.odd_returns = b"\r" in self.raw and self.raw.count(b"\r") != self.raw.count(b"\r\n")

    def fault(self, line: int, found: str, expected: str, remedy: str) -> AtomicFileError:
        """Return the error that describes one fault in one line."""
        return AtomicFileError(f"{self.path}, line {line}: found {found}, expected {expected}; {remedy}")

    def header(self) -> dict[str, FeatureType]:
        """Return the type of each column by its name, in the order of the file."""
        columns: dict[str, FeatureType] = {}
        first = io.TextIOWrapper(io.BytesIO(self.raw), encoding="utf-8").readline().removesuffix("\n")
        types = [kind.value for kind in FeatureType]
        if not first:
            found = "an empty line" if self.raw else "an empty file"
            raise self.fault(
                1, found, "a header such as 'user_id:token'", "write header and rows, or remove the file"
            )
        for column in first.split(self.mark):
            name, _, kind = column.partition(":")
            if not name or kind not in types or name in columns:
                found = f"the column {column!r}" + (" again" if name in columns else "")
                remedy = (
                    f"give each column one name and type, separated by {self.separator!r} (field_separator)"
                )
                raise self.fault(1, found, f"name:type with the type {' or '.join(types)}", remedy)
            columns[name] = FeatureType(kind)
        return columns

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and fields of each row below the header, as pandas' Python engine splits them."""
        text = io.StringIO(self.raw.decode(), newline="")
        reader = csv.reader(text, delimiter=self.mark, quoting=self.quoting, strict=True)
        line = 0
        try:
            for fields in reader:
                if line and (len(fields) > 1 or "".join(fields).strip()):
                    yield line + 1, fields
                line = reader.line_num
        except csv.Error as error:
            remedy = 'close each quoted field before its separator, and write a quote inside it as ""'
            raise self.fault(
                line + 1, f"a field that cannot be split ({error})", "valid CSV quoting", remedy
            ) from error

    def check_rows(self, width: int) -> int:
        """Return the number of rows; raise at the first that does not have ``width`` fields.

        Without quotes, the separators and line ends of the whole file must repeat one pattern. If they do
        not, the fields of each row are counted.
        """
        unquoted = b'"' not in self.raw or self.quoting == csv.QUOTE_NONE
        if width > 1 and unquoted and not self.odd_returns:
            kept = f"{self.mark}\n".encode()
            marks = self.raw.rstrip(b"\r\n").translate(None, bytes(set(range(256)) - set(kept))) + b"\n"
            rows, rest = divmod(len(marks), width)
            if not rest and marks == (self.mark.encode() * (width - 1) + b"\n") * rows:
                return rows - 1
        rows = 0
        for line, fields in self.records():
            rows += 1
            if len(fields) != width:
                remedy = "write one value per column, and nothing between two separators if it is missing"
                raise self.fault(line, f"{len(fields)} fields", f"{width} as in the header", remedy)
        return rows

    def may_be_negative(self, name: str) -> bool:  # noqa: ARG002
        """Return whether numbers of a column may be negative: a field of the file begins with a minus."""
        return any(start + b"-" in self.raw for start in (self.mark.encode(), b"\n"))

    def lines_inside(self, rows: int) -> int:
        """Return how many lines lie inside of quoted fields, given the number of rows."""
        unquoted = b'"' not in self.raw or self.quoting == csv.QUOTE_NONE
        return 0 if unquoted else lines_beyond(io.BytesIO(self.raw), rows)

    def check_numbers(self, columns: dict[str, FeatureType], wanted: list[str], seq_separator: str) -> None:
        """Raise at the first value of a float or float_seq column that is not a number."""
        numbers = [
            (place, name)
            for place, name in enumerate(columns)
            if name in wanted and "float" in columns[name].value
        ]
        # pandas reads a column of booleans as 1 and 0, but not booleans among numbers.
        for booleans in (("true", "false"), ()):
            for line, fields in self.records():
                for place, name in numbers:
                    value = fields[place]
                    parts = value.split(seq_separator) if columns[name] == FeatureType.FLOAT_SEQ else [value]
                    if value not in STR_NA_VALUES and not _are_numbers(parts, ("", *booleans)):
                        raise self._no_number(line, value, name)

    def _no_number(self, line: int, value: str, name: str) -> AtomicFileError:
        remedy = "correct it, leave it empty, or declare the column as token"
        if re.match(r"\d{1,4}[-/.]\d{1,2}[-/.]\d", value):
            remedy = "write dates as numbers, such as seconds since 1970"
        return self.fault(line, f"{value!r:.60} in the column {name!r}", "a number", remedy)

    def _check_digits(self, columns: dict[str, FeatureType], wanted: list[str]) -> None:
        """Raise at the first number with an underscore, such as ``1_0``, which Python reads as 10."""
        kinds = columns.items()
        numbers = [
            (place, name)
            for place, (name, kind) in enumerate(kinds)
            if name in wanted and kind == FeatureType.FLOAT
        ]
        for line, fields in self.records() if numbers and b"_" in self.raw else ():
            for place, name in numbers:
                if "_" in fields[place]:
                    raise self._no_number(line, fields[place], name)

    def lines_of(self, rows: Sequence[int] | np.ndarray) -> list[int]:
        """Return the line numbers of rows, counted from 0 below the header, in ascending order."""
        wanted = {int(row) for row in rows}
        return [line for row, (line, _) in enumerate(self.records()) if row in wanted]

    def read(self, columns: dict[str, FeatureType], wanted: list[str], rows: int) -> pd.DataFrame:
        """Return the wanted columns as pandas' Python engine reads them, by the C engine where it can."""
        frame = self._by_c(columns, wanted, rows)
        if frame is None:
            self._check_digits(columns, wanted)
            return self._parsed("python", columns, wanted)
        return frame

    def _by_c(self, columns: dict[str, FeatureType], wanted: list[str], rows: int) -> pd.DataFrame | None:
        """Return the wanted columns; None if the engines may differ."""
        blank_starts = [b"\n "] if self.mark == "\t" else [b"\n ", b"\n\t"]
        if len(columns) == 1 or self.odd_returns or any(mark in self.raw for mark in (b"\0", *blank_starts)):
            return None
        frame = self._parsed("c", columns, wanted)
        if len(frame) != rows:  # the engines do not agree on which rows are empty
            return None
        for name in (name for name in wanted if columns[name] == FeatureType.FLOAT):
            values = frame[name]
            if (values.dtype.kind == "O" and rows) or (
                values.dtype.kind in "uf" and values.abs().max() >= EXACT
            ):
                return None
            frame[name] = values.astype(np.float64)
        return frame

    def _parsed(
        self, engine: Literal["c", "python"], columns: dict[str, FeatureType], wanted: list[str]
    ) -> pd.DataFrame:
        """Return the wanted columns; the C engine infers the type of numbers, the Python one gets it."""
        heads = {name: f"{name}:{kind.value}" for name, kind in columns.items()}
        numbers = [name for name, kind in columns.items() if kind == FeatureType.FLOAT]
        dtype: dict[str, Any] = {heads[name]: str for name in columns if name not in numbers}
        if engine == "python":
            dtype |= {heads[name]: np.float64 for name in numbers}
        missing = {
            heads[name]: STR_NA_VALUES if "float" in kind.value else {""} for name, kind in columns.items()
        }
        frame = pd.read_csv(
            io.BytesIO(self.raw),
            sep=self.mark,
            usecols=[heads[name] for name in wanted],
            dtype=dtype,
            na_values=missing,
            keep_default_na=False,
            quoting=self.quoting,
            engine=engine,
        )
        frame.columns = wanted
        return frame


def lines_beyond(lines: BinaryIO, rows: int) -> int:
    """Return how many lines of a file are neither its header nor one of its rows, nor blank."""
    ends = sum(block.count(b"\n") for block in iter(lambda: lines.read(2**20), b""))
    if ends <= rows + 1:
        return 0
    lines.seek(0)
    return max(sum(bool(line.strip()) for line in lines) - 1 - rows, 0)


def number(text: str) -> float:
    """Return the number of a text; an underscore between digits is a slip, though Python allows it.

    Raises:
        ValueError: it is none.
    """
    if "_" in text:
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _are_numbers(texts: list[str], ignored: tuple[str, ...]) -> bool:
    try:
        for text in texts:
            if text.lower() not in ignored:
                number(text)
    except ValueError:
        return False
    return True
