"""The lists of a few users: what they had, what each method recommends, what was held out, with titles."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_diffusion.data import valid_shift
from recbole_diffusion.data.reader import opened
from recbole_diffusion.data.table_file import file_or_table
from recbole_diffusion.errors import UsageError, counted, did_you_mean
from recbole_diffusion.report.tables import Cell, Table, number

LENGTH = 10  # of a list, of a history and of the held-out items that are shown
MOST_USERS = 12
DRAWN = 4  # users that are shown where none is asked for
LONGEST = 70  # letters of a title
HIT = "✓ "
# Columns of the .item file that hold titles; the first that is there is taken.
TITLES = ("title", "movie_title", "item_title", "product_title", "name", "item_name", "product_name")


def rows_by_user(parts: Mapping[str, Any], names: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return users and items of the rows of some parts, internal ids, int64 [rows] each."""
    some = [parts[name] for name in names]
    users, items = (
        np.concatenate([np.zeros(0, np.int64), *(np.asarray(part.inter_feat[field]) for part in some)])
        for field in (parts["train"].uid_field, parts["train"].iid_field)
    )
    return users, items


def test_names(parts: Mapping[str, Any]) -> list[str]:
    """Return the names of the test parts."""
    return valid_shift.test_names(list(parts))


def drawn_users(run: Any) -> list[str]:
    """Return the ids of a few users of the test parts, one from each quarter by training rows.

    They are the same each time.

    Args:
        run: a loaded run.
    """
    tested = np.unique(rows_by_user(run.parts, test_names(run.parts))[0])
    rows = np.bincount(rows_by_user(run.parts, ["train"])[0], minlength=len(run.users) + 1)
    by_activity = tested[np.argsort(-rows[tested], kind="stable")]
    draw = np.random.default_rng(0)
    quarters = [quarter for quarter in np.array_split(by_activity, DRAWN) if len(quarter)]
    return [str(run.users.tokens[draw.choice(quarter)]) for quarter in quarters]


def _named(run: Any, words: list[str]) -> Iterator[str]:
    """Yield the ids of words between commas: of several readings, the longest id that the run knows."""
    while words:
        ends = range(min(len(words), MOST_USERS), 0, -1)
        ways = [",".join(words[:end]).strip() for end in ends]
        known = run.users.numbers_of(ways) > 0
        place = int(known.argmax()) if known.any() else len(ways) - 1  # a word alone
        if ways[place]:
            yield ways[place]
        words = words[ends[place] :]


def asked_users(run: Any, text: str) -> list[str]:
    """Return the ids of ``--users``, which has commas between them, and in those ids that have some.

    Raises:
        UsageError: none or too many are named, or one is not in the run's data set.
    """
    asked = list(dict.fromkeys(_named(run, text.split(","))))
    if not 1 <= len(asked) <= MOST_USERS:
        raise UsageError(f"--users names {counted(len(asked), 'user')}; it takes 1 to {MOST_USERS}: 405,13")
    known = run.users.tokens[1:]
    for token, place in zip(asked, run.users.numbers_of(asked), strict=True):
        if not place:
            near = did_you_mean(token, known[:100_000])
            raise UsageError(
                f"--users names {token!r}, who is not in the run's data set{near}; it takes original ids, "
                f"such as {known[0]!r}"
            )
    return asked


@dataclass(frozen=True)
class Titles:
    """What items are called on the page.

    Attributes:
        tokens: original ids by internal number, the padding item first.
        texts: titles by original id; an item without one is called by its id.
    """

    tokens: Sequence[str]
    texts: Mapping[str, str]

    def of(self, item: int) -> str:
        """Return the title of an item by its internal number, cut where it is long."""
        token = str(self.tokens[item])
        title = self.texts.get(token, token)
        return title if len(title) <= LONGEST else title[: LONGEST - 3].rstrip() + "..."


