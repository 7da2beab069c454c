"""One prepared set: read, filter, split, and write four atomic files with a record of how they were made.

The files are written into a folder beside the set and moved into it at the end, ``prepare.json`` last: where
that is, the set is whole.
"""

import contextlib
import importlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.data.split import PARTS, ShiftSplit, split_rows, summarize
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.prepare.filters import filtered
from recbole_diffusion.prepare.interactions import Interactions
from recbole_diffusion.prepare.table import Counts, Recipe

RECORD = "prepare.json"
SHARE, REST = (
    0.2,
    (0.7, 0.1, 0.2),
)  # of test_ood (popularity, temporal); of train, valid and test_iid among the rest


@dataclass(frozen=True)
class Made:
    """A data set, split and not yet written.

    Attributes:
        interactions: all rows after the filters.
        split: the rows of each part.
        summary: the content of ``split.json``.
        steps: number of rows after each step.
        counts: users, items and rows of the four parts together.
    """

    interactions: Interactions
    split: ShiftSplit
    summary: dict[str, Any]
    steps: dict[str, int]
    counts: Counts


def make(recipe: Recipe, files: Mapping[str, Path], filters: Mapping[str, float], seed: int) -> Made:
    """Read, filter and split.

    Args:
        recipe: the set.
        files: path of each source file by name.
        filters: the value of each option of ``recipe.filters``.
        seed: of the split.

    Raises:
        UsageError: a file is malformed, nothing is left by the filters, or it cannot be split.
    """
    module, _, function = recipe.reader.partition(":")
    reader: Callable[..., Interactions] = getattr(importlib.import_module(module), function)
    found, steps, dropped = filtered(
        reader(files, filters[recipe.threshold]),
        min_user=int(filters["min_user"]),
        min_item=int(filters["min_item"]),
        by_time=recipe.shift == "temporal",
    )
    if len(found) == 0:
        values = " ".join(f"--{name}={value}" for name, value in filters.items())
        raise UsageError(
            f"data set {recipe.name!r} has no row left ({text_of(steps)}); give lower limits than {values}, "
            "or check the files"
        )
    generator = np.random.default_rng(seed)
    given = {"share": SHARE, "rest": REST, "time": found.time, "exposed": found.exposed}
    try:
        split = split_rows(recipe.shift, found.users, found.items, generator, **given)
    except UsageError as error:
        raise UsageError(f"data set {recipe.name!r}, {len(found)} rows after the filters: {error}") from error
    for reason, rows in dropped.items():
        split.dropped[reason] += rows
    share = {} if recipe.shift == "exposure" else {"share": SHARE}
    said = {"kind": recipe.shift, "seed": seed, **share, "rest": list(REST)}
    summary = summarize(split, found.users, found.items, **said)
    kept = np.zeros(len(found), bool)
    kept[np.concatenate(split.rows)] = True
    counts = found.only(kept).counts()
    return Made(found, split, summary, steps | {"in_the_four_parts": counts.interactions}, counts)


def text_of(steps: Mapping[str, int]) -> str:
    """Return the number of rows after each step as one line."""
    return ", ".join(f"{name.replace('_', ' ')} {rows:,}" for name, rows in steps.items())


def write(made: Made, folder: Path, name: str, record: Mapping[str, Any]) -> list[str]:
    """Write the four parts, ``split.json`` and ``prepare.json``; return the names of the files.

    Raises:
        RunError: the disk is full or not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".prepare-", dir=folder))
        try:
            for part, rows in zip(PARTS, made.split.rows, strict=True):
                _write_part(made.interactions, rows, draft / f"{name}.{part}.inter")
            _write_json(draft / "split.json", made.summary)
            _write_json(draft / RECORD, {**record, "rows": made.steps, "found": asdict(made.counts)})
            names = [f"{name}.{part}.inter" for part in PARTS] + ["split.json", RECORD]
            (folder / RECORD).unlink(missing_ok=True)
            for file in names:
                (draft / file).replace(folder / file)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            remove_if_empty(folder)
    except OSError as error:
        raise RunError(
            f"cannot write {folder}: {error}; free some space, or name another folder with --output"
        ) from error
    return names


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that nothing came into."""
    with contextlib.suppress(OSError):  # it holds something
        folder.rmdir()


def _write_part(found: Interactions, rows: np.ndarray, path: Path) -> None:
    """Write one atomic file in the order of the source; without any known time there is no column for it."""
    timed = not np.isnan(found.time).all()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("user_id:token\titem_id:token" + ("\ttimestamp:float\n" if timed else "\n"))
        columns = (found.users[rows].tolist(), found.items[rows].tolist(), found.time[rows].tolist())
        for user, item, seconds in zip(*columns, strict=True):
            end = f"\t{_seconds_text(seconds)}\n" if timed else "\n"
            file.write(f"{found.user_tokens[user]}\t{found.item_tokens[item]}{end}")


def _seconds_text(seconds: float) -> str:
    """Return a time to the millisecond, whole ones without a point, unknown ones as an empty field."""
    return "" if seconds != seconds else f"{seconds:.3f}".rstrip("0").rstrip(".")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
