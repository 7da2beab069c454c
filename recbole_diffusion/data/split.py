"""Splits under distribution shift: train, valid, a test part like train (test_iid), a shifted one (test_ood).

The three shifts are those of the CNSDiff paper, appendix B "Preprocessing Details": uniform item popularity,
the most recent interactions of each user, and a set of users to whom every item was shown. Here is how we
decide what the paper leaves open:

- Rounding: popularity takes ``round(share * rows)`` interactions; temporal takes ``floor(share * rows of the
  user)``, at least one of a user with two or more.
- The rest is split at random over all its rows, not by user.
- A pair of user and item is in one part only, see :func:`rows_to_keep`.
- Every user and item of a held-out part has a row in train, see :func:`_with_all_in_train`.

Pure: arrays and a ``numpy.random.Generator`` in, row numbers out.

Longer than most files: the three shifts beside each other, with what they share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_diffusion.data.valid_part import latest_rows, latest_valid, place_in_group
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.options.split import SHIFTS, check_shares

PARTS = ("train", "valid", "test_iid", "test_ood")
TRAIN, VALID, TEST_IID, TEST_OOD = range(4)
KINDS = SHIFTS[1:]
GROUPS = 10


@dataclass(frozen=True)
class ShiftSplit:
    """The parts, and the numbers of rows that were moved or dropped.

    Attributes:
        rows: row numbers of train, valid, test_iid and test_ood, ascending.
        moved: rows moved into train, by the part that they left.
        dropped: rows in no part, by reason.
    """

    rows: tuple[np.ndarray, ...]
    moved: dict[str, int]
    dropped: dict[str, int]


def split_rows(
    kind: str,
    users: np.ndarray,
    items: np.ndarray,
    generator: np.random.Generator,
    *,
    share: float = 0.2,
    rest: Sequence[float] = (0.7, 0.1, 0.2),
    time: np.ndarray | None = None,
    exposed: np.ndarray | None = None,
    valid_part: str = "iid",
) -> ShiftSplit:
    """Split interactions under one kind of shift.

    Args:
        kind: popularity, temporal or exposure.
        users: whole numbers from 0, [rows].
        items: whole numbers from 0, [rows].
        generator: the only source of randomness.
        share: share of the interactions in test_ood; unused for exposure.
        rest: shares of train, valid and test_iid among the others.
        time: of each interaction, [rows]; for temporal, and for ``valid_part`` latest.
        exposed: bool [rows], the rows of the fully exposed set; for exposure.
        valid_part: ``iid``, or ``latest``: the rows of train and valid are divided by time; the test parts
            are the same.

    Raises:
        UsageError: shares out of range, a part that becomes empty, no time, no exposed rows, or a share of
            test_ood that would take the last row of an item.
    """
    check_shares(share, rest)
    if kind not in KINDS:
        raise UsageError(f"shift {kind!r} is unknown; it takes {', '.join(KINDS)}")
    if kind == "temporal" and (time is None or not np.isfinite(time).all()):
        raise UsageError(
            "the temporal shift needs the time of every interaction; name its column with TIME_FIELD and "
            "load_col.inter"
        )
    if kind == "exposure" and (exposed is None or not exposed.any()):
        raise UsageError(
            "the exposure shift needs the fully exposed interactions; name their file with shift_test"
        )
    keep, dropped = rows_to_keep(
        users, items, time if kind == "temporal" else None, exposed if kind == "exposure" else None
    )
    kept = np.flatnonzero(keep)
    if len(kept) < len(PARTS):
        raise UsageError(
            f"{counted(len(kept), 'interaction')} cannot be split into {len(PARTS)} parts; give a larger "
            "data set"
        )
    users, items = users[kept], items[kept]
    if kind == "popularity":
        shifted = _uniform_popularity(items, share, generator)
    elif kind == "temporal":
        assert time is not None  # checked above
        shifted = latest_rows(users, time[kept], share)
    else:
        assert exposed is not None  # checked above
        shifted = exposed[kept]
    before = _split_rest(shifted, rest, generator)
    part = _with_all_in_train(before, users, items, generator)
    moved = {
        PARTS[number]: int(((before == number) & (part == TRAIN)).sum())
        for number in (VALID, TEST_IID, TEST_OOD)
    }
    if valid_part == "latest":
        assert time is not None  # by the data set
        pool = np.flatnonzero(part <= VALID)
        share = rest[1] / (rest[0] + rest[1])
        is_valid = latest_valid(users[pool], items[pool], time[kept][pool], share)
        part[pool] = np.where(is_valid, VALID, TRAIN)
    empty = [name for number, name in enumerate(PARTS) if number not in part]
    if empty:
        raise UsageError(
            f"the {empty[0]} part is empty after a {kind} split of {counted(len(part), 'interaction')}, of "
            f"which {sum(moved.values())} had to go to train; give more interactions, other shares "
            "(shift_ratio, shift_rest) or another shift_seed"
        )
    return ShiftSplit(tuple(kept[part == number] for number in range(len(PARTS))), moved, dropped)


def rows_to_keep(
    users: np.ndarray, items: np.ndarray, time: np.ndarray | None = None, exposed: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, int]]:
    """Return which rows are kept, bool [rows], and how many are not, by reason.

    Of the rows of one pair the latest by ``time`` is kept (the last in the file among equals), without
    ``time`` the first. Rows whose pair is also ``exposed`` are dropped. Exposed rows whose user or item is in
    no other row are dropped too: nothing could be learned about it.
    """
    rows, pairs = np.arange(len(users)), users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items
    given = np.zeros(len(users), bool) if exposed is None else exposed
    # The first of each pair in this order is kept: exposed rows, then the others in the order of the file, or
    # all from the latest to the earliest.
    order = np.lexsort((rows, ~given)) if time is None else np.lexsort((rows, time))[::-1]
    keep = np.zeros(len(users), bool)
    keep[order[np.unique(pairs[order], return_index=True)[1]]] = True
    also_exposed = ~given & np.isin(pairs, pairs[given])
    duplicates = int((~keep & ~also_exposed).sum())
    unseen = np.zeros(len(users), bool)
    for codes in (users, items):
        unseen |= given & keep & ~np.isin(codes, codes[keep & ~given])
    return keep & ~unseen, {
        "duplicate_pairs": duplicates,
        "pairs_of_exposed": int(also_exposed.sum()),
        "exposed_unseen": int(unseen.sum()),
    }


def popularity_quotas(counts: np.ndarray, asked: int, generator: np.random.Generator) -> np.ndarray:
    """Return the number of rows of each item for test_ood: ``asked`` in all, as equal as possible.

    At least one row of each item remains. Water filling: quota_i = min(q, counts_i - 1) with the level q at
    which they sum to ``asked``; between two whole levels, randomly chosen items get one more. Drawing rows
    with weights 1 / popularity would not be uniform: without replacement those weights hold for the first
    draw only, and a rare item runs out of rows, so that train has none of it.

    Args:
        counts: rows of each item, [items], 0 for items without rows.
        asked: total number of rows.
        generator: chooses the items with one more.

    Raises:
        UsageError: not enough rows are available.
    """
    most = np.maximum(counts - 1, 0)
    if asked > most.sum():
        raise UsageError(
            f"test_ood would take {counted(asked, 'interaction')}, but with one of each item left for train "
            f"at most {most.sum()} can go there; give a smaller shift_ratio, or remove rare items with "
            "item_inter_num_interval"
        )
    return equal_quotas(most, asked, generator)


def equal_quotas(most: np.ndarray, asked: int, generator: np.random.Generator) -> np.ndarray:
    """Return ``asked`` rows in all as equal quotas of items, none above its ``most``, int64 [items].

    Water filling: quota_i = min(q, most_i), and between two whole levels randomly chosen items get one more.

    Args:
        most: rows that an item can give, [items].
        asked: total number of rows, at most the sum of ``most``.
        generator: chooses the items with one more.
    """
    can_give_more = len(most) - np.cumsum(np.bincount(most))  # [levels]: items with most > level
    filled = np.concatenate([[0], np.cumsum(can_give_more)])  # [levels + 1]: sum of min(level, most)
    level = int(np.searchsorted(filled, asked, side="right")) - 1
    level = min(level, int(most.max(initial=0)))
    quotas = np.minimum(most, level)
    if asked > quotas.sum():
        odd = generator.choice(np.flatnonzero(most > level), asked - int(quotas.sum()), replace=False)
        quotas[odd] += 1
    return quotas


def _uniform_popularity(items: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Return bool [rows], random rows that fill each item's quota."""
    quotas = popularity_quotas(np.bincount(items), round(share * len(items)), generator)
    return rows_of_quotas(items, quotas, generator)


