"""Tables of user, item, rank and score, written block by block: CSV, JSON lines, Parquet."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError
from recbole_diffusion.serving.ranking import RecommendationBlock
from recbole_diffusion.storage.atomic import whole

COLUMNS = ("user", "item", "rank", "score")
FORMATS = ("csv", "jsonl", "parquet")
Write = Callable[[RecommendationBlock], int]


def format_of(path: Path, asked: str | None) -> str:
    """Return the format of a file: the one asked for, or the one of its ending.

    Raises:
        UsageError: neither gives a format, or the format is Parquet and pyarrow is missing.
    """
    found = asked or path.suffix.removeprefix(".").lower()
    if found not in FORMATS:
        raise UsageError(
            f"{path} has no known ending; end its name in .csv, .jsonl or .parquet, or give --format"
        )
    if found == "parquet":
        _arrow()
    return found


def _arrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            "format parquet needs pyarrow; install it (pip install 'recbole-diffusion[parquet]'), or use csv "
            "or jsonl"
        ) from error
    return pyarrow


def one_line(token: str) -> str:
    """Return an id as one line of text: as it is, or in JSON's form in quotes.

    The latter where it has a line end, a tab or another sign that no line shows, or begins with a quote.
    """
    plain = token.isprintable() and not token.startswith('"')
    return token if plain else json.dumps(token, ensure_ascii=not token.isprintable())


def columns_of(lists: RecommendationBlock, users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of a block by name, each [rows]; places without an item are left out.

    Args:
        lists: the block.
        users: the text of each user asked for, [n].
        items: the text of each item number, [n_items].
    """
    rows, places = np.nonzero(lists.items)
    chosen = lists.items[rows, places]
    return dict(
        zip(
            COLUMNS,
            (users[lists.start + rows], items[chosen], places + 1, lists.scores[rows, places]),
            strict=True,
        )
    )


@contextlib.contextmanager
def table_file(path: Path, kind: str, users: np.ndarray, items: np.ndarray) -> Iterator[Write]:
    """Yield a function that adds the lists of a block and returns the rows; the file appears at the end.

    Args:
        path: the file.
        kind: one of FORMATS.
        users: tokens of the users asked for, [n].
        items: tokens by item number, [n_items].

    Raises:
        RunError: the disk is full or not writable.
    """
    with whole(path) as draft, _OPEN[kind](draft, users, items) as write:
        yield write


@contextlib.contextmanager
def _csv(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Write]:
    users, items = _quoted(users), _quoted(items)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        yield lambda lists: _lines(file, "{},{},{},{:.8g}\n", columns_of(lists, users, items))


@contextlib.contextmanager
def _jsonl(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Write]:
    users, items = (
        np.array([json.dumps(token, ensure_ascii=False) for token in tokens], object)
        for tokens in (users, items)
    )
    form = "{{" + ", ".join(f'"{name}": {{{":.8g" if name == "score" else ""}}}' for name in COLUMNS) + "}}\n"
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda lists: _lines(file, form, columns_of(lists, users, items))


def _lines(file: io.TextIOBase, form: str, columns: dict[str, np.ndarray]) -> int:
    values = [column.tolist() for column in columns.values()]
    file.write("".join(map(form.format, *values)))
    return len(values[0])


def _quoted(tokens: np.ndarray) -> np.ndarray:
    """Return tokens as CSV fields: quoted where they hold a comma, a quote or a line end."""
    marks = frozenset(',"\r\n')
    return np.array([token if marks.isdisjoint(token) else _as_field(token) for token in tokens], object)


def _as_field(token: str) -> str:
    """Return a text in quotes; which line ends csv.writer quotes depends on its own and on Python."""
    return '"' + token.replace('"', '""') + '"'


@contextlib.contextmanager
def _parquet(path: Path, users: np.ndarray, items: np.ndarray) -> Iterator[Write]:
    arrow = _arrow()
    kinds = arrow.string(), arrow.string(), arrow.int32(), arrow.float32()
    schema = arrow.schema(list(zip(COLUMNS, kinds, strict=True)))
    with arrow.parquet.ParquetWriter(path, schema) as writer:

        def write(lists: RecommendationBlock) -> int:
            columns = columns_of(lists, users, items)
            arrays = [arrow.array(column, kind) for column, kind in zip(columns.values(), kinds, strict=True)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            return len(columns["rank"])

        yield write


_OPEN = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
