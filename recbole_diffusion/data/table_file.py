"""Parquet and CSV files with a plain header, read by pyarrow in the place of atomic files.

``NAME.inter.parquet`` or ``NAME.inter.csv`` stands for ``NAME.inter``, ``NAME.train.inter.parquet`` for a
part, ``NAME.item.csv`` for ``NAME.item``. A column is named ``rating``, or ``rating:float`` as in an atomic
file. Without a type, the columns of users and items are tokens, numbers and truth values are floats, texts
are tokens, dates and times are seconds since 1970 (UTC where no zone is given), and lists are sequences.
"""

import codecs
import csv
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.data.arrow_values import lowest_may_be_negative, type_of, values_of
from recbole_diffusion.data.atomic_file import lines_beyond
from recbole_diffusion.errors import UsageError

SUFFIXES = (".parquet", ".csv")
TAB = "\t"  # RecBole's default field_separator, which says nothing about a CSV file


def file_or_table(path: Path) -> Path:
    """Return an atomic file's path, or that of the table beside it if only that is there.

    Raises:
        UsageError: several files hold the same thing.
    """
    tables = [path.with_name(path.name + suffix) for suffix in SUFFIXES]
    found = [one for one in (path, *tables) if one.is_file()]
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        raise UsageError(f"{names} in {path.parent} hold the same part of the data; keep one of them")
    return found[0] if found else path


def is_table(path: Path) -> bool:
    """Return whether a file is read by pyarrow."""
    return path.suffix.lower() in SUFFIXES


