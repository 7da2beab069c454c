"""The order of the filters: positives, distinct pairs, users, items, once each."""

import numpy as np

from recbole_diffusion.prepare.interactions import InteractionCollector, filtered


def collected(rows):
    """Return interactions from (user, item, time[, exposed])."""
    collector = InteractionCollector()
    for row in rows:
        collector.add(*row)
    collector.read = len(rows) + 7
    return collector.finish()


def left(found):
    return [
        (found.user_tokens[user], found.item_tokens[item], time)
        for user, item, time in zip(found.users, found.items, found.time, strict=True)
    ]


def test_users_are_counted_before_items_and_once():
    rows = [
        ("a", "1", 1),
        ("a", "2", 2),
        ("a", "3", 3),
        ("b", "1", 4),
        ("b", "2", 5),
        ("c", "3", 6),
        ("c", "4", 7),
        ("d", "3", 8),
    ]
    found, steps, _ = filtered(collected(rows), min_user=2, min_item=2, by_time=True)
    # d goes, so that 3 keeps two rows; 4 goes, so that c is left with one row and stays.
    assert left(found) == [(user, item, time) for user, item, time in rows if user != "d" and item != "4"]
    assert steps == {
        "rows_read": 15,
        "positive_rows": 8,
        "distinct_pairs": 8,
        "after_min_user": 7,
        "after_min_item": 6,
    }


def test_an_item_is_counted_without_the_users_that_went():
    rows = [("a", "1", 1), ("a", "2", 2), ("b", "1", 3), ("b", "2", 4), ("c", "1", 5)]
    found, *_ = filtered(collected(rows), min_user=2, min_item=3, by_time=True)
    assert len(found) == 0  # 1 had three rows, one of c


def test_a_repeated_pair_counts_once():
    rows = [("a", "1", 9), ("a", "1", 2), ("a", "2", 5), ("b", "1", 1), ("b", "2", 1), ("b", "3", 1)]
    latest, steps, dropped = filtered(collected(rows), min_user=3, min_item=1, by_time=True)
    assert left(latest) == [("b", "1", 1), ("b", "2", 1), ("b", "3", 1)]
    assert steps["distinct_pairs"] == 5
    assert dropped == {"duplicate_pairs": 1, "pairs_of_exposed": 0, "exposed_unseen": 0}
    assert left(filtered(collected(rows), 2, 2, by_time=True)[0])[0] == ("a", "1", 9)
    assert left(filtered(collected([*rows, ("a", "1", 30)]), 2, 2, by_time=True)[0])[1] == ("b", "1", 1)
    assert left(filtered(collected([*rows, ("a", "1", 30)]), 2, 2, by_time=False)[0])[0] == ("a", "1", 9)


def test_exposed_rows_are_neither_counted_nor_removed():
    rows = [
        ("a", "1", 1),
        ("a", "2", 1),
        ("b", "1", 1),
        ("b", "2", 1),
        ("c", "1", 1),
        ("c", "2", 9, True),
        ("a", "3", 9, True),
    ]
    rows += [("d", "3", 1), ("d", "1", 1)]
    found, *_ = filtered(collected(rows), min_user=2, min_item=2, by_time=False)
    assert left(found) == [
        ("a", "1", 1),
        ("a", "2", 1),
        ("b", "1", 1),
        ("b", "2", 1),
        ("c", "2", 9),
        ("a", "3", 9),
        ("d", "1", 1),
    ]
    np.testing.assert_array_equal(found.exposed, [False, False, False, False, True, True, False])


def test_nothing_is_filtered_without_limits():
    rows = [("a", "1", 1), ("b", "2", 2)]
    assert left(filtered(collected(rows), 0, 0, by_time=False)[0]) == rows


def test_no_rows_at_all():
    found, steps, _ = filtered(collected([]), 2, 2, by_time=True)
    assert len(found) == 0
    assert steps["after_min_item"] == 0
