"""Two domains of one taste: a user likes books and films of one parity, so what cold users like is known."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.data.cold_start import divide_users
from recbole_diffusion.testing.data_set import DataSet

Rows = Sequence[tuple[str, str, float | str]]  # user, item, rating
USERS, BOOKS, FILMS, SEED = 60, 40, 30, 2024


def write_ratings(folder: Path, name: str, rows: Rows) -> None:
    """Write one domain as an atomic file."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    text = ["user_id:token\titem_id:token\trating:float", *("\t".join(map(str, row)) for row in rows)]
    (folder / name / f"{name}.inter").write_text("\n".join(text) + "\n")


def read_ratings(folder: Path, name: str) -> list[tuple[str, ...]]:
    """Return the rows of one domain's file."""
    lines = (folder / name / f"{name}.inter").read_text().splitlines()[1:]
    return [tuple(line.split("\t")) for line in lines]


def rows_of(kind: str, users: range, items: int, chosen: int, draw: random.Random) -> Rows:
    """Return ratings of ``chosen`` items of each user: 5 for those of the user's parity, 1 for the others."""
    rows = []
    for user in users:
        rows += [
            (f"u{user}", f"{kind}{item}", 5 if item % 2 == user % 2 else 1)
            for item in draw.sample(range(items), chosen)
        ]
    draw.shuffle(rows)
    return rows


def make_two_domains(tmp_path: Path) -> DataSet:
    """Write two domains: users 0 to 59 in books, 10 to 69 in films.

    Everyone rates all liked films and some of the others; ``withheld`` are the liked films of test users,
    ``known`` those of the others.
    """
    draw, folder = random.Random(7), tmp_path / "data"
    films = [
        row
        for row in rows_of("i", range(10, USERS + 10), FILMS, FILMS, draw)
        if row[2] == 5 or draw.random() < 0.2
    ]
    write_ratings(folder, "books", rows_of("i", range(USERS), BOOKS, 30, draw))
    write_ratings(folder, "films", films)
    overrides: dict[str, Any] = {
        "dataset": "books_films",
        "data_path": str(folder),
        "runs_path": str(tmp_path / "runs"),
        "source_domain": {"dataset": "books"},
        "target_domain": {"dataset": "films"},
        "rating_scale": [1, 5],
        "topk": [5],
        "use_gpu": False,
        "cold_seed": SEED,
    }
    shared = np.array([f"u{user}" for user in range(10, USERS)])
    test, _, _ = divide_users(shared, 0.2, 0.1, SEED)
    data = DataSet("books_films", folder, overrides)
    for user, item, rating in films:
        if rating == 5:
            (data.withheld if user in shared[test] else data.known).setdefault(user, set()).add(item)
    return data