def titles_of(run: Any, column: str | None, notes: list[str]) -> Titles:
    """Return the titles of a run's items from the .item file of its data set, or else their ids.

    Args:
        run: a loaded run.
        column: the column that was asked for, or None for the first of TITLES that is there.
        notes: gets a line if the file is damaged and no column was asked for.

    Raises:
        UsageError: the column that was asked for is not there, or the file is damaged.
    """
    path = file_or_table(Path(run.config["data_path"]) / f"{run.dataset.dataset_name}.item")
    texts: Mapping[str, str] = {}
    if path.is_file():
        try:
            texts = _texts_of(path, run.config, column)
        except UsageError as error:
            if column is not None:
                raise
            notes.append(f"Items have ids instead of titles: {error}")
    elif column is not None:
        raise UsageError(f"--item_title names the column {column!r}, but there is no {path}")
    return Titles(run.items.tokens, texts)


def _texts_of(path: Path, config: Any, column: str | None) -> dict[str, str]:
    """Return the titles in a file by item; none if it has no column that is known to hold titles."""
    file = opened(path, config)
    names = list(file.header())
    if column is not None and column not in names:
        raise UsageError(
            f"--item_title is {column!r}, but {path} has no such column{did_you_mean(column, names)}; there "
            f"are {', '.join(names)}"
        )
    chosen, item_field = (
        column or next((name for name in TITLES if name in names), None),
        config["ITEM_ID_FIELD"],
    )
    if chosen is None or item_field not in names:
        return {}
    item, text = names.index(item_field), names.index(chosen)
    rows = (cells for _, cells in file.records() if len(cells) == len(names))
    return {cells[item]: " ".join(cells[text].split()) for cells in rows if cells[text].strip()}


def tables_of_users(loaded: Mapping[str, Any], users: Sequence[str], titles: Titles) -> list[Table]:
    """Return a table for each user: the history, the list of each method with its hits, the held-out items.

    The lists are those that the test judged: without what the user has in train and valid.

    Args:
        loaded: loaded runs by method, of the same data and split.
        users: original ids.
        titles: what items are called.

    Raises:
        UsageError: the data has changed since the training.
        RunError: a model cannot score.
    """
    first = next(iter(loaded.values()))
    length = min(LENGTH, len(first.items))
    found = {name: run.recommend(users, length, exclude="history") for name, run in loaded.items()}
    return [
        _table(
            first, user, {name: table[table["user"] == user]["item"] for name, table in found.items()}, titles
        )
        for user in users
    ]


def _table(run: Any, user: str, lists: Mapping[str, Any], titles: Titles) -> Table:
    """Return the table of one user; ``lists`` has item tokens by method."""
    user_number = int(run.users.numbers_of([user])[0])
    held = _items_of(run, user_number, test_names(run.parts))
    had = [
        item
        for item in _items_of(run, user_number, [name for name in valid_shift.LEARNED if name in run.parts])
        if item not in held
    ]
    listed = {name: [int(item) for item in run.items.numbers_of(tokens)] for name, tokens in lists.items()}
    hits = {name: sum(item in held for item in items) for name, items in listed.items()}
    anybody = {item for items in listed.values() for item in items}
    columns = [
        _cells(had, titles, set()),
        *(_cells(items, titles, set(held)) for items in listed.values()),
        _cells(sorted(held, key=lambda item: item not in anybody), titles, anybody),  # found ones first
    ]
    size = min(LENGTH, max(map(len, columns)))
    rows = [
        [number(place + 1, 0), *(cells[place] if place < len(cells) else Cell("") for cells in columns)]
        for place in range(size)
    ]
    names = [
        f"has in train and valid ({len(had)})",
        *(f"{name}: {counted(hits[name], 'hit')}" for name in listed),
    ]
    names.append(f"held out ({len(held)})")
    return Table(f"User {user}", ["place", *names], rows, words=set(names))


def _items_of(run: Any, user: int, names: Collection[str]) -> dict[int, None]:
    """Return the items of a user in some parts, in the order of their rows, each once."""
    users, items = rows_by_user(run.parts, [name for name in names if name in run.parts])
    return dict.fromkeys(int(item) for item in items[users == user])


def _cells(items: Collection[int], titles: Titles, marked: set[int]) -> list[Cell]:
    """Return the cells of the first LENGTH items; those of ``marked`` have a mark."""
    some = list(items)[:LENGTH]
    return [
        Cell((HIT if item in marked else "") + titles.of(item), titles.of(item), best=item in marked)
        for item in some
    ]
