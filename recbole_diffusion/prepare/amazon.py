"""Amazon's published files of 2014: 5-core reviews, metadata and image features, read in a stream.

Reviews and metadata are gzipped lines, JSON or, in most files of metadata, Python literals. Image features
are records of ten bytes of product id and 4,096 float32 numbers.
"""

import ast
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.prepare.interactions import InteractionCollector, Interactions
from recbole_diffusion.prepare.rows import SourceRows

ID_BYTES, WIDTH = 10, 4096
REVIEW_KEYS = ("reviewerID", "asin", "overall", "unixReviewTime")


def read(path: Path) -> Interactions:
    """Read every review as an interaction, whatever its rating; of one user and item, the first.

    Raises:
        SourceError: a line is not a review; the message names its number.
    """
    collector, seen = InteractionCollector(), set()
    with gzip.open(path, "rb") as stream:
        rows = SourceRows(stream, path.name, 0)
        for line in rows.read_lines():
            record = record_of(rows, line, REVIEW_KEYS)
            user, item = rows.token(record["reviewerID"], "reviewerID"), rows.token(record["asin"], "asin")
            if (user, item) not in seen:
                seen.add((user, item))
                collector.add(user, item, rows.number(record["unixReviewTime"], "unixReviewTime"))
        collector.read = rows.row
    return collector.finish()


def read_texts(path: Path, items: tuple[str, ...]) -> list[str]:
    """Return the text of each item: title, brand, categories and description; empty if the metadata has none.

    Of several rows of an item the first with a text counts.

    Raises:
        SourceError: a line is not a record with a product id, its categories are no lists of texts, or no
            record is of one of the items.
    """
    texts = dict.fromkeys(items, "")
    there = 0
    with gzip.open(path, "rb") as stream:
        rows = SourceRows(stream, path.name, 0)
        for line in rows.read_lines():
            record = record_of(rows, line, ("asin",))
            if not isinstance(record["asin"], str):
                raise rows.fault(f"{record['asin']!r:.80} as asin", "a text")
            if record["asin"] in texts:
                there += 1
                if texts[record["asin"]]:
                    continue
                categories = _categories(rows, record)
                fields = [record.get("title"), record.get("brand"), *categories, record.get("description")]
                texts[record["asin"]] = " ".join(" ".join(str(one).split()) for one in fields if one)
        if not there:
            raise rows.fault("no item of the reviews up to here", "the metadata of the same category")
    return [texts[item] for item in items]


def _categories(rows: SourceRows, record: dict[str, Any]) -> list[str]:
    """Return the words of the field ``categories``: lists of texts, one for each branch, or one such list."""
    branches = record.get("categories") or []
    if isinstance(branches, list) and all(isinstance(one, str) for one in branches):
        branches = [branches]
    if not isinstance(branches, list) or not all(isinstance(branch, list) for branch in branches):
        raise rows.fault(f"{branches!r:.80} as categories", "lists of texts")
    return [str(one) for branch in branches for one in branch]


def write_images(path: Path, items: tuple[str, ...], output: Path) -> int:
    """Write the image features of the items as a .npy file; return how many items have none.

    An item without an image, or whose features are constant or not finite, gets the mean of the others.
    Rows are written to their places one by one, so that memory holds one; not by a memory map, with which a
    full disk kills the process.

    Raises:
        SourceError: the file ends within a record, or has no item of the set.
    """
    place = {item.encode(): row for row, item in enumerate(items)}
    there = np.zeros(len(items), bool)
    total = np.zeros(WIDTH)
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(items), WIDTH)}
    with path.open("rb") as stream, output.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        start = out.tell()

        def write(row: int, numbers: np.ndarray) -> None:
            out.seek(start + row * 4 * WIDTH)
            out.write(numbers.astype("<f4").tobytes())

        rows = SourceRows(stream, path.name, path.stat().st_size)
        for name, numbers in _images(rows):
            row = place.get(name)
            if (
                row is not None
                and not there[row]
                and np.isfinite(numbers).all()
                and (numbers != numbers[0]).any()
            ):
                write(row, numbers)
                there[row] = True
                total += numbers
        if not there.any():
            raise rows.fault("no item of the reviews", "the image features of the same category")
        for row in np.flatnonzero(~there).tolist():
            write(row, total / there.sum())
    return int((~there).sum())


def _images(rows: SourceRows) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yield id and features of each record."""
    size = ID_BYTES + 4 * WIDTH
    while record := rows.stream.read(size):
        rows.row += 1
        if len(record) < size:
            raise rows.fault(f"{len(record)} bytes at the end", f"records of {size} bytes")
        yield record[:ID_BYTES].rstrip(b"\0 "), np.frombuffer(record, "<f4", offset=ID_BYTES)


def record_of(rows: SourceRows, line: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return one line as a dictionary: JSON, or a Python literal, which is parsed and not evaluated."""
    try:
        text = line.decode()
        try:
            record = json.loads(text)
        except ValueError:
            record = ast.literal_eval(text.strip())
        for key in keys:
            record[key]
    except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        found = f"{line[:40]!r} ({type(error).__name__}: {str(error)[:40]})"
        raise rows.fault(found, f"one object with {', '.join(keys)}") from error
    return record
