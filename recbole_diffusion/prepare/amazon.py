"""Amazon product sets of 2014 (5-core reviews, metadata, image features) as multimodal data sets with three parts.

Reviews and metadata are gzipped lines, JSON or, in most files of metadata, Python literals. Image features
are records of ten bytes of product id and 4,096 float32 numbers.
"""

import ast
import gzip
import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.prepare.interactions import Collector, Interactions
from recbole_diffusion.prepare.rows import Rows

ID_BYTES, WIDTH = 10, 4096
KEYS = ("reviewerID", "asin", "overall", "unixReviewTime")
CORE = 5
PARTS = ("train", "valid", "test")


def read(path: Path) -> Interactions:
    """Read every review as an interaction, whatever its rating; of one user and item, the first.

    Raises:
        SourceError: a line is no review; the message names its number.
    """
    collector, seen = Collector(), set()
    with gzip.open(path, "rb") as stream:
        rows = Rows(stream, path.name, 0)
        for line in rows.of_lines():
            record = _record(rows, line, KEYS)
            user, item = rows.token(record["reviewerID"], "reviewerID"), rows.token(record["asin"], "asin")
            if (user, item) not in seen:
                seen.add((user, item))
                collector.add(user, item, rows.number(record["unixReviewTime"], "unixReviewTime"))
        collector.read = rows.row
    return collector.finish()


def thin(found: Interactions) -> dict[str, int]:
    """Return how many users and items have fewer than five interactions: none in a 5-core set."""
    return {
        name: int((np.bincount(codes) < CORE).sum())
        for name, codes in (("users", found.users), ("items", found.items))
        if len(codes)
    }


def split(users: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of train, valid and test by MMRec's rule, at random within each user.

    A user with n < 10 interactions has one of them in valid and one in test; from 10 on, ceil(0.8 n) are in
    train and floor(0.1 n) in valid.

    Args:
        users: code of each row's user, int64 [rows].
        generator: source of randomness.

    Returns:
        Row numbers of the three parts, ascending.
    """
    order = np.lexsort((generator.random(len(users)), users))
    counts = np.bincount(users)
    place = np.arange(len(users)) - np.repeat(
        counts.cumsum() - counts, counts
    )  # of each row among its user's
    n = np.repeat(counts, counts)
    train = np.where(n < 10, np.maximum(n - 2, 1), np.ceil(n * 8 / 10)).astype(np.int64)
    valid = train + np.maximum(1, n // 10)
    part = (place >= train).astype(int) + (place >= valid)
    return [np.sort(order[part == number]) for number in range(3)]


def read_texts(path: Path, items: tuple[str, ...]) -> list[str]:
    """Return the text of each item: title, brand, categories and description; empty where the metadata has none.

    Raises:
        SourceError: a line is no record with a product id.
    """
    texts = dict.fromkeys(items, "")
    with gzip.open(path, "rb") as stream:
        rows = Rows(stream, path.name, 0)
        for line in rows.of_lines():
            record = _record(rows, line, ("asin",))
            if record["asin"] in texts:
                categories = [str(one) for branch in record.get("categories") or [] for one in branch]
                fields = [record.get("title"), record.get("brand"), *categories, record.get("description")]
                texts[record["asin"]] = " ".join(" ".join(str(one).split()) for one in fields if one)
    return [texts[item] for item in items]


def write_images(path: Path, items: tuple[str, ...], output: Path) -> int:
    """Write the image features of the items as a .npy file, read in a stream; return how many items have none.

    An item without image, or with features of one value throughout or that are no numbers, gets the mean of
    the others, so that it is like none in particular.

    Raises:
        SourceError: the file ends in the middle of a record, or holds no item of the set.
    """
    place = {item.encode(): row for row, item in enumerate(items)}
    there = np.zeros(len(items), bool)
    values = np.lib.format.open_memmap(output, "w+", np.float32, (len(items), WIDTH))
    total = np.zeros(WIDTH)
    with path.open("rb") as stream:
        rows = Rows(stream, path.name, path.stat().st_size)
        for name, numbers in _images(rows):
            row = place.get(name)
            if (
                row is not None
                and not there[row]
                and np.isfinite(numbers).all()
                and (numbers != numbers[0]).any()
            ):
                values[row], there[row] = numbers, True
                total += numbers
    if not there.any():
        raise rows.fault("no item of the reviews", "the image features of the same category")
    values[~there] = total / there.sum()
    values.flush()
    return int((~there).sum())


def _images(rows: Rows) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yield id and features of each record."""
    size = ID_BYTES + 4 * WIDTH
    while record := rows.stream.read(size):
        rows.row += 1
        if len(record) < size:
            raise rows.fault(f"{len(record)} bytes at the end", f"records of {size} bytes")
        yield record[:ID_BYTES].rstrip(b"\0 "), np.frombuffer(record, "<f4", offset=ID_BYTES)


def _record(rows: Rows, line: bytes, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return one line as a dictionary: JSON, or a Python literal, which is read without evaluating anything."""
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


def sentence_features(texts: list[str], model: str = "all-MiniLM-L6-v2") -> np.ndarray | None:
    """Return sentence vectors, float32 [texts, 384], or None where sentence-transformers or its model cannot be had."""
    try:
        from sentence_transformers import SentenceTransformer

        return np.asarray(SentenceTransformer(model).encode(texts, show_progress_bar=False), np.float32)
    except (ImportError, OSError, RuntimeError) as error:
        logging.getLogger(__name__).warning(
            "no sentence vectors (%s): TF-IDF and SVD stand in for them", str(error)[:200]
        )
        return None


def write_features(
    folder: Path, name: str, items: tuple[str, ...], files: Mapping[str, Path], text: str
) -> dict[str, Any]:
    """Write the features of both modalities with the tokens of their rows; return what ``prepare.json`` says of them.

    Args:
        folder: where to.
        name: of the set.
        items: the product ids, in the order of the rows.
        files: paths of the metadata and the image features.
        text: ``sentence``, ``tfidf``, or ``auto``: sentence vectors where they can be had.
    """
    from recbole_diffusion.data.item_columns import text_features

    texts = read_texts(files["meta"], items)
    texts = [one if re.search(r"\w", one) else "unknown" for one in texts]
    values = sentence_features(texts) if text != "tfidf" else None
    if values is None and text == "sentence":
        raise_without_sentences()
    kind = "text_feat" if values is not None else "text_tfidf"  # the name of the file says what it holds
    np.save(folder / f"{name}.{kind}.npy", values if values is not None else text_features(texts, 384))
    without = write_images(files["images"], items, folder / f"{name}.image_feat.npy")
    for stem in (kind, "image_feat"):
        (folder / f"{name}.{stem}.tokens").write_text(
            "".join(f"{item}\n" for item in items), encoding="utf-8"
        )
    return {"text": kind, "items_without_text": texts.count("unknown"), "items_without_image": without}


def raise_without_sentences() -> None:
    """Raise the error of ``--text=sentence`` without sentence-transformers."""
    from recbole_diffusion.errors import UsageError

    raise UsageError(
        "--text=sentence needs the package sentence-transformers and its model; install it with "
        "pip install 'recbole-diffusion[text]', or take --text=tfidf"
    )


def part_sizes(parts: list[np.ndarray]) -> dict[str, int]:
    """Return the number of rows of each part."""
    return {name: math.prod(rows.shape) for name, rows in zip(PARTS, parts, strict=True)}