def require_pyarrow(path: Path) -> None:
    """Check that pyarrow is there.

    Raises:
        UsageError: it is not.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{path} needs pyarrow; install it (pip install 'recbole-diffusion[parquet]')"
        ) from error


class TableFile:
    """One Parquet or CSV file, with the methods of ``AtomicFile``.

    Args:
        path: the file.
        config: of the data set: names of its fields, separator and encoding of a CSV file.

    Raises:
        UsageError: pyarrow is missing.
    """

    unit = "row"  # what its places are counted in

    def __init__(self, path: Path, config: Any) -> None:
        self.path = path
        self.ids = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"])
        self.separator = "," if config["field_separator"] == TAB else config["field_separator"]
        if len(self.separator) != 1 and path.suffix.lower() == ".csv":
            raise UsageError(
                f"{path} is a CSV file, which one character separates, but field_separator is "
                f"{self.separator!r}; save it with commas, or give another field_separator"
            )
        self.seq_separator = config["seq_separator"]
        self.encoding = config["encoding"] or "utf-8"
        require_pyarrow(path)

    def fault(self, row: int, found: str, expected: str, remedy: str) -> UsageError:
        """Return the error that describes a fault; row 0 is the whole file."""
        place = f"{self.path}, row {row}" if row else str(self.path)
        return UsageError(f"{place}: found {found}, expected {expected}; {remedy}")

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns, as they stand in the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if self.path.suffix.lower() == ".parquet":
                return list(pq.read_schema(self.path).names)
            signed = codecs.lookup(self.encoding).name == "utf-8"  # a byte order mark is no part of a name
            with self.path.open(encoding="utf-8-sig" if signed else self.encoding, newline="") as file:
                return next(csv.reader(file, delimiter=self.separator), [])
        except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
            raise self._unreadable(error) from error

    @cached_property
    def types(self) -> dict[str, FeatureType]:
        """The type of each column by its name without a type, in the order of the file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        known = {kind.value: kind for kind in FeatureType}
        if self.path.suffix.lower() == ".parquet":
            schema = {field.name: field.type for field in pq.read_schema(self.path)}
        else:
            schema = {field.name: field.type for field in self._table().schema}
        found: dict[str, FeatureType] = {}
        for column in self.names:
            name, colon, declared = column.partition(":")
            if not name or name in found or (colon and declared not in known):
                raise self.fault(
                    0,
                    f"the column {column!r}" + (" again" if name in found else ""),
                    f"name, or name:type with the type {' or '.join(known)}",
                    "give each column one name",
                )
            if colon:
                found[name] = known[declared]
            elif name in self.ids:
                found[name] = FeatureType.TOKEN
            else:
                found[name] = type_of(pa, schema[column])
        return found

    def header(self) -> dict[str, FeatureType]:
        """Return the type of each column by its name, in the order of the file."""
        if not self.names:
            raise self.fault(0, "no header", "the names of the columns", "write header and rows")
        if len(self.names) < 2 and self.path.suffix.lower() == ".csv":
            raise self.fault(
                0,
                f"the columns {self.names}",
                f"several, separated by {self.separator!r}",
                "name another separator with --field_separator",
            )
        return dict(self.types)

    def check_rows(self, width: int) -> int:  # noqa: ARG002
        """Return the number of rows; pyarrow itself refuses rows of another width."""
        import pyarrow.parquet as pq

        if self.path.suffix.lower() == ".parquet":
            return pq.read_metadata(self.path).num_rows
        return self._table().num_rows

    def lines_inside(self, rows: int) -> int:
        """Return how many lines of a CSV file lie inside of quoted fields, given the number of rows."""
        wide = codecs.lookup(self.encoding).name.startswith(("utf-16", "utf-32"))
        if self.path.suffix.lower() == ".parquet" or wide:
            return 0
        with self.path.open("rb") as lines:
            return lines_beyond(lines, rows)

    def check_numbers(self, columns: dict[str, FeatureType], wanted: list[str], seq_separator: str) -> None:
        """Do nothing: :meth:`read` names a column whose values are not numbers."""

    def lines_of(self, rows: Any) -> list[int]:
        """Return the numbers of rows, counted from 1 below the header, in ascending order."""
        return sorted({int(row) + 1 for row in rows})

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield number and texts of each row; a sequence is joined by ``seq_separator``."""
        types = self.types
        frame = self.read(types, list(types), 0)
        for row, values in enumerate(frame.itertuples(index=False), start=1):
            yield row, [self._text(value) for value in values]

    def _text(self, value: Any) -> str:
        if isinstance(value, np.ndarray | list):
            return self.seq_separator.join(map(str, value))
        return "" if value is None or value != value else str(value)

    def may_be_negative(self, name: str) -> bool:
        """Return whether numbers of a column may be negative: a Parquet file knows its lowest ones."""
        return self.path.suffix.lower() != ".parquet" or lowest_may_be_negative(self.path, name)

    def read(self, columns: dict[str, FeatureType], wanted: list[str], rows: int) -> pd.DataFrame:  # noqa: ARG002
        """Return the wanted columns, tokens as texts, numbers as float64, in the order of the file.

        Raises:
            UsageError: a column cannot be read as its type.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        heads = {column.partition(":")[0]: column for column in self.names}
        read: dict[str, Any] = {}
        for name in wanted:  # one after the other, so that two of them are never held at once
            if self.path.suffix.lower() == ".parquet":
                column = pq.read_table(self.path, columns=[heads[name]]).column(0)
            else:
                column = self._table().column(heads[name])
            try:
                read[name] = values_of(pa, column, columns[name], name in self.ids)
            except (pa.ArrowException, TypeError) as error:
                raise self.fault(
                    0,
                    f"the column {name!r} of type {column.type}",
                    "whole numbers or texts for ids"
                    if name in self.ids
                    else f"values of {columns[name].value}",
                    f"convert the column ({' '.join(str(error).split())[:120]})",
                ) from error
        return pd.DataFrame(read, columns=wanted, copy=False)

    def _table(self) -> Any:
        """Return the whole CSV file."""
        return self._csv

    @cached_property
    def _csv(self) -> Any:
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        texts = [
            column
            for column in self.names
            if column.partition(":")[0] in self.ids or column.partition(":")[2].startswith("token")
        ]
        try:
            return pa_csv.read_csv(
                self.path,
                read_options=pa_csv.ReadOptions(encoding=self.encoding),
                parse_options=pa_csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
            )
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> UsageError:
        why = " ".join(str(error).split())[:200]
        kind = "Parquet" if self.path.suffix.lower() == ".parquet" else f"CSV ({self.separator!r})"
        remedy = "give its --encoding" if "decode" in why else "write it again"
        return UsageError(f"{self.path} cannot be read as {kind}: {why}; {remedy}")
