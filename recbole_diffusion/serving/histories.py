"""Histories of new users: a file like an .inter file, read as compressed rows of item numbers.

Longer than most files: files and tables are checked alike, and become the same rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_diffusion.compat import FeatureType
from recbole_diffusion.data.atomic_file import AtomicFile
from recbole_diffusion.data.columns import PADDING
from recbole_diffusion.data.table_file import is_table
from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.serving.id_map import IdMap, is_whole
from recbole_diffusion.serving.left_out import refuse_outside


@dataclass(frozen=True)
class NewUsers:
    """Users by their histories.

    Attributes:
        tokens: original ids of the users with a known item, text [n], in the order of their first row.
        offsets: int64 [n + 1], where each user's items begin.
        items: int64 [total], item numbers, ascending within a user, each once.
        ratings: float32 [total], or None.
        unknown_items: tokens of items that the data set does not have, each once.
        unknown_rows: number of rows with such an item.
        without: original ids of users without any known item.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    unknown_items: list[str]
    unknown_rows: int
    without: list[str]

    def __len__(self) -> int:
        """Return the number of users with a known item."""
        return len(self.tokens)

    def block(self, start: int, stop: int, device: Any) -> FoldInHistories:
        """Return the histories of users ``start`` to ``stop``, for a model."""
        first, last = self.offsets[start], self.offsets[stop]
        starts = self.offsets[start:stop] - first
        rows = np.repeat(np.arange(stop - start), np.diff(self.offsets[start : stop + 1]))
        ratings = None if self.ratings is None else torch.from_numpy(self.ratings[first:last]).to(device)
        arrays = (self.items[first:last], starts, rows)
        of_items, of_starts, of_rows = (torch.from_numpy(array).to(device) for array in arrays)
        return FoldInHistories(of_items, of_starts, of_rows, ratings)

    def take(self, places: Sequence[int]) -> "NewUsers":
        """Return the users at some places, in that order."""
        cells = [np.arange(self.offsets[place], self.offsets[place + 1]) for place in places]
        rows = np.concatenate([np.zeros(0, np.int64), *cells])
        offsets = np.append(0, np.cumsum([len(one) for one in cells])).astype(np.int64)
        ratings = None if self.ratings is None else self.ratings[rows]
        return NewUsers(self.tokens[list(places)], offsets, self.items[rows], ratings, [], 0, [])


def joined(users: Sequence[NewUsers]) -> NewUsers:
    """Return several groups of users as one; all of them with ratings, or none."""
    if len(users) == 1:
        return users[0]
    tokens, items = (np.concatenate([getattr(one, name) for one in users]) for name in ("tokens", "items"))
    starts = np.cumsum([0, *(len(one.items) for one in users)])[:-1]
    ends = [one.offsets[1:] + start for one, start in zip(users, starts, strict=True)]
    ratings = None if users[0].ratings is None else np.concatenate([one.ratings for one in users])
    return NewUsers(tokens, np.concatenate([np.zeros(1, np.int64), *ends]), items, ratings, [], 0, [])


