"""One Amazon set: reviews read and split, features written, all of it with a record of how it was made."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.prepare import amazon
from recbole_diffusion.prepare.making import RECORD, remove_if_empty
from recbole_diffusion.prepare.table import Counts, Recipe


@dataclass(frozen=True)
class MadeAmazon:
    """What was made.

    Attributes:
        counts: users, items and rows.
        rows_read: lines of the reviews.
        sizes: rows of each part.
        thin: users and items with fewer than five interactions, by kind.
        features: where they come from, and how many items have none.
        files: the names of what was written.
    """

    counts: Counts
    rows_read: int
    sizes: dict[str, int]
    thin: dict[str, int]
    features: dict[str, Any]
    files: list[str]


def make_amazon(
    recipe: Recipe, paths: Mapping[str, Path], folder: Path, record: Mapping[str, Any], seed: int, text: str
) -> MadeAmazon:
    """Read, split and write one set; the files appear in ``folder`` at the end, ``prepare.json`` last.

    Args:
        recipe: the set; its files are reviews, metadata and image features, in this order.
        paths: path of each source file by name.
        folder: where to.
        record: what ``prepare.json`` says beside what is found here.
        seed: of the split.
        text: ``sentence``, ``tfidf`` or ``auto``, see ``amazon.write_features``.

    Raises:
        UsageError: a file is malformed or empty, or ``sentence`` cannot be had.
        RunError: the disk is full or not writable.
    """
    reviews, meta, images = (paths[file.name] for file in recipe.files)
    found = amazon.read(reviews)
    if len(found) == 0:
        raise UsageError(f"{reviews} has no review; get the file again")
    parts = amazon.split(found.users, np.random.default_rng(seed))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".prepare-", dir=folder))
        try:
            for part, rows in zip(amazon.PARTS, parts, strict=True):
                pairs = zip(found.users[rows].tolist(), found.items[rows].tolist(), strict=True)
                lines = [f"{found.user_tokens[user]}\t{found.item_tokens[item]}\n" for user, item in pairs]
                (draft / f"{recipe.name}.{part}.inter").write_text(
                    "user_id:token\titem_id:token\n" + "".join(lines)
                )
            features = amazon.write_features(
                draft, recipe.name, found.item_tokens, {"meta": meta, "images": images}, text
            )
            made = MadeAmazon(
                found.counts(), found.read, amazon.part_sizes(parts), amazon.thin(found), features, []
            )
            described = {**record, **asdict(made), "found": asdict(made.counts)}
            (draft / RECORD).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
            names = sorted(path.name for path in draft.iterdir())
            # Text of another kind, and neighbours: their rows belong to the items of an earlier set.
            for old in (*folder.glob(f"{recipe.name}.text_*"), *folder.glob(f"{recipe.name}.*_knn*.npz")):
                old.unlink(missing_ok=True)
            for name in sorted(names, key=lambda name: name == RECORD):
                (draft / name).replace(folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            remove_if_empty(folder)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error}; free some space, or name another folder with --output"
        ) from error
    made.files.extend(names)
    return made
