"""Splits that authors publish as text files: as they are, with a validation part where they have none."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.held_out import SEED, lowest_tenth, nearest_tenth
from recbole_diffusion.prepare.pair_files import (
    Pair,
    Part,
    by_number,
    codes_of,
    counted_pairs,
    rows_of,
    write_rows,
)
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, Counts, PreparedSet, Recipe
from recbole_diffusion.storage.atomic import whole_set

TENTHS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "lowest": lowest_tenth,
    "nearest": nearest_tenth,
}


@dataclass(frozen=True)
class PublishedSplit:
    """Training and test rows of authors, and a validation part that is drawn here.

    Attributes:
        train: the training rows.
        test: the test rows.
        tenth: ``lowest`` or ``nearest`` tenth of each user's training rows, see ``held_out.py``.
        value: name and type of the third column, None: users and items alone.
        rest: the files of ``train`` hold all rows; training rows are those that are not in the test part, in
            the order of the users' and the items' numbers.
        unknown: keep test rows whose user or item has no training row, as some authors do.
    """

    train: Part
    test: Part
    tenth: str = "lowest"
    value: str | None = None
    rest: bool = False
    unknown: bool = False
    parts: tuple[str, ...] = field(default=("train_fit", "valid", "test", "train"), init=False)
    options: tuple[str, ...] = field(default=(), init=False)

    def make(
        self,
        recipe: Recipe,
        paths: Mapping[str, Path],
        folder: Path,
        record: Mapping[str, Any],
        options: Mapping[str, Any],  # noqa: ARG002 there are none
    ) -> PreparedSet:
        """Write the parts and ``prepare.json``; ``train`` is ``train_fit`` and ``valid`` together.

        See :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, has no row, the parts have rows in common, or one is empty.
        """
        columns = () if self.value is None else (self.value,)
        train, repeated = rows_of(self.train, paths, columns)
        test, again = rows_of(self.test, paths, columns)
        published = counted_pairs([*train, *test])
        if self.rest:
            refuse_strangers(recipe, train, test)
            train = by_number({pair: value for pair, value in train.items() if pair not in test})
        refuse_common(recipe, {"train": train, "test": test})
        users, items = ({pair[place] for pair in train} for place in (0, 1))
        known = {pair: value for pair, value in test.items() if pair[0] in users and pair[1] in items}
        lost = 0 if self.unknown else len(test) - len(known)
        held = TENTHS[self.tenth](*codes_of(list(train)))
        pairs = list(zip(train.items(), held.tolist(), strict=True))
        rows = {
            "train_fit": dict(row for row, out in pairs if not out),
            "valid": dict(row for row, out in pairs if out),
            "test": test if self.unknown else known,
            "train": train,
        }
        drawn = {"validation": {"seed": SEED, "tenth": self.tenth}, "unknown_in_test": lost}
        made = write_parts(recipe, rows, self.value, folder, {**record, **drawn}, published, repeated + again)
        made.lines.append(f"valid    drawn here, seed {SEED}: that of the tables")
        if lost:
            made.lines.append(f"unknown  {lost:,} test rows without their user or item in train left out")
        return made


@dataclass(frozen=True)
class PublishedParts:
    """Parts of authors, validation included.

    Attributes:
        of: the files of each part, in the order of the parts.
    """

    of: Mapping[str, Part]
    options: tuple[str, ...] = field(default=(), init=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, see :class:`.recipe.Kind`."""
        return tuple(self.of)

    def make(
        self,
        recipe: Recipe,
        paths: Mapping[str, Path],
        folder: Path,
        record: Mapping[str, Any],
        options: Mapping[str, Any],  # noqa: ARG002 there are none
    ) -> PreparedSet:
        """Write the parts and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, has no row, or the parts have rows in common.
        """
        read = {name: rows_of(part, paths, ()) for name, part in self.of.items()}
        rows = {name: pairs for name, (pairs, _) in read.items()}
        refuse_common(recipe, rows)
        published = counted_pairs([pair for part in rows.values() for pair in part])
        repeated = sum(left for _, left in read.values())
        return write_parts(recipe, rows, None, folder, record, published, repeated)


def write_parts(
    recipe: Recipe,
    rows: Mapping[str, Mapping[Pair, str]],
    value: str | None,
    folder: Path,
    record: Mapping[str, Any],
    published: Counts,
    repeated: int,
) -> PreparedSet:
    """Write parts and ``prepare.json``, whole or not at all."""
    sizes = {part: len(pairs) for part, pairs in rows.items()}
    refuse_empty(recipe, sizes)
    found = {"found": asdict(published), "rows": sizes, "repeated": repeated}
    with whole_set(folder, ADVICE) as draft:
        for part, pairs in rows.items():
            write_rows(pairs, draft / f"{recipe.name}.{part}.inter", value)
        text = json.dumps({**record, "seed": None, **found}, indent=2)
        (draft / RECORD).write_text(text + "\n", encoding="utf-8")
    lines = [f"parts    {', '.join(f'{part} {many:,}' for part, many in sizes.items())}"]
    lines += [f"repeated {repeated:,} rows left out"] if repeated else []
    return PreparedSet(published, lines, [])


@dataclass(frozen=True)
class PublishedRatings:
    """One published file of ratings.

    Attributes:
        file: the file; a row is a user, an item and the columns.
        columns: name and type of each column after the item.
        member: name within the archive, if the file is one.
    """

    file: str
    columns: tuple[str, ...] = ("rating:float",)
    member: str = ""
    parts: tuple[str, ...] = field(default=(), init=False)
    options: tuple[str, ...] = field(default=(), init=False)

    def make(
        self,
        recipe: Recipe,
        paths: Mapping[str, Path],
        folder: Path,
        record: Mapping[str, Any],
        options: Mapping[str, Any],  # noqa: ARG002 there are none
    ) -> PreparedSet:
        """Write the ratings and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is malformed or empty.
        """
        rows, repeated = rows_of(Part((self.file,), member=self.member), paths, self.columns)
        counts = counted_pairs(list(rows))
        with whole_set(folder, ADVICE) as draft:
            write_rows(rows, draft / f"{recipe.name}.inter", "\t".join(self.columns))
            text = json.dumps(
                {**record, "seed": None, "found": asdict(counts), "repeated": repeated}, indent=2
            )
            (draft / RECORD).write_text(text + "\n", encoding="utf-8")
        lines = [f"repeated {repeated:,} rows left out"] if repeated else []
        return PreparedSet(counts, lines, [])


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


def refuse_common(recipe: Recipe, parts: Mapping[str, Mapping[Pair, str]]) -> None:
    """Refuse parts that have a pair in common, and a part that is larger than ``train``.

    Raises:
        UsageError: two of them have, it names one; or files have each other's names.
    """
    names = list(parts)
    larger = [name for name in names if len(parts[name]) > len(parts["train"])]
    if larger:
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
