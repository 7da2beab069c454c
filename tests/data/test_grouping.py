"""Groups of rows and distinct numbers, against lists and sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recbole_diffusion.data.grouping import Groups, cuts_for_last, distinct

KEYS = st.lists(st.integers(0, 6), max_size=40)


@given(KEYS)
def test_distinct_numbers_are_those_of_a_set(keys):
    assert distinct(np.array(keys, dtype=np.int64)).tolist() == sorted(set(keys))


@given(KEYS)
def test_groups_come_in_order_of_their_first_row(keys):
    wanted: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        wanted.setdefault(key, []).append(row)
    groups = Groups(np.array(keys, dtype=np.int64))
    assert list(groups) == list(wanted.values())
    assert groups.sizes.tolist() == [len(rows) for rows in wanted.values()]


@given(KEYS)
def test_the_parts_of_groups_are_their_slices(keys):
    groups = Groups(np.array(keys, dtype=np.int64))
    parts = groups.divided(lambda size: [size // 2, (size + 1) // 2], 3)
    wanted: list[list[int]] = [[], [], []]
    for rows in groups:
        half, more = len(rows) // 2, (len(rows) + 1) // 2
        for part, some in zip(wanted, (rows[:half], rows[half:more], rows[more:]), strict=True):
            part.extend(some)
    assert [part.tolist() for part in parts] == wanted


def test_the_last_rows_are_alone_as_far_as_the_first_part_keeps_one():
    assert [cuts_for_last(size, 3) for size in (1, 2, 3, 9)] == [[1, 1], [1, 1], [1, 2], [7, 8]]
    assert [cuts_for_last(size, 2) for size in (1, 2, 9)] == [[1], [1], [8]]