def read_histories(path: Path, config: Any, rated: bool) -> pd.DataFrame:
    """Return the columns user, item and, if ``rated``, rating of a file of histories.

    The file is like an .inter file: a header such as ``user_id:token<TAB>item_id:token``, then a row for each
    item of a user, with the field names, separator and encoding of ``config``.

    Raises:
        UsageError: there is no such file, a column is missing, or a value is missing or malformed.
    """
    wanted = {"user": config["USER_ID_FIELD"], "item": config["ITEM_ID_FIELD"]}
    wanted |= {"rating": config["RATING_FIELD"]} if rated else {}
    if is_table(path):
        raise UsageError(
            f"histories are read from an atomic file alone, not from {path.name}; write a first line such as "
            f"{config['USER_ID_FIELD']}:token, a tab, {config['ITEM_ID_FIELD']}:token, then the rows"
        )
    try:
        file = AtomicFile(path, config["encoding"], config["field_separator"])
    except OSError as error:
        raise UsageError(f"cannot read the histories {path}: {error.strerror}") from error
    columns = file.header()
    missing = [name for name in wanted.values() if name not in columns]
    if missing:
        header = config["field_separator"].join(
            f"{name}:{'float' if role == 'rating' else 'token'}" for role, name in wanted.items()
        )
        raise UsageError(f"{path} has no column {', '.join(missing)}; its first line must name {header!r}")
    for role, name in wanted.items():
        kind = FeatureType.FLOAT if role == "rating" else FeatureType.TOKEN
        if columns[name] != kind:
            raise UsageError(
                f"{path}, line 1: the column {name!r} is {columns[name].value}, but the {role} takes "
                f"{kind.value}; write {name}:{kind.value}"
            )
    rows = file.check_rows(len(columns))
    if rows == 0:
        raise UsageError(f"{path} holds no history: there are no rows below its header")
    try:
        frame = file.read(columns, [name for name in columns if name in wanted.values()], rows)
    except ValueError:
        file.check_numbers(columns, list(wanted.values()), config["seq_separator"])
        raise
    frame = frame.rename(columns={name: role for role, name in wanted.items()})
    for role in wanted:
        if frame[role].isna().any():
            line = file.lines_of(np.flatnonzero(frame[role].isna())[:1])[0]
            raise UsageError(f"{path}, line {line}: the {role} is missing; each row needs one")
    _refuse_zero_labels(file, columns, rows, config["LABEL_FIELD"])
    for name, interval in (config["val_interval"] or {}).items():
        if columns.get(name) == FeatureType.FLOAT:
            values = file.read(dict(columns), [name], rows)[name]
            refuse_outside(name, interval, values, lambda row: f"{path}, line {file.lines_of([row])[0]}")
    return frame


def _refuse_zero_labels(file: AtomicFile, columns: Mapping[str, Any], rows: int, label: str) -> None:
    """Refuse histories with labels 0 (or -1), which are read nowhere: their items would count as liked."""
    if columns.get(label) != FeatureType.FLOAT:
        return
    values = file.read(dict(columns), [label], rows)[label]
    zeros = np.flatnonzero(values < 1)
    if len(zeros) and values.isin([-1, 0, 1]).all():
        raise UsageError(
            f"{file.path}, line {file.lines_of(zeros[:1])[0]}: {len(zeros)} of {counted(rows, 'row')} "
            f"{agreeing(len(zeros), 'have')} the {label} 0, but every item of a history counts as liked; "
            "remove these rows, or the column"
        )


def frame_of(histories: Mapping[str, Iterable[Any]] | pd.DataFrame) -> pd.DataFrame:
    """Return histories given in Python, item tokens (or a mapping of them to ratings) by user, as rows.

    Raises:
        UsageError: they are no mapping, a history is text or no collection, only some have ratings, or two
            users have one name.
    """
    if isinstance(histories, pd.DataFrame):
        return histories
    if not isinstance(histories, Mapping):
        raise UsageError(
            f"histories are {type(histories).__name__}; give a dict of items by user, such as "
            "{'me': ['50', '181']}, or a table"
        )
    rows, names = [], set()
    for user, items in histories.items():
        if str(user) in names:
            raise UsageError(
                f"two users of the histories are called {str(user)!r}; give each a name of its own"
            )
        names.add(str(user))
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            kind = type(items).__name__
            raise UsageError(f"the history of user {user} is {items!r}, of type {kind}; give a list of items")
        pairs = items.items() if isinstance(items, Mapping) else ((item,) for item in items)
        rows += [(str(user), *pair) for pair in pairs]
    widths = {len(row) for row in rows} or {2}
    if len(widths) > 1:
        raise UsageError("some histories have ratings and others none; give all of them, or none")
    return pd.DataFrame(rows, columns=["user", "item", "rating"][: widths.pop()])


