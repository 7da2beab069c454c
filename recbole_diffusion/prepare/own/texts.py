"""A file of text with one row a line, its columns separated by anything, with or without a header line."""

import codecs
import csv
import io
import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError

FIRST = 50  # rows that are looked at
SEPARATORS = ("::", "\t", ",", ";", "|")
MARK = "\x1f"  # stands in for a separator of several characters, which pyarrow does not take
TYPES = ("token", "token_seq", "float", "float_seq")  # what RecBole writes behind a column's name
ENCODING = "give its --encoding, such as latin-1"


def unreadable(path: Any, error: Exception, kind: str = "", remedy: str = "write it again") -> UsageError:
    """Return the error of a file that cannot be read."""
    why = " ".join(str(error).split())[:200]
    return UsageError(f"{path} cannot be read{kind}: {why}; {remedy}")


@dataclass(frozen=True)
class TextSource:
    """A file of text with one row a line."""

    path: Path
    compression: str | None
    encoding: str
    separator: str
    names: list[str]
    headed: bool
    sample: list[list[str]]
    blank: int  # lines before the first row

    @classmethod
    def of(
        cls,
        path: Path,
        compression: str | None,
        head: bytes,
        separator: str | None,
        encoding: str | None,
        columns: tuple[str, ...],
    ) -> "TextSource":
        """Return the file with separator, names and first rows from its head."""
        encoding = encoding or "utf-8"
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except LookupError as error:
            raise UsageError(f"encoding is {encoding!r}; it takes one such as utf-8 or latin-1") from error
        except UnicodeDecodeError as error:
            raise unreadable(path, error, f" as {encoding}", ENCODING) from error
        named = bool(separator)
        separator = {"\\t": "\t", "tab": "\t"}.get(separator or "", separator)
        separator = separator or _separator_of(text)
        rows = _first_rows(text.removeprefix("\ufeff"), separator)
        if columns and rows and len(columns) != len(rows[0]):
            raise UsageError(
                f"{path} has {len(rows[0])} columns in its first line, separated by {separator!r}, but "
                f"--columns names {len(columns)}: {', '.join(columns)}; name each of them, in order"
            )
        if len(rows[0]) < 2:
            raise UsageError(
                f"{path} has one column, {rows[0][0]!r:.60}, where columns are separated by {separator!r}; "
                + ("give its --separator" if named else _separator_hint(text))
            )
        names = list(columns) if columns else [without_type(name) for name in rows[0]]
        blank = sum(1 for _ in itertools.takewhile(lambda line: not line.strip("\r\n"), io.StringIO(text)))
        return cls(path, compression, encoding, separator, names, not columns, rows, blank)

    @property
    def where(self) -> str:
        """Return the path."""
        return str(self.path)

    def with_names(self, names: Sequence[str]) -> "TextSource":
        """Return the same file, without a header line."""
        return replace(self, names=list(names), headed=False)

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:  # noqa: ARG002
        """Return the named columns, all of them texts."""
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        places = [str(self.names.index(name)) for name in names]
        plain = len(self.separator) == 1
        mark = self.separator if plain else MARK
        options = {
            "parse_options": pa_csv.ParseOptions(
                delimiter=mark, newlines_in_values=True, quote_char='"' if plain else False
            ),
            "convert_options": pa_csv.ConvertOptions(
                include_columns=places, column_types=dict.fromkeys(places, pa.large_string())
            ),
        }

        def table(threads: bool) -> Any:
            reading = pa_csv.ReadOptions(
                column_names=[str(place) for place in range(len(self.names))],
                skip_rows=self.blank,
                skip_rows_after_names=int(self.headed),
                encoding=self.encoding if plain else "utf-8",
                use_threads=threads,
            )
            with self._stream() as stream:
                return pa_csv.read_csv(stream, read_options=reading, **options)

        try:
            try:
                found = table(threads=True)
            except pa.ArrowInvalid:  # only one thread alone knows the number of a wrong row
                found = table(threads=False)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            encoded = "UTF8" in str(error) or "codec" in str(error)
            remedy = ENCODING if encoded else "correct it, or give --separator"
            raise unreadable(
                self.path, error, f" as columns separated by {self.separator!r}", remedy
            ) from error
        return found.rename_columns(list(names))

    def lines_inside(self, rows: int) -> int:
        """Return how many lines lie inside of quoted fields, given the number of rows.

        A quote that is never closed, or closed many lines later, makes one field of all rows in between.
        """
        if len(self.separator) > 1 or codecs.lookup(self.encoding).name.startswith(("utf-16", "utf-32")):
            return 0
        with self._stream() as stream, io.BufferedReader(stream) as lines:
            return max(sum(line.strip(b"\r\n") != b"" for line in lines) - int(self.headed) - rows, 0)

    def _stream(self) -> Any:
        import pyarrow as pa

        stream = pa.input_stream(str(self.path), compression=self.compression)
        if len(self.separator) == 1:
            return stream
        with stream:
            text = stream.read().decode(self.encoding).removeprefix("\ufeff")
        if MARK in text:
            raise UsageError(
                f"{self.path} has the control character {MARK!r}; give one character to --separator"
            )
        return pa.input_stream(pa.py_buffer(text.replace(self.separator, MARK).encode()))


