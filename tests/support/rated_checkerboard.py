"""A checkerboard of ratings: each user gives 5 to items of the own parity and 1 to the others; models of rating rows learn it."""

import random
from collections import defaultdict
from pathlib import Path

import pytest

from support.data_set import DataSet

PARTS = ("train", "valid", "test")


@pytest.fixture
def checkerboard(tmp_path: Path) -> DataSet:
    """50 users, 50 items: of each parity 20 in train, 2 in valid and 3 or 2 in test; the answer is the liked test items."""
    draw = random.Random(7)
    rows = {part: [] for part in PARTS}
    withheld: dict[str, set[str]] = defaultdict(set)
    known: dict[str, set[str]] = defaultdict(set)
    for user in range(50):
        for parity in (0, 1):
            items = draw.sample(range(parity, 50, 2), 25)
            rating = 5 if parity == user % 2 else 1
            cut = (
                25 if rating == 5 else 24
            )  # one item stays unrated: RecBole refuses a user who knows every item
            for part, chosen in zip(PARTS, (items[:20], items[20:22], items[22:cut]), strict=True):
                rows[part] += [(f"u{user}", f"i{item}", rating) for item in chosen]
                if part != "valid" and rating == 5:
                    (known if part == "train" else withheld)[f"u{user}"] |= {f"i{item}" for item in chosen}
    folder = tmp_path / "data/checkerboard"
    folder.mkdir(parents=True)
    for part, own in rows.items():
        draw.shuffle(own)
        text = ["user_id:token\titem_id:token\trating:float", *("\t".join(map(str, row)) for row in own)]
        (folder / f"checkerboard.{part}.inter").write_text("\n".join(text) + "\n")
    overrides = {
        "dataset": "checkerboard",
        "data_path": str(folder.parent),
        "runs_path": str(tmp_path / "runs"),
        "benchmark_filename": list(PARTS),
        "load_col": {"inter": ["user_id", "item_id", "rating"]},
        "rating_scale": [1, 5],
        "use_gpu": False,
    }
    return DataSet("checkerboard", folder.parent, overrides, dict(withheld), dict(known))
