"""A checkerboard, whose answer is known: each user likes the items of one parity, even or odd."""

import functools
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.testing.data_set import DataSet
from recbole_diffusion.testing.features import write_features

PARTS = ("train", "valid", "test")
SIZE = 50  # users, and items
RATED = ("user_id:token", "item_id:token", "rating:float")
Rows = list[tuple[str, str, int]]  # user, item, rating: 5 for a liked item, 1 for another


def make_checkerboard(folder: Path, *, rated: bool = False, features: bool = False) -> DataSet:
    """Write the checkerboard of 50 users and 50 items below a folder.

    A user has 20 of the 25 liked items in train, 2 in valid and 3 in test. These five are the answer; every
    item of the other parity is wrong.

    Args:
        folder: where ``data`` and ``runs`` go.
        rated: also give 1 to items of the other parity, in each part, but for one that stays unrated: RecBole
            refuses a user who knows every item.
        features: also write two modalities that tell an item's parity, under noise.
    """
    parts = _drawn(rated)
    texts = {part: _text_of(part, rated) for part in PARTS}
    data = _written(folder, "checkerboard", texts, RATED if rated else RATED[:2])
    if rated:
        data.overrides["rating_scale"] = [1, 5]
    if features:
        data.overrides["modalities"] = write_features(data)
    data.known, data.withheld = _liked(parts["train"]), _liked(parts["test"])
    return data


@functools.cache  # hundreds of tests ask for it
def _drawn(rated: bool) -> dict[str, Rows]:
    draw = random.Random(7)
    parts: dict[str, Rows] = {part: [] for part in PARTS}
    for user in range(SIZE):
        for parity in (0, 1) if rated else (user % 2,):
            items = draw.sample(range(parity, SIZE, 2), SIZE // 2)
            rating = 5 if parity == user % 2 else 1
            cut = 25 if rating == 5 else 24
            for part, chosen in zip(PARTS, (items[:20], items[20:22], items[22:cut]), strict=True):
                parts[part] += [(f"u{user}", f"i{item}", rating) for item in chosen]
    for rows in parts.values():
        draw.shuffle(rows)
    return parts


@functools.cache
def _text_of(part: str, rated: bool) -> str:
    return _text(_drawn(rated)[part], RATED if rated else RATED[:2])


def _liked(rows: Rows) -> dict[str, set[str]]:
    found = defaultdict(set)
    for user, item, rating in rows:
        if rating == 5:
            found[user].add(item)
    return dict(found)


def write_parts(folder: Path, name: str, parts: Mapping[str, Iterable[tuple]]) -> DataSet:
    """Write rows of user, item and perhaps rating, by part, as a data set that is split already."""
    pairs_of = {part: list(pairs) for part, pairs in parts.items()}
    columns = RATED if any(len(row) > 2 for pairs in pairs_of.values() for row in pairs) else RATED[:2]
    return _written(folder, name, {part: _text(pairs, columns) for part, pairs in pairs_of.items()}, columns)


def _text(pairs: Iterable[tuple], columns: tuple[str, ...]) -> str:
    rows = ["\t".join(map(str, row[: len(columns)])) for row in pairs]
    return "\n".join(["\t".join(columns), *rows]) + "\n"


def _written(folder: Path, name: str, texts: Mapping[str, str], columns: tuple[str, ...]) -> DataSet:
    place = folder / "data" / name
    place.mkdir(parents=True)
    for part, text in texts.items():
        (place / f"{name}.{part}.inter").write_text(text)
    overrides: dict[str, Any] = {
        "dataset": name,
        "data_path": str(place.parent),
        "runs_path": str(folder / "runs"),
        "benchmark_filename": list(texts),
        "load_col": {"inter": [column.partition(":")[0] for column in columns]},
        "use_gpu": False,
    }
    return DataSet(name, place.parent, overrides)
