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
from recbole_diffusion.prepare.recipe import ADVICE, RECORD, PreparedSet, Recipe
from recbole_diffusion.storage.atomic import whole_set

TENTHS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "lowest": lowest_tenth,
    "nearest": nearest_tenth,
}


@dataclass(frozen=True)
class PublishedSplit:
    """Training and test rows of authors, and a validation part.

    Attributes:
        train: the training rows; those that are test rows too are left out if ``rest``.
        test: the test rows.
        valid: the published validation rows; None: a tenth of each user's training rows, by ``tenth``, and
            the parts are ``train_fit``, ``valid``, ``test``, and ``train``, the first two together.
        tenth: ``lowest`` or ``nearest``, see ``held_out.py``.
        value: name and type of the third column, None: users and items alone.
        rest: the files of ``train`` hold all rows; training rows are those that are not in the test part, in
            the order of the users' and the items' numbers.
        unknown: keep test rows whose user or item has no training row, as some authors do.
    """

    train: Part
    test: Part
    valid: Part | None = None
    tenth: str = "lowest"
    value: str | None = None
    rest: bool = False
    unknown: bool = False
    options: tuple[str, ...] = field(default=(), init=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, see :class:`.recipe.Kind`."""
        return ("train_fit", "valid", "test", "train") if self.valid is None else ("train", "valid", "test")

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
        numbers = 0 if self.value is None else 1
        train, repeated = rows_of(self.train, paths, numbers)
        test, again = rows_of(self.test, paths, numbers)
        valid, more = rows_of(self.valid, paths, numbers) if self.valid else ({}, 0)
        published = counted_pairs([*train, *valid, *test])
        if self.rest:
            train = by_number({pair: value for pair, value in train.items() if pair not in test})
        refuse_common(recipe, {"train": train, "valid": valid, "test": test})
        users, items = ({pair[place] for pair in train} for place in (0, 1))
        known = {pair: value for pair, value in test.items() if pair[0] in users and pair[1] in items}
        lost = 0 if self.unknown else len(test) - len(known)
        rows = {"train": train, "valid": valid, "test": test if self.unknown else known}
        if self.valid is None:
            held = TENTHS[self.tenth](*codes_of(list(train)))
            pairs = list(zip(train.items(), held.tolist(), strict=True))
            rows["train_fit"] = dict(row for row, out in pairs if not out)
            rows["valid"] = dict(row for row, out in pairs if out)
        with whole_set(folder, ADVICE) as draft:
            for part in self.parts:
                write_rows(rows[part], draft / f"{recipe.name}.{part}.inter", self.value)
            drawn = {} if self.valid else {"validation": {"seed": SEED, "tenth": self.tenth}}
            found = {"found": asdict(published), "rows": {part: len(rows[part]) for part in self.parts}}
            told = {"repeated": repeated + again + more, "unknown_in_test": lost}
            text = json.dumps({**record, "seed": None, **drawn, **found, **told}, indent=2)
            (draft / RECORD).write_text(text + "\n", encoding="utf-8")
        lines = [f"parts    {', '.join(f'{part} {len(rows[part]):,}' for part in self.parts)}"]
        if self.valid is None:
            lines.append(f"valid    drawn here, seed {SEED}: that of the tables")
        lines += [f"repeated {repeated + again + more:,} rows left out"] if repeated + again + more else []
        lines += [f"unknown  {lost:,} test rows without their user or item in train left out"] if lost else []
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
        rows, repeated = rows_of(Part((self.file,), member=self.member), paths, len(self.columns))
        counts = counted_pairs(list(rows))
        with whole_set(folder, ADVICE) as draft:
            write_rows(rows, draft / f"{recipe.name}.inter", "\t".join(self.columns))
            text = json.dumps(
                {**record, "seed": None, "found": asdict(counts), "repeated": repeated}, indent=2
            )
            (draft / RECORD).write_text(text + "\n", encoding="utf-8")
        lines = [f"repeated {repeated:,} rows left out"] if repeated else []
        return PreparedSet(counts, lines, [])


def refuse_common(recipe: Recipe, parts: Mapping[str, Mapping[Pair, str]]) -> None:
    """Refuse parts that have a pair in common.

    Raises:
        UsageError: two of them have; it names one.
    """
    names = list(parts)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            common = parts[first].keys() & parts[second].keys()
            if common:
                user, item = min(common)
                raise UsageError(
                    f"{len(common)} rows of {recipe.name} are in {first} and in {second}, such as user "
                    f"{user}, item {item}; one of the files is not the published one, or named wrongly"
                )