def rows_of_quotas(items: np.ndarray, quotas: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return bool [rows], random rows, of each item as many as its quota."""
    counts = np.bincount(items)
    order = generator.permutation(len(items))
    order = order[np.argsort(items[order], kind="stable")]
    chosen = np.zeros(len(items), bool)
    chosen[order[place_in_group(counts) < np.repeat(quotas, counts)]] = True
    return chosen


def _split_rest(shifted: np.ndarray, rest: Sequence[float], generator: np.random.Generator) -> np.ndarray:
    """Return the part of each row, int8 [rows]: test_ood where ``shifted``, the others at random."""
    part = np.full(len(shifted), TEST_OOD, np.int8)
    others = generator.permutation(np.flatnonzero(~shifted))
    valid, test = round(rest[1] * len(others)), round(rest[2] * len(others))
    part[others] = TRAIN
    part[others[:valid]] = VALID
    part[others[valid : valid + test]] = TEST_IID
    return part


def _with_all_in_train(
    part: np.ndarray, users: np.ndarray, items: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return ``part`` with a random row of each user and item that train lacks moved there.

    A row of test_ood is moved only if there is no other.
    """
    part = part.copy()
    order = generator.permutation(len(part))
    order = order[np.argsort(part[order] == TEST_OOD, kind="stable")]
    for codes in (users, items):
        known = np.zeros(codes.max() + 1, bool)
        known[codes[part == TRAIN]] = True
        lacking = order[~known[codes[order]]]
        part[lacking[np.unique(codes[lacking], return_index=True)[1]]] = TRAIN
    return part


def summarize(split: ShiftSplit, users: np.ndarray, items: np.ndarray, **said: Any) -> dict[str, Any]:
    """Return a summary of a split in plain types: ``said``, sizes, moved and dropped rows, popularity.

    ``said`` are its settings, such as kind and seed. ``popularity_deciles`` orders the items from the most to
    the least popular by their rows in all four parts together (equal ones by id), divides them into ten
    groups of equal size, and gives each group's share of the rows of each part.
    """
    kept = np.concatenate(split.rows)
    counts = np.bincount(items[kept])
    ranked = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    groups = np.array_split(ranked, GROUPS)
    group = np.zeros(len(counts), np.int64)
    for number, members in enumerate(groups):
        group[members] = number
    shares = {
        name: (np.bincount(group[items[rows]], minlength=GROUPS) / len(rows)).round(6).tolist()
        for name, rows in zip(PARTS, split.rows, strict=True)
    }
    sizes = {
        name: {"rows": len(rows), "users": len(np.unique(users[rows])), "items": len(np.unique(items[rows]))}
        for name, rows in zip(PARTS, split.rows, strict=True)
    }
    deciles = {
        "order": "items from most to least popular by rows in all parts",
        "items": [len(one) for one in groups],
        **shares,
    }
    return {
        **said,
        "parts": sizes,
        "moved_into_train": split.moved,
        "dropped": split.dropped,
        "popularity_deciles": deciles,
    }