def new_users(
    frame: pd.DataFrame,
    ids: IdMap,
    scale: list | None,
    origin: str = "the run's data set",
    *,
    may_be_none: bool = False,
) -> NewUsers:
    """Return the users of a table of histories.

    A pair that occurs twice counts once; with ratings it is refused, since it would have two.

    Args:
        frame: columns user, item and, with ``scale``, rating.
        ids: the ids of the items that histories are made of.
        scale: lowest and highest rating for a model that reads ratings, else None.
        origin: description of the data set of these items, for the messages.
        may_be_none: whether it is no error that no user has a known item.

    Raises:
        UsageError: no user has a known item, a user has the name of the padding, a user or an item is
            missing, a rating is off the scale, or a pair is rated twice.
    """
    missing = [name for name in ("user", "item") if name not in frame]
    if missing:
        raise UsageError(
            f"the table of histories has no column {', '.join(missing)}; it takes user, item and, if need "
            "be, rating"
        )
    if scale is not None and "rating" not in frame:
        raise UsageError(
            "the histories have no ratings, but this model reads ratings; give one for each item"
        )
    for name in ("user", "item"):
        gaps = np.flatnonzero(frame[name].isna())
        if len(gaps):
            other = "item" if name == "user" else "user"
            raise UsageError(
                f"{counted(len(gaps), 'row')} of the histories {agreeing(len(gaps), 'have')} no {name}, "
                f"first that of {other} {frame[other].iloc[gaps[0]]}; remove them, or say what is missing"
            )
    codes, names = pd.factorize(frame["user"].astype(str))
    if PADDING in names:
        raise UsageError(
            f"the histories have a user {PADDING!r}, which is RecBole's id of no user; give another name"
        )
    texts = _texts(frame["item"], ids)
    kinds, tokens = pd.factorize(texts)
    numbers = ids.numbers_of(tokens)[kinds]
    known = numbers > 0
    users, items = codes[known], numbers[known]
    ratings = None if scale is None else _checked_ratings(frame, scale, origin)[known]
    order = np.lexsort((items, users))
    users, items, ratings = users[order], items[order], None if ratings is None else ratings[order]
    again = np.zeros(len(users), bool)
    again[1:] = (users[1:] == users[:-1]) & (items[1:] == items[:-1])
    if scale is not None and again.any():
        place = int(np.flatnonzero(again)[0])
        who, what = names[users[place]], ids.tokens[items[place]]
        raise UsageError(
            f"the histories rate an item a second time: user {who}, item {what}; keep one rating"
        )
    users, items, ratings = users[~again], items[~again], None if ratings is None else ratings[~again]
    counts = np.bincount(users, minlength=len(names))
    if not may_be_none and not len(frame):
        raise UsageError("the histories have no item; give one at least")
    if not may_be_none and not counts.any():
        raise UsageError(
            f"no user of the histories has an item of {origin} (first: {', '.join(map(str, tokens[:3]))}); "
            f"it takes original ids, such as {ids.tokens[1]!r}"
        )
    offsets = np.r_[0, np.cumsum(counts[counts > 0])].astype(np.int64)
    unknown = sorted(set(texts[~known]))
    return NewUsers(
        *(np.asarray(names, dtype=object)[counts > 0], offsets, items.astype(np.int64), ratings),
        *(unknown, int((~known).sum()), [str(name) for name in names[counts == 0]]),
    )


def _texts(items: pd.Series, ids: IdMap) -> pd.Series:
    """Return the ids of a column as text; whole numbers that pandas has made floats of as such numbers."""
    texts = items.astype(str)
    if not pd.api.types.is_float_dtype(items) or ids.numbers_of(texts.unique()).any():
        return texts
    return items.astype("int64").astype(str) if all(map(is_whole, items)) else texts


def rating_numbers(frame: pd.DataFrame) -> pd.Series:
    """Return the column ``rating`` of a table of histories as numbers, float64 [rows].

    Raises:
        UsageError: one is no number; a missing one is NaN here.
    """
    given = frame["rating"]
    numbers = pd.to_numeric(given, errors="coerce").astype(float)
    wrong = np.flatnonzero(numbers.isna() & given.notna())
    if len(wrong):
        row = frame.iloc[wrong[0]]
        raise UsageError(
            f"{counted(len(wrong), 'rating')} of the histories {agreeing(len(wrong), 'are')} no number, "
            f"first {row['rating']!r} of user {row['user']} on item {row['item']}"
        )
    return numbers


def _checked_ratings(frame: pd.DataFrame, scale: list, origin: str) -> np.ndarray:
    """Return the ratings, float32 [rows]."""
    ratings = frame["rating"].to_numpy(np.float32)
    wrong = np.flatnonzero(~((ratings >= scale[0]) & (ratings <= scale[1])))
    if len(wrong):
        row = frame.iloc[wrong[0]]
        raise UsageError(
            f"{counted(len(wrong), 'rating')} of the histories {agreeing(len(wrong), 'are')} outside the "
            f"scale {scale[0]:g} to {scale[1]:g} of {origin}, first {ratings[wrong[0]]:g} of user "
            f"{row['user']} on item {row['item']}"
        )
    return ratings
