"""Parts of a published set: what is refused of them, and their files."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.pair_files import Pair, write_rows
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, Counts, PreparedSet, Recipe, Request
from recbole_diffusion.storage.atomic import whole_set


def write_parts(
    asked: Request,
    rows: Mapping[str, Mapping[Pair, str]],
    columns: Sequence[str],
    published: Counts,
    repeated: int,
    noted: Mapping[str, Any] | None = None,
    features: Mapping[str, Path] | None = None,
) -> PreparedSet:
    """Write parts and ``prepare.json``, whole or not at all.

    Args:
        asked: the set, and where it goes.
        rows: the rows of each part, or of ``""``, which is the whole set in one file.
        columns: name and type of each column after the item.
        published: the counts of the published files.
        repeated: rows that were left out.
        noted: content of ``prepare.json`` besides counts and ``asked.record``.
        features: files that are copied beside the parts, by the ending of their names.

    Raises:
        UsageError: a part is empty.
    """
    sizes = {part: len(pairs) for part, pairs in rows.items()}
    recipe = asked.recipe
    refuse_empty(recipe, sizes)
    found = {"found": asdict(published), "rows": sizes, "repeated": repeated}
    with whole_set(asked.folder, ADVICE) as draft:
        for part, pairs in rows.items():
            name = f"{recipe.name}.{part}.inter" if part else f"{recipe.name}.inter"
            write_rows(pairs, draft / name, columns)
        for ending, path in (features or {}).items():
            shutil.copyfile(path, draft / f"{recipe.name}.{ending}")
        text = json.dumps({**asked.record, **(noted or {}), "seed": None, **found}, indent=2)
        (draft / RECORD).write_text(text + "\n", encoding="utf-8")
    told = ", ".join(f"{part} {many:,}" for part, many in sizes.items() if part)
    lines = [f"parts    {told}"] if told else []
    lines += [f"repeated {repeated:,} rows left out"] if repeated else []
    return PreparedSet(published, lines, [])


def refuse_empty(recipe: Recipe, sizes: Mapping[str, int]) -> None:
    """Refuse a part without rows.

    Raises:
        UsageError: one has none.
    """
    for part in (part for part, size in sizes.items() if not size):
        raise UsageError(
            f"no row is left for {part} of {recipe.name}: its users and items are unknown in train, or have "
            "too few rows; one of the files is not the published one"
        )


def refuse_strangers(recipe: Recipe, every: Mapping[Pair, str], test: Mapping[Pair, str]) -> None:
    """Refuse test rows that are not among all rows: their users and items have other numbers.

    Raises:
        UsageError: a row is missing, or has another value; it names one.
    """
    other = [
        pair
        for pair, value in test.items()
        if pair not in every or float(every[pair] or 0) != float(value or 0)
    ]
    if other:
        user, item = other[0]
        raise UsageError(
            f"{len(other)} of {len(test)} test rows of {recipe.name} are not among all rows, or not with the "
            f"same value, such as user {user}, item {item}; one of the files is not the published one"
        )


def check_parts(recipe: Recipe, parts: Mapping[str, Mapping[Pair, str]], largest: bool = True) -> None:
    """Refuse parts that have a pair in common, and a part that is larger than ``train``, if ``largest``.

    Raises:
        UsageError: two of them have, it names one; or files have each other's names.
    """
    names = list(parts)
    larger = [name for name in names if len(parts[name]) > len(parts["train"])]
    if largest and larger:
        raise UsageError(
            f"{larger[0]} of {recipe.name} has {len(parts[larger[0]]):,} rows, more than the "
            f"{len(parts['train']):,} of train; files have each other's names, or are not the published ones"
        )
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            common = parts[first].keys() & parts[second].keys()
            if common:
                user, item = min(common)
                raise UsageError(
                    f"{len(common)} rows of {recipe.name} are in {first} and in {second}, such as user "
                    f"{user}, item {item}; one of the files is not the published one, or named wrongly"
                )
