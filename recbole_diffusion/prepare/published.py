"""Splits that authors publish as text files: as they are, with a validation part where they have none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recbole_diffusion.prepare.held_out import SEED, lowest_tenth, nearest_tenth
from recbole_diffusion.prepare.pair_files import Part, by_number, codes_of, counted_pairs, rows_of
from recbole_diffusion.prepare.recipe import PreparedSet, Request
from recbole_diffusion.prepare.written_parts import check_parts, refuse_strangers, write_parts

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
    parts = ("train_fit", "valid", "test", "train")
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the parts and ``prepare.json``; ``train`` is ``train_fit`` and ``valid`` together.

        See :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, has no row, the parts have rows in common, or one is empty.
        """
        columns = () if self.value is None else (self.value,)
        train, repeated = rows_of(self.train, asked.paths, columns)
        test, again = rows_of(self.test, asked.paths, columns)
        published = counted_pairs([*train, *test])
        if self.rest:
            refuse_strangers(asked.recipe, train, test)
            train = by_number({pair: value for pair, value in train.items() if pair not in test})
        check_parts(asked.recipe, {"train": train, "test": test})
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
        made = write_parts(asked, rows, columns, published, repeated + again, drawn)
        whose = (
            "that of the tables"
            if asked.recipe.is_known(asked.paths, published)
            else "as the tables' was, if of their files"
        )
        made.lines.append(f"valid    drawn here, seed {SEED}: {whose}")
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
    options = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, see :class:`.recipe.Kind`."""
        return tuple(self.of)

    def make(self, asked: Request) -> PreparedSet:
        """Write the parts and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: a file is malformed, has no row, or the parts have rows in common.
        """
        read = {name: rows_of(part, asked.paths, ()) for name, part in self.of.items()}
        rows = {name: pairs for name, (pairs, _) in read.items()}
        check_parts(asked.recipe, rows)
        published = counted_pairs([pair for part in rows.values() for pair in part])
        repeated = sum(left for _, left in read.values())
        return write_parts(asked, rows, (), published, repeated)


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
    parts = ()
    options = ()

    def make(self, asked: Request) -> PreparedSet:
        """Write the ratings and ``prepare.json``; see :meth:`.recipe.Kind.make`.

        Raises:
            UsageError: the file is malformed or empty.
        """
        rows, repeated = rows_of(Part((self.file,), member=self.member), asked.paths, self.columns)
        return write_parts(asked, {"": rows}, self.columns, counted_pairs(list(rows)), repeated)
