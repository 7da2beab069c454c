"""A small made-up data set for ``benchmarks.faults``: 60 users, 40 items, a taste in common, times."""

import functools
from pathlib import Path

import numpy as np

USERS, ITEMS, OF_A_USER = 60, 40, 14


def header() -> str:
    """Return the first line of the interaction file."""
    return "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"


@functools.cache
def _rows() -> tuple[str, ...]:
    generator = np.random.default_rng(7)
    made = []
    for user in range(USERS):
        liked = np.where(np.arange(ITEMS) % 2 == user % 2, 3.0, 1.0)
        # Items without replacement, those of the user's parity three times as likely: Gumbel's trick.
        keys = np.log(liked) + generator.gumbel(size=ITEMS)
        for item in np.argsort(-keys)[:OF_A_USER]:
            rating = 1 + (item * 7 + user * 3) % 5
            made.append((f"u{user}", f"i{item}", rating, 900000 + generator.integers(90000)))
    order = generator.permutation(len(made))
    return tuple("{}\t{}\t{}\t{}\n".format(*made[at]) for at in order)


def lines() -> list[str]:
    """Return the rows, no pair of user and item twice, in no order."""
    return list(_rows())


def parts() -> dict[str, list[str]]:
    """Return train, valid and test: of each user twelve, one and one rows."""
    split: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    seen: dict[str, int] = {}
    for row in _rows():
        user = row.split("\t")[0]
        seen[user] = seen.get(user, 0) + 1
        split["valid" if seen[user] == 1 else "test" if seen[user] == 2 else "train"].append(row)
    return split


def write(folder: Path, content: str | bytes) -> None:
    """Write ``d/d.inter`` below a folder."""
    (folder / "d").mkdir(parents=True, exist_ok=True)
    (folder / "d" / "d.inter").write_bytes(content if isinstance(content, bytes) else content.encode())


def write_parts(folder: Path, rows: dict[str, list[str]]) -> None:
    """Write ``d/d.train.inter`` and so on below a folder."""
    (folder / "d").mkdir(parents=True, exist_ok=True)
    for part, content in rows.items():
        (folder / "d" / f"d.{part}.inter").write_text(header() + "".join(content))
