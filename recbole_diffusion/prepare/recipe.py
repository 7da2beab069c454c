"""Recipes: the published files of a set, how the set is made from them, and the counts of the paper."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

RECORD = "prepare.json"  # how a set was made
ADVICE = "Free some space, or name another folder with --output"


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Attributes:
        name: its file name, for finding and storing it.
        page: the web page about it, from which to get it if it has no direct address.
        urls: direct addresses, tried in turn; none if they require a login or an agreement.
        size: its size in bytes, or None if it is not published.
        sha256: its SHA-256 as hexadecimal text, or None.
        md5: the publisher's MD5, used if there is no SHA-256; it detects damage, not malice.
        other_form: name of another published file with the same rows, which the user may give instead.
    """

    name: str
    page: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    other_form: str | None = None


@dataclass(frozen=True)
class Counts:
    """The size of a set."""

    users: int
    items: int
    interactions: int

    def __str__(self) -> str:
        """Return the counts as text."""
        return f"{self.users:,} users, {self.items:,} items, {self.interactions:,} interactions"


@dataclass(frozen=True)
class PreparedSet:
    """The result of a recipe.

    Attributes:
        counts: users, items and rows of the written files.
        lines: lines that the command prints about it, each a label and its value.
        warnings: caveats for the user.
    """

    counts: Counts
    lines: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Request:
    """What a set is made from, and where.

    Attributes:
        recipe: the set.
        paths: path of each source file by name.
        folder: the folder of the set.
        record: content of ``prepare.json`` besides what the kind of set adds.
        options: values of the options of the kind and of the recipe's filters.
    """

    recipe: "Recipe"
    paths: Mapping[str, Path]
    folder: Path
    record: Mapping[str, Any]
    options: Mapping[str, Any]


class Kind(Protocol):
    """A way to make a set: ``ShiftedSet``, ``MultimodalSet``, ``RatingDomain``, ``PublishedSplit``, ..."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, each in a file ``NAME.PART.inter``; none if all is in one file ``NAME.inter``."""

    @property
    def options(self) -> tuple[str, ...]:
        """The options that :meth:`make` reads, besides the filters of the recipe."""

    def make(self, asked: Request) -> PreparedSet:
        """Read the published files and write the set, whole or not at all.

        Raises:
            UsageError: a file is malformed, or too few rows are left.
            RunError: the disk is full or not writable.
        """


@dataclass(frozen=True)
class Recipe:
    """One set that ``prepare`` makes.

    Attributes:
        name: the name of the set.
        title: a short description.
        files: the published files.
        licence: the terms of use of the files.
        kind: how it is made.
        paper: the counts of the paper's table, None if it has none.
        note: what is known about the difference between the paper's counts and ours.
        filters: the paper's value of each filter option, by name.
        tolerance: allowed difference to the paper's counts, which may be rounded.
    """

    name: str
    title: str
    files: tuple[SourceFile, ...]
    licence: str
    kind: Kind
    paper: Counts | None
    note: str
    filters: Mapping[str, float] = field(default_factory=dict, hash=False)
    tolerance: int = 0

    @property
    def options(self) -> tuple[str, ...]:
        """The options that change the rows of the set."""
        return (*self.kind.options, *self.filters)

    @property
    def inter_files(self) -> list[str]:
        """The names of the files of interactions."""
        return [f"{self.name}.{part}.inter" for part in self.kind.parts] or [f"{self.name}.inter"]

    def agrees(self, found: Counts) -> bool:
        """Return whether counts agree with the paper's, if it has any."""
        return all(abs(ours - papers) <= self.tolerance for ours, papers in self._pairs(found))

    def is_known(self, paths: Mapping[str, Path], found: Counts) -> bool:
        """Return whether sizes of the files or the paper's counts are known, and these are like them."""
        sizes = [(paths[one.name].stat().st_size, one.size) for one in self.files if one.size is not None]
        known = bool(sizes) or self.paper is not None
        return known and all(size == told for size, told in sizes) and self.resembles(found)

    def resembles(self, found: Counts) -> bool:
        """Return whether each count is from two thirds to three halves of the paper's, if it has any."""
        return all(2 * papers <= 3 * ours and 2 * ours <= 3 * papers for ours, papers in self._pairs(found))

    def _pairs(self, found: Counts) -> list[tuple[int, int]]:
        """Return each count with the paper's; none if it has none."""
        if self.paper is None:
            return []
        return [
            (found.users, self.paper.users),
            (found.items, self.paper.items),
            (found.interactions, self.paper.interactions),
        ]
