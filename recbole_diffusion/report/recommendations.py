"""What trained models recommend: popular items and who recommends them, and the lists of a few users.

Longer than most files: what is counted, shown and put on the page, of the same loaded models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.evaluation.groups import item_groups
from recbole_diffusion.report.comparison import Comparison
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of
from recbole_diffusion.report.page import HtmlPage
from recbole_diffusion.report.runs import RunRecord
from recbole_diffusion.report.tables import Cell, Table, number
from recbole_diffusion.report.user_lists import (
    LENGTH,
    Titles,
    asked_users,
    drawn_users,
    rows_by_user,
    tables_of_users,
    test_names,
    titles_of,
)

GROUPS = 10  # of items by popularity
MOST_LISTS = 2_000  # users whose lists are counted
MOST_LOADED = 6  # methods that are beside each other, the best ones
LISTS_NOTE = (
    "Users with many and with few training rows. A list leaves out what the user has in train and valid, as "
    "in the test; ✓ marks what is held out, and what of the held-out items is in a list. At most ten of each."
)
FIRST = 10  # most popular items in the table of items, and as many of each method's most recommended
TRAIN = "rows of train"
GREY = "#9aa1ab"


@dataclass(frozen=True)
class Recommended:
    """How often items are recommended, beside how often they are in train.

    Attributes:
        train: training rows of each item, int64 [n_items + 1], the padding item first.
        lists: in how many lists each item is, by method, of the same shape.
        users: number of users whose lists were counted.
        of_users: number of users of the test parts.
        length: of a list.
    """

    train: np.ndarray
    lists: dict[str, np.ndarray]
    users: int
    of_users: int
    length: int

    @property
    def note(self) -> str:
        """Return what was counted, in words."""
        some = "" if self.users == self.of_users else f", drawn from {self.of_users:,}"
        return (
            f"The first {self.length} items for {counted(self.users, 'user')} of the test part{some}, "
            "without what they have in train and valid. The first seed of each method."
        )


def recommended(loaded: Mapping[str, Any], notes: list[str]) -> Recommended | None:
    """Count in how many lists each item is, for the users of the test parts or MOST_LISTS of them.

    Args:
        loaded: loaded runs by method, of the same data and split.
        notes: gets a line for each method that cannot make lists.

    Returns:
        The counts, or None if no method can make lists.
    """
    first = next(iter(loaded.values()))
    tested = np.unique(rows_by_user(first.parts, test_names(first.parts))[0])
    some = tested
    if len(tested) > MOST_LISTS:
        some = np.sort(np.random.default_rng(0).choice(tested, MOST_LISTS, replace=False))
    users, length, size = first.users.tokens[some], min(LENGTH, len(first.items)), len(first.items) + 1
    lists = {}
    for name, run in loaded.items():
        try:
            table = run.recommend(users, length, exclude="history")
        except (UsageError, RunError) as error:
            notes.append(f"Items and lists lack {name}: {error}")
            continue
        tokens, counts = np.unique(table["item"].astype(str), return_counts=True)
        lists[name] = np.zeros(size, np.int64)
        lists[name][first.items.numbers_of(tokens)] = counts
    if not lists:
        return None
    train = np.bincount(rows_by_user(first.parts, ["train"])[1], minlength=size)
    return Recommended(train, lists, len(some), len(tested), length)


def shares_by_popularity(found: Recommended, numbers: Mapping[str, int]) -> Figure:
    """Return the share of each method's recommendations by popularity of the item, beside that of train.

    Args:
        found: the counts.
        numbers: of each method on the page, for its colour.
    """
    group_of_item = item_groups(found.train, min(GROUPS, len(found.train) - 1))[1:]
    low, high = (
        [int(choose(found.train[1:][group_of_item == group])) for group in range(group_of_item.max() + 1)]
        for choose in (np.min, np.max)
    )
    labels = [
        f"{k + 1} ({a}–{b})" if a != b else f"{k + 1} ({a})"
        for k, (a, b) in enumerate(zip(low, high, strict=True))
    ]
    panel = Panel("", "group of items by popularity (training rows of an item)", "share")
    counts = {TRAIN: found.train} | found.lists
    for name, of_items in counts.items():
        sums = np.bincount(group_of_item, of_items[1:], minlength=len(labels))
        colour = GREY if name == TRAIN else colour_of(numbers[name])
        panel.series.append(
            PlotSeries(name, labels, (sums / max(sums.sum(), 1)).tolist(), kind="bars", colour=colour)
        )
    note = f"Group 1 is the most popular; all groups have the same number of items. {found.note}"
    return Figure("items by popularity", "Who recommends popular items", [panel], note)


def gini(counts: np.ndarray) -> float:
    """Return the Gini coefficient of counts [n]: 0 if all are equal, near 1 if one has everything."""
    # sum_i (2 i - n - 1) c_i / (n sum c) of ascending counts, i from 1.
    size = len(counts)
    place = 2 * np.arange(1, size + 1) - size - 1
    return float((place * np.sort(counts)).sum() / max(size * counts.sum(), 1))


def concentration(found: Recommended) -> Table:
    """Return coverage, Gini coefficient and mean popularity of what each method recommends, and of train."""
    rows = []
    for name, counts in ({TRAIN: found.train} | found.lists).items():
        of_items = counts[1:]
        popularity = (of_items * found.train[1:]).sum() / max(of_items.sum(), 1)
        rows.append(
            [
                Cell(name),
                number((of_items > 0).mean()),
                number(int((of_items > 0).sum()), 0),
                number(gini(of_items)),
                number(popularity, 1),
            ]
        )
    columns = ["method", "coverage", "items", "Gini", "mean training rows"]
    notes = [
        "Coverage: share of all items that are in a list. Gini: 0 if all items are listed equally often, "
        "near 1 if a few take all places. Mean training rows: of the item in a place, or in a row of train."
    ]
    return Table("How concentrated the recommendations are", columns, rows, words={"method"}, notes=notes)


def items_table(found: Recommended, titles: Titles) -> Table:
    """Return the most popular items, each method's most recommended ones, and how often each lists them."""
    shown = dict.fromkeys(_first(found.train))
    for counts in found.lists.values():
        shown |= dict.fromkeys(_first(counts))
    order = sorted(shown, key=lambda item: (-found.train[item], item))
    rank = np.empty(len(found.train), np.int64)
    rank[np.argsort(-found.train, kind="stable")] = np.arange(1, len(found.train) + 1)
    rows = []
    for item in order:
        shares = [number(counts[item] / found.users) for counts in found.lists.values()]
        rows.append(
            [Cell(titles.of(item)), number(int(rank[item]), 0), number(int(found.train[item]), 0), *shares]
        )
    names = [f"{name}, share of lists" for name in found.lists]
    return Table(
        f"The {FIRST} most popular items, and the {FIRST} that each method recommends most",
        ["item", "popularity rank", "training rows", *names],
        rows,
        words={"item"},
    )


