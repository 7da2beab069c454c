"""Interactions as somebody has them: CSV, TSV, JSON lines, Parquet, a pandas DataFrame, an Arrow table.

pyarrow reads the files, texts as texts: an id keeps its zeros, and what a text means is decided by
``columns``. Compressed files (gzip, bzip2, zstd) are read as they are, whatever their names.
"""

import codecs
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Protocol

from recbole_diffusion.errors import UsageError, refuse_address
from recbole_diffusion.prepare.own.tables import ArrowSource, FrameSource, JsonSource, ParquetSource
from recbole_diffusion.prepare.own.texts import TextSource, unreadable

HEAD = 1 << 20  # bytes from which kind, separator and names are known
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
HOW_TO_INSTALL = "install it (pip install 'recbole-diffusion[parquet]')"


class Source(Protocol):
    """A table whose columns can be read by name.

    Attributes:
        where: what it is called in messages.
        names: its columns.
        headed: whether these names stand in the file itself.
        separator: what separates its columns; empty if nothing does.
        sample: its first rows as texts, for files of text.
    """

    @property
    def where(self) -> str: ...  # noqa: D102
    @property
    def names(self) -> list[str]: ...  # noqa: D102
    @property
    def headed(self) -> bool: ...  # noqa: D102
    @property
    def separator(self) -> str: ...  # noqa: D102
    @property
    def sample(self) -> list[list[str]]: ...  # noqa: D102

    def read(self, names: Sequence[str], ids: Container[str]) -> Any:
        """Return the named columns as an Arrow table, in this order.

        Args:
            names: of the columns.
            ids: those among them whose whole numbers must stay exact.

        Raises:
            UsageError: the rows cannot be read.
        """


def open_source(
    data: Any, separator: str | None = None, encoding: str | None = None, columns: Sequence[str] = ()
) -> Source:
    """Return the table of a path, a pandas DataFrame, an Arrow table, or what gives one (polars, ...).

    Args:
        data: the table.
        separator: of a file of text; None: the one that is most frequent in its first line.
        encoding: of a file of text; None: UTF-8.
        columns: names of the columns of a file of text without a header line.

    Raises:
        UsageError: there is no such file, it is empty or of no known kind, or pyarrow is missing.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UsageError(f"tables are read by pyarrow, which is not installed; {HOW_TO_INSTALL}") from error
    of_text = {"separator": separator, "encoding": encoding, "columns": columns or None}
    given = [name for name, value in of_text.items() if value is not None]
    if isinstance(data, str | Path):
        refuse_address("data", data)
        return _open_file(Path(str(data)).expanduser(), separator, encoding, tuple(columns), given)
    _refuse_options(given, "the table")
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return FrameSource(data)
    if isinstance(data, pa.RecordBatch) or hasattr(data, "__arrow_c_stream__"):
        return ArrowSource(pa.table(data))
    raise UsageError(
        f"data is of type {type(data).__name__}; it takes a pandas DataFrame, a pyarrow table, or the path "
        "of a CSV, JSON lines or Parquet file"
    )


def _refuse_options(given: Sequence[str], what: str) -> None:
    if given:
        raise UsageError(
            f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} for files of text, but {what} has "
            "names and values of its own; leave it out"
        )


def _open_file(
    path: Path, separator: str | None, encoding: str | None, columns: tuple[str, ...], given: Sequence[str]
) -> Source:
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if one.is_file())
        found = f", such as {inside[0]}" if inside else ""
        raise UsageError(f"{path} is a folder; name a file in it{found}")
    if not path.is_file():
        raise UsageError(f"there is no file {path}; name a CSV, JSON lines or Parquet file")
    with path.open("rb") as file:
        magic = file.read(8)
    if not magic:
        raise UsageError(f"{path} is empty; name a file with rows")
    if magic.startswith(b"PAR1"):
        _refuse_options(given, f"the Parquet file {path}")
        return ParquetSource(path)
    if magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"\xfd7zXZ")):
        raise UsageError(f"{path} is an archive or a spreadsheet; unpack it, or save it as CSV")
    if magic.startswith((b"\xff\xfe", b"\xfe\xff")) and not encoding:
        raise UsageError(f"{path} is written in UTF-16; give --encoding=utf-16")
    compression = next((kind for start, kind in COMPRESSED.items() if magic.startswith(start)), None)
    head, marked = _head(path, compression)
    if head.lstrip()[:1] in (b"{", b"["):
        _refuse_options(given, f"the JSON file {path}")
        return JsonSource.of(path, compression, head, marked)
    return TextSource.of(path, compression, head, separator, encoding, columns)


def _head(path: Path, compression: str | None) -> tuple[bytes, bool]:
    """Return the first lines of a file without a byte order mark, and whether it has one."""
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            head = stream.read(HEAD)
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path, error) from error
    if len(head) == HEAD:  # the last line may be cut off
        head = head[: head.rfind(b"\n") + 1] or head
    bare = head.removeprefix(codecs.BOM_UTF8)
    if not bare.strip():
        raise UsageError(f"{path} is empty; name a file with rows")
    return bare, bare is not head