def without_type(name: str) -> str:
    """Return a name without blanks around it, and without the type of a RecBole file."""
    bare, _, kind = name.strip().rpartition(":")
    return bare if kind in TYPES else name.strip()


def _separator_hint(text: str) -> str:
    """Return what to do about a text without a separator; lists as LightGCN's have blanks and any length."""
    lengths = {len(line.split()) for line in itertools.islice(filter(str.strip, io.StringIO(text)), FIRST)}
    if len(lengths) > 1:
        return (
            "its lines have blanks, and different numbers of words: if each is a user and a list of items, "
            "as in LightGCN's files, write a row for each pair, such as by awk '{for (i = 2; i <= NF; i++) "
            'print $1 "," $i}\', and name the columns with --columns=user,item --user=user --item=item'
        )
    return "give its --separator" + (", such as --separator=' '" if lengths - {1} else "")


def _separator_of(text: str) -> str:
    """Return the separator that is most frequent in the first line, outside of quotes."""
    bare = "".join(text.lstrip("\r\n").splitlines()[0].split('"')[::2])
    counts = {one: bare.count(one) for one in SEPARATORS}
    return max(counts, key=lambda one: counts[one]) if any(counts.values()) else ","


def _first_rows(text: str, separator: str) -> list[list[str]]:
    lines = io.StringIO(text, newline="")
    if len(separator) > 1:
        bare = (line.rstrip("\r\n") for line in lines)
        return [line.split(separator) for line in itertools.islice(filter(None, bare), FIRST)]
    rows: list[list[str]] = []
    reader = csv.reader(lines, delimiter=separator)
    try:
        for row in reader:
            rows += [row] if row else []
            if len(rows) == FIRST:
                break
    except csv.Error:  # a field of more than 128 KiB: what comes before it is enough
        pass
    return rows or [[text[:60]]]


def write_atomic(table: Any, path: Path) -> None:
    """Write an Arrow table as RecBole reads it: tabs, the names as header, texts quoted if one needs it."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    with path.open("wb") as file:
        header = ("\t".join(table.column_names) + "\n").encode()
        file.write(header)
        plain = pa.table(
            {
                name: column.cast(pa.large_string()) if pa.types.is_dictionary(column.type) else column
                for name, column in zip(table.column_names, table.columns, strict=True)
            }
        )
        try:
            style = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
            pa_csv.write_csv(plain, file, style)
        except pa.ArrowInvalid:  # a text holds a quote, a tab or a line end
            file.seek(0)
            file.truncate()
            file.write(header)
            frame = plain.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
            # Around every text: with quotes where needed alone, a lone carriage return would have none.
            style = {"sep": "\t", "lineterminator": "\n", "quoting": csv.QUOTE_NONNUMERIC}
            frame.to_csv(file, index=False, header=False, **style)