def _first(counts: np.ndarray) -> list[int]:
    """Return the items with the largest counts, which are above 0."""
    order = np.argsort(-counts, kind="stable")[:FIRST]
    return [int(item) for item in order if counts[item] > 0]


@dataclass
class Recommendations:
    """What the page shows of loaded models.

    Attributes:
        figures: items by popularity.
        of_items: tables beside them.
        of_users: a table for each user.
    """

    figures: list[Figure] = field(default_factory=list)
    of_items: list[Table] = field(default_factory=list)
    of_users: list[Table] = field(default_factory=list)

    def show(self, page: HtmlPage) -> None:
        """Add the sections that have something to show."""
        if self.figures:
            page.section("Items")
            page.figures(self.figures)
        for table in self.of_items:
            page.table(table)
        if self.of_users:
            page.section("Lists")
            page.note(LISTS_NOTE)
        for table in self.of_users:
            page.table(table)


def recommendations(
    found: Comparison,
    load: Callable[[RunRecord], Any] | None,
    missing: list[str],
    users: str | None = None,
    item_title: str | None = None,
) -> Recommendations:
    """Load the first run of each of the best methods, and return what they recommend.

    Args:
        found: the comparison.
        load: returns the loaded run of a record, or raises UsageError or RunError; None shows nothing.
        missing: gets a line for each method that cannot be shown.
        users: ids of the users whose lists are shown, with commas between; None for a few drawn ones.
        item_title: column of the .item file that holds titles; None for one that is known to.

    Raises:
        UsageError: ``users`` or ``item_title`` cannot be met.
    """
    asked = users is not None or item_title is not None
    if load is None:
        if asked:
            raise UsageError("--users and --item_title need trained models, but --models=false loads none")
        return Recommendations()
    numbers = {method.name: number for number, method in enumerate(found.methods)}
    best = sorted(found.ranked(found.parts[0])[:MOST_LOADED], key=lambda method: numbers[method.name])
    loaded: dict[str, Any] = {}
    notes: list[str] = []
    for method in best:
        try:
            loaded[method.name] = load(method.runs[0])
        except (UsageError, RunError) as error:
            notes.append(f"Items and lists lack {method.name}: {error}")
    if asked and not loaded:
        raise UsageError(f"there are no lists to show. {'; '.join(notes)}")
    missing += notes
    if not loaded:
        return Recommendations()
    first = next(iter(loaded.values()))
    wanted = drawn_users(first) if users is None else asked_users(first, users)
    titles = titles_of(first, item_title, missing)
    counts = recommended(loaded, missing)
    if counts is None:
        return Recommendations()
    return Recommendations(
        [shares_by_popularity(counts, numbers)],
        [concentration(counts), items_table(counts, titles)],
        tables_of_users({name: loaded[name] for name in counts.lists}, wanted, titles),
    )
