"""Made-up interactions of a given size, for benchmarks that must run without any download."""

from pathlib import Path

import numpy as np

# Users, items, and drawn training interactions of each user.
SIZES = {"lastfm": (1887, 15313, 31), "gowalla": (29858, 40981, 23)}


def write_made_up(folder: Path, name: str, n_users: int, n_items: int, per_user: int, seed: int = 0) -> Path:
    """Write ``name.{train,valid,test}.inter`` with skewed popularity.

    A user has ``per_user`` training items and two in each other part.

    Returns:
        The folder to give as ``data_path``.
    """
    generator = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True, exist_ok=True)
    count = per_user + 4
    # Squaring a uniform number makes low ids popular; a row for each item that no user has in train, of a
    # random user, keeps every item in use.
    drawn = (generator.random((n_users, 2 * count)) ** 2 * n_items).astype(np.int64)
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user, row in enumerate(drawn):
        items = list(dict.fromkeys(row.tolist()))[:count]
        for part, chosen in (("train", items[:-4]), ("valid", items[-4:-2]), ("test", items[-2:])):
            parts[part] += [f"{user}\t{item}" for item in chosen]
    used = {line.split("\t")[1] for line in parts["train"]}
    taken = {line for lines in parts.values() for line in lines}
    for item in range(n_items):
        line = f"{generator.integers(n_users)}\t{item}"
        while str(item) not in used and line in taken:
            line = f"{generator.integers(n_users)}\t{item}"
        parts["train"] += [] if str(item) in used else [line]
    for part, lines in parts.items():
        (folder / name / f"{name}.{part}.inter").write_text(
            "user_id:token\titem_id:token\n" + "\n".join(lines) + "\n"
        )
    return folder
