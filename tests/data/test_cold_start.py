"""Who is cold, and which of a cold user's records come first."""

import numpy as np
import pytest

from recbole_diffusion.data.cold_start import divide_users, first_records, users_cut_within_a_time
from recbole_diffusion.errors import UsageError


def test_users_are_divided_by_share_and_seed_whatever_their_order():
    names = np.array([f"u{number}" for number in range(100)])
    test, valid, train = divide_users(names, 0.2, 0.1, 3)
    assert (len(test), len(valid), len(train)) == (20, 8, 72)
    assert sorted(np.concatenate([test, valid, train])) == list(range(100))
    turned = names[::-1]
    again = divide_users(turned, 0.2, 0.1, 3)
    assert [set(turned[part]) for part in again] == [set(names[part]) for part in (test, valid, train)]
    assert set(divide_users(names, 0.2, 0.1, 4)[0]) != set(test)


@pytest.mark.parametrize(
    ("users", "cold", "valid"), [(3, 0.9, 0.1), (10, 0.01, 0.1), (2, 0.5, 0.5), (20, 0.5, 0.99)]
)
def test_a_part_without_users_is_refused(users, cold, valid):
    with pytest.raises(UsageError, match=r"cold_user_ratio .* makes .* test users"):
        divide_users(np.arange(users).astype(str), cold, valid, 0)


def test_the_first_records_are_the_earliest_half_rounded_down():
    users = np.array([1, 2, 1, 1, 2, 1, 1, 3])
    time = np.array([5.0, 1, 1, 3, 0, 2, 4, 9])
    first = first_records(users, time, 0.5, 0)
    assert first.tolist() == [
        False,
        False,
        True,
        False,
        True,
        True,
        False,
        False,
    ]  # user 1: times 1 and 2 of five


def test_without_time_half_of_each_users_records_are_drawn():
    users = np.repeat(np.arange(5), 10)
    first = first_records(users, None, 0.5, 1)
    assert np.bincount(users[first]).tolist() == [5] * 5
    assert (first != first_records(users, None, 0.5, 2)).any()


def test_equal_times_are_divided_by_the_seed_and_earlier_ones_never_come_later():
    users, time = np.repeat([1, 2], 8), np.array([1, 1, 2, 2, 2, 2, 3, 3, 1, 1, 1, 1, 2, 2, 2, 2.0])
    drawn = {tuple(first_records(users, time, 0.5, seed)) for seed in range(20)}
    assert len(drawn) > 3  # two of the four rows of user 1's time 2
    for first in map(np.array, drawn):
        assert first[[0, 1]].all()
        assert not first[[6, 7]].any()
        assert first[2:6].sum() == 2
        assert first[8:].tolist() == [True] * 4 + [False] * 4
        assert users_cut_within_a_time(users, time, first) == 1


def test_no_user_is_cut_within_a_time_where_a_half_is_empty():
    users, time = np.array([4, 4, 5]), np.array([1.0, 1.0, 1.0])
    assert users_cut_within_a_time(users, time, np.array([True, False, False])) == 1
    assert users_cut_within_a_time(users, time, np.array([False, False, True])) == 0
    assert users_cut_within_a_time(users[:0], time[:0], np.zeros(0, bool)) == 0
