"""The validation part of published splits: against the rule told row by row, and the rows of the tables."""

import random

import numpy as np
import pytest

from recbole_diffusion.prepare.held_out import SEED, lowest_tenth, nearest_tenth


@pytest.fixture(scope="module")
def rows():
    """300 rows in no order, of users with 1 to 40 rows; some items have one row."""
    draw = random.Random(3)
    pairs = {(user, draw.randrange(150)) for user in range(12) for _ in range(1 + 4 * user)}
    shuffled = sorted(pairs)
    draw.shuffle(shuffled)
    return tuple(np.array(column) for column in zip(*shuffled, strict=True))


def by_draw(users, user):
    """The rows of a user, the smallest number first."""
    numbers = np.random.default_rng(SEED).random(len(users))
    return sorted(np.flatnonzero(users == user), key=lambda row: numbers[row])


def test_the_lowest_tenth_leaves_items_without_another_row_whole(rows):
    users, items = rows
    wanted = {row for user in range(12) for row in by_draw(users, user)[: (users == user).sum() // 10]}
    rest = {items[row] for row in range(len(users)) if row not in wanted}
    lonely = {row for row in wanted if items[row] not in rest}
    assert lonely, "the data has no such item, so that nothing is tested"
    assert set(np.flatnonzero(lowest_tenth(users, items))) == wanted - lonely


def test_the_nearest_tenth_is_rounded_and_skips_the_last_row_of_an_item(rows):
    users, items = rows
    left, wanted, skipped = np.bincount(items), set(), 0
    for user in range(12):
        many, taken = int((users == user).sum() / 10 + 0.5), 0
        for row in by_draw(users, user):
            if taken == many:
                break
            if left[items[row]] == 1:
                skipped += 1
                continue
            left[items[row]] -= 1
            taken += 1
            wanted.add(row)
    assert skipped, "no row was skipped, so that nothing is tested"
    assert set(np.flatnonzero(nearest_tenth(users, items))) == wanted


def test_the_rows_are_those_of_the_tables():
    """Another generator, seed or order would make other tables: these rows are written down."""
    users, items = np.repeat([0, 1, 2], [20, 9, 15]), np.arange(44) % 11
    assert np.flatnonzero(lowest_tenth(users, items)).tolist() == [0, 7, 30]
    assert np.flatnonzero(nearest_tenth(users, items)).tolist() == [0, 7, 23, 30, 42]


def test_no_rows_are_no_rows():
    none = np.zeros(0, np.int64)
    assert len(lowest_tenth(none, none)) == len(nearest_tenth(none, none)) == 0
