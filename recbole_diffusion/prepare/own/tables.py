"""Tables that bring their own names and types: JSON lines, Parquet, Arrow, pandas."""

import codecs
import json
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.own.texts import unreadable, without_type

BLOCK = 1 << 26  # bytes of JSON that are read at once; no line may be longer
FIRST = 50  # objects whose names and types are looked at


@dataclass(frozen=True)
class JsonSource:
    """A file with one JSON object a line."""

    path: Path
    compression: str | None
    kinds: dict[str, str]
    marked: bool  # whether a byte order mark comes first
    separator: str = ""
    headed: bool = True
    sample: list[list[str]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, compression: str | None, head: bytes, marked: bool) -> "JsonSource":
        """Return the file with the names and types of its first objects."""
        kinds: dict[str, str] = {}
        for number, line in enumerate(head.splitlines()[:FIRST], start=1):
            try:
                record = json.loads(line) if line.strip() else {}
            except ValueError as error:
                raise UsageError(
                    f"{path}, line {number}: {line[:40]!r} is not JSON ({error}); write one object a line"
                ) from error
            if not isinstance(record, dict):
                raise UsageError(
                    f"{path}, line {number}: found a {type(record).__name__}; write one JSON object a line"
                )
            for name, value in record.items():
                if kinds.get(name, "NoneType") == "NoneType":
                    kinds[name] = type(value).__name__
        return cls(path, compression, kinds, marked)

    @property
    def where(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def names(self) -> list[str]:
        """Return the names of the first objects."""
        return list(self.kinds)

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:
        """Return the named columns: texts, truth values, and numbers, those of ids as whole ones."""
        import pyarrow as pa
        import pyarrow.json as pa_json

        types = {"str": pa.large_string(), "NoneType": pa.large_string(), "bool": pa.bool_()}
        schema = []
        for name in names:
            kind = self.kinds[name]
            if kind in ("list", "dict"):
                raise UsageError(f"{self.path}: {name!r} holds a {kind}; it takes texts or numbers")
            number = pa.int64() if name in ids else pa.float64()
            schema.append((name, types.get(kind, number)))
        try:
            with pa.input_stream(str(self.path), compression=self.compression) as stream:
                if self.marked:
                    stream.read(len(codecs.BOM_UTF8))
                return pa_json.read_json(
                    stream,
                    read_options=pa_json.ReadOptions(block_size=BLOCK),
                    parse_options=pa_json.ParseOptions(
                        explicit_schema=pa.schema(schema), unexpected_field_behavior="ignore"
                    ),
                ).select(list(names))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error, " as JSON lines", "correct that row") from error


@dataclass(frozen=True)
class ArrowSource:
    """An Arrow table in memory."""

    table: Any
    where: str = "the table"
    separator: str = ""
    headed: bool = True
    sample: list[list[str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the names without types."""
        return [without_type(name) for name in self.table.column_names]

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:  # noqa: ARG002
        """Return the named columns."""
        return self.table.select([self.names.index(name) for name in names]).rename_columns(list(names))


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file."""

    path: Path
    separator: str = ""
    headed: bool = True
    sample: list[list[str]] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Return the path."""
        return str(self.path)

    @property
    def names(self) -> list[str]:
        """Return the names without types."""
        return [without_type(name) for name in self._columns()]

    def _columns(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return list(pq.ParquetFile(self.path).schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error, " as Parquet") from error

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:  # noqa: ARG002
        """Return the named columns; the names of folders, as of partitions, are no columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        heads = dict(zip(self.names, self._columns(), strict=True))
        try:
            table = pq.ParquetFile(self.path).read(columns=[heads[name] for name in names])
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error, " as Parquet") from error
        return table.select([heads[name] for name in names]).rename_columns(list(names))


@dataclass(frozen=True)
class FrameSource:
    """A pandas DataFrame; its index is no column."""

    frame: Any
    where: str = "the DataFrame"
    separator: str = ""
    headed: bool = True
    sample: list[list[str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Return the columns as texts, without types."""
        return [without_type(str(name)) for name in self.frame.columns]

    @property
    def index_names(self) -> list[str]:
        """Return the names of the index, for a hint."""
        return [str(name) for name in self.frame.index.names if name is not None]

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:  # noqa: ARG002
        """Return the named columns.

        Raises:
            UsageError: a column mixes types.
        """
        import pyarrow as pa

        read = []
        for name in names:
            values = self.frame.iloc[:, self.names.index(name)]
            try:
                read.append(pa.chunked_array([pa.Array.from_pandas(values)]))
            except (pa.ArrowException, TypeError) as error:
                kinds = Counter(type(one).__name__ for one in values if one is not None and one == one)
                found = ", ".join(f"{count:,} of type {kind}" for kind, count in kinds.most_common(3))
                raise UsageError(
                    f"{self.where}: the column {name!r} mixes values ({found}); convert it to one type"
                ) from error
        return pa.table(read, names=list(names))
