"""Groups of items and users: who is in which, and metrics of a case small enough to compute by hand."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.groups import (
    by_item_popularity,
    by_time,
    by_user_activity,
    item_groups,
    time_groups,
    user_groups,
)
from recbole_diffusion.evaluation.lists import TopKLists

MASKED = -math.inf


def test_items_by_rank_of_count_and_ties_by_id():
    counts = np.array([99, 1, 5, 5, 0, 5, 2])
    # ranked: 2, 3, 5, 6, 1, 4
    assert item_groups(counts, 3).tolist() == [-1, 2, 0, 0, 2, 1, 1]
    assert item_groups(counts, 1).tolist() == [-1, 0, 0, 0, 0, 0, 0]
    assert item_groups(counts, 4).tolist() == [-1, 2, 0, 0, 3, 1, 1]  # 2 + 2 + 1 + 1


def test_users_without_a_training_row_have_no_group():
    assert user_groups(np.array([7, 3, 0, 9, 0, 1]), 2).tolist() == [-1, 0, -1, 0, -1, 1]


@pytest.mark.parametrize("make", [item_groups, user_groups])
def test_the_number_of_groups_is_checked(make):
    with pytest.raises(UsageError, match="number of groups is 0; it takes a whole number from 1"):
        make(np.ones(4, int), 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(1, 8))
def test_groups_partition_the_items_by_popularity(counts, n_groups):
    counts = np.array(counts)
    groups = item_groups(counts, n_groups)
    sizes = np.bincount(groups[1:], minlength=n_groups)
    assert groups[0] == -1 and sizes.sum() == len(counts) - 1 and len(sizes) == n_groups
    assert sizes.max() - sizes.min() <= 1
    for group in range(n_groups - 1):
        here, next_one = counts[1:][groups[1:] == group], counts[1:][groups[1:] == group + 1]
        assert not len(next_one) or here.min() >= next_one.max()
    active = user_groups(counts, n_groups)
    assert np.array_equal(active[1:] >= 0, counts[1:] > 0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=20), st.integers(1, 4))
def test_of_equal_counts_the_smaller_id_comes_first(counts, n_groups):
    groups = item_groups(np.array(counts), n_groups)
    for count in set(counts[1:]):
        of_count = groups[1:][np.array(counts[1:]) == count]
        assert (np.diff(of_count) >= 0).all()


def lists_of(scores: torch.Tensor, users: list[int], pairs: list[tuple[int, int]], length: int) -> TopKLists:
    """Return the lists of one batch; ``pairs`` are user ids and item ids."""
    lists = TopKLists(length)
    rows = torch.tensor([users.index(user) for user, _ in pairs], dtype=torch.long)
    lists.add(scores, torch.tensor(users), rows, torch.tensor([item for _, item in pairs], dtype=torch.long))
    return lists


# Items 1 and 2 are popular (group 0), 3 and 4 are not (group 1); user 3 gets 1, 3, 2 and user 1 gets 2, 1,
# and one masked item.
COUNTS = np.array([0, 9, 7, 2, 0])
GROUPS = np.array([-1, 0, 0, 1, 1])
SCORES = torch.tensor([[MASKED, 0.9, 0.3, 0.5, 0.1], [MASKED, 0.3, 0.9, MASKED, MASKED]])
PAIRS = [(3, 2), (1, 1), (3, 3), (3, 4), (1, 2)]


def columns(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def test_item_popularity_by_hand():
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    table = by_item_popularity(lists, columns(PAIRS), GROUPS, COUNTS, [1, 3])
    second = 1 / math.log2(3)
    assert table[0] == {
        "group": 0,
        "users": 2,
        "items": 2,
        "held_out": 3,
        "smallest_count": 7,
        "largest_count": 9,
        # user 3 wants item 2, in place 3 of all items; user 1 wants 1 and 2, in places 2 and 1
        "recall@1": (0 + 1 / 2) / 2,
        "recall@3": (1 + 1) / 2,
        "ndcg@1": 1 / 2,
        "ndcg@3": (1 / 2 + 1) / 2,
        "share@1": 1.0,
        "share@3": 4 / 5,
    }
    assert table[1] == {
        "group": 1,
        "users": 1,
        "items": 2,
        "held_out": 2,
        "smallest_count": 0,
        "largest_count": 2,
        # user 3 wants 3 and 4: one is in place 2
        "recall@1": 0.0,
        "recall@3": 1 / 2,
        "ndcg@1": 0.0,
        "ndcg@3": round(second / (1 + second), 6),
        "share@1": 0.0,
        "share@3": 1 / 5,
    }
    assert json.loads(json.dumps(table)) == table
    assert {type(value) for row in table for value in row.values()} == {int, float}


def test_time_by_hand():
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    start = 1_700_000_000  # seconds, which float32 cannot tell apart
    times = np.array([start + PAIRS.index(pair) for pair in PAIRS], float)
    table = by_time(lists, columns(PAIRS), times, 2, [3])
    first, second = PAIRS[:3], PAIRS[3:]  # five rows in two groups: 3 and 2
    for row, group in zip(table, (first, second), strict=True):
        ranks = {user: lists.items[place].tolist() for place, user in enumerate(lists.users)}
        wanted = {user: [item for one, item in group if one == user] for user, _ in group}
        found = [np.mean([item in ranks[user] for item in items]) for user, items in wanted.items()]
        assert (row["held_out"], row["users"]) == (len(group), len(wanted))
        assert row["recall@3"] == pytest.approx(np.mean(found), abs=1e-6)
    assert [(row["first_time"] - start, row["last_time"] - start) for row in table] == [(0, 2), (3, 4)]
    # A pair that is there again later, and rows in another order, change nothing.
    again = [*PAIRS[::-1], PAIRS[0]]
    assert by_time(lists, columns(again), np.append(times[::-1], start + 9.0), 2, [3]) == table
    assert by_time(lists, columns(PAIRS), times, 1, [3])[0]["held_out"] == 5
    assert json.loads(json.dumps(table)) == table


def test_rows_of_equal_times_keep_their_order():
    assert time_groups(np.array([5.0, 1.0, 5.0, 2.0, 5.0]), 2).tolist() == [0, 0, 1, 0, 1]


def test_a_group_in_which_nothing_is_held_out_is_left_out():
    pairs = [(3, 3), (1, 4)]
    lists = lists_of(SCORES, [3, 1], pairs, 2)
    table = by_item_popularity(lists, columns(pairs), GROUPS, COUNTS, [2])
    assert [(row["group"], row["users"], row["recall@2"]) for row in table] == [(1, 2, 0.5)]


def test_items_without_a_group_are_left_out():
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    table = by_item_popularity(lists, columns(PAIRS), np.array([-1, -1, 0, -1, -1]), COUNTS, [3])
    assert [(row["group"], row["items"], row["held_out"], row["share@3"]) for row in table] == [
        (0, 1, 2, 2 / 5)
    ]


def test_pairs_that_are_there_twice_count_once():
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    once, twice = (
        by_item_popularity(lists, columns(pairs), GROUPS, COUNTS, [3]) for pairs in (PAIRS, PAIRS * 2)
    )
    assert once == twice


@pytest.mark.parametrize("pairs", [PAIRS[:-1], [*PAIRS, (2, 1)], [*PAIRS, (9, 1)], [*PAIRS[:-1], (3, 1)], []])
def test_held_out_pairs_of_another_part_are_refused(pairs):
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    with pytest.raises(
        ValueError, match=f"held_out has {len(pairs)} distinct pairs, the lists were made for 5"
    ):
        by_item_popularity(lists, columns(pairs), GROUPS, COUNTS, [3])


def test_user_activity_by_hand():
    # Users 1 and 3 in group 0, user 2 without a training row, users 4 and 5 in group 1, of which 5 was not
    # evaluated.
    counts = np.array([0, 8, 0, 6, 2, 1])
    groups = user_groups(counts, 2)
    pairs = [(3, 2), (3, 3), (1, 1), (2, 1), (4, 4)]
    scores = torch.tensor([[MASKED, 0.9, 0.3, 0.5, 0.1]] * 4)
    lists = lists_of(scores, [3, 1, 2, 4], pairs, 2)  # all get 1, 3
    table = by_user_activity(lists, groups, counts, [1, 2])
    second = 1 / math.log2(3)
    assert table == [
        {
            "group": 0,
            "users": 2,
            "members": 2,
            "held_out": 3,
            "smallest_count": 6,
            "largest_count": 8,
            "recall@1": 0.5,
            "recall@2": 0.75,
            "ndcg@1": 0.5,
            "ndcg@2": round((second / (1 + second) + 1) / 2, 6),
        },
        {
            "group": 1,
            "users": 1,
            "members": 2,
            "held_out": 1,
            "smallest_count": 1,
            "largest_count": 2,
            "recall@1": 0.0,
            "recall@2": 0.0,
            "ndcg@1": 0.0,
            "ndcg@2": 0.0,
        },
    ]
    assert json.loads(json.dumps(table)) == table
    assert {type(value) for row in table for value in row.values()} == {int, float}


def test_nobody_evaluated_gives_no_rows():
    lists = TopKLists(3)
    assert by_item_popularity(lists, columns([]), GROUPS, COUNTS, [3]) == []
    assert by_user_activity(lists, np.array([-1, 0]), np.array([0, 1]), [3]) == []


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_groups_add_up_to_the_whole(seed, n_groups):
    draw, n_users, n_items = np.random.default_rng(seed), 7, 9
    counts, activity = draw.integers(0, 5, n_items), draw.integers(0, 3, n_users + 1)
    users, items = (draw.permutation(n_users)[:4] + 1).tolist(), range(1, n_items)
    pairs = [(user, item) for user in users for item in items if draw.random() < 0.3] or [(users[0], 1)]
    scores = torch.from_numpy(draw.random((4, n_items)))
    scores[:, 0] = MASKED
    lists = lists_of(scores, users, pairs, 5)
    table = by_item_popularity(lists, columns(pairs), item_groups(counts, n_groups), counts, [2, 5])
    assert sum(row["held_out"] for row in table) == len(pairs) == lists.positives.sum()
    assert sum(row["share@5"] for row in table) <= 1 + 1e-5
    for row in table:
        assert row["users"] > 0 and row["items"] > 0 and row["smallest_count"] <= row["largest_count"]
        assert all(0 <= row[name] <= 1 for name in row if "@" in name)
    found = sum(row["recall@5"] * row["users"] for row in table)
    assert (found > 0) == bool(lists.hits.any())
    groups = user_groups(activity, n_groups)
    by_user = by_user_activity(lists, groups, activity, [5])
    grouped = groups[lists.users] >= 0
    assert sum(row["users"] for row in by_user) == grouped.sum()
    assert sum(row["held_out"] for row in by_user) == lists.positives[grouped].sum()
    total = sum(row["ndcg@5"] * row["users"] for row in by_user)
    assert total == pytest.approx(lists.metric("ndcg", 5)[grouped].sum(), abs=1e-4)


def test_one_group_is_the_ordinary_metric():
    lists = lists_of(SCORES, [3, 1], PAIRS, 3)
    (items,) = by_item_popularity(lists, columns(PAIRS), item_groups(COUNTS, 1), COUNTS, [2, 3])
    (users,) = by_user_activity(lists, np.zeros(4, int), np.ones(4, int), [2, 3])
    for k in (2, 3):
        for table in (items, users):
            assert table[f"recall@{k}"] == pytest.approx(lists.metric("recall", k).mean(), abs=1e-6)
            assert table[f"ndcg@{k}"] == pytest.approx(lists.metric("ndcg", k).mean(), abs=1e-6)
        assert items[f"share@{k}"] == 1.0
