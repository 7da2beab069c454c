"""Metrics by group: items by popularity, users by activity, held-out rows by time.

An average over all users hides which of them a model serves well. Groups are made from training counts, or
from the times of the held-out rows; the padding id 0 belongs to none.

Longer than most files: the three kinds of groups, who is in them and their metrics, beside each other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_diffusion.data.grouping import distinct
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.lists import TopKLists, ndcg, recall

NO_GROUP = -1
DIGITS = 6


def group_report(
    lists: TopKLists, train: Any, held_out: Any, n_groups: int, topk: Sequence[int]
) -> dict[str, Any]:
    """Return metrics by group for one evaluated part.

    Args:
        lists: the ranked items of the part's users.
        train: data set of the training part; its counts make the groups.
        held_out: data set of the evaluated part.
        n_groups: number of groups of each kind.
        topk: cut-offs.

    Returns:
        ``item_popularity`` and ``user_activity``, lists of plain dictionaries, the most popular or active
        group first; and where the part has its ``times``, ``interaction_time``, the earliest first.
    """
    uid, iid = train.uid_field, train.iid_field
    # Training rows of each item and user, [n_items] and [n_users].
    of_items = np.bincount(train.inter_feat[iid].numpy(), minlength=train.item_num)
    of_users = np.bincount(train.inter_feat[uid].numpy(), minlength=train.user_num)
    pairs = held_out.inter_feat[uid].numpy(), held_out.inter_feat[iid].numpy()
    times = getattr(held_out, "times", None)
    groups = {} if times is None else {"interaction_time": by_time(lists, pairs, times, n_groups, topk)}
    return groups | {
        "item_popularity": by_item_popularity(lists, pairs, item_groups(of_items, n_groups), of_items, topk),
        "user_activity": by_user_activity(lists, user_groups(of_users, n_groups), of_users, topk),
    }


def item_groups(counts: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the group of each item, 0 the most popular; sizes of groups differ by at most one item.

    Items are ranked by training count, equal counts by id. Items without a training row are in the last
    groups.

    Args:
        counts: training rows of each item, [n_items]; the padding item at index 0.
        n_groups: number of groups; with fewer items than groups, the last groups are empty.

    Returns:
        [n_items] int64, -1 for the padding item.

    Raises:
        UsageError: ``n_groups`` is less than 1.
    """
    return _groups(np.asarray(counts, np.int64), np.arange(1, len(counts)), n_groups)


def user_groups(counts: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the group of each user, [n_users] int64, 0 the most active, -1 without a training row."""
    counts = np.asarray(counts, np.int64)
    return _groups(counts, 1 + np.flatnonzero(counts[1:] > 0), n_groups)


def _groups(counts: np.ndarray, members: np.ndarray, n_groups: int) -> np.ndarray:
    if n_groups < 1:
        raise UsageError(f"the number of groups is {n_groups!r}; it takes a whole number from 1")
    # Largest count first; a stable sort leaves equal counts in the order of ids.
    ranked = members[np.argsort(-counts[members], kind="stable")]
    found = np.full(len(counts), NO_GROUP, np.int64)
    for group, ids in enumerate(np.array_split(ranked, n_groups)):
        found[ids] = group
    return found


def by_item_popularity(
    lists: TopKLists,
    held_out: tuple[np.ndarray, np.ndarray],
    group_of_item: np.ndarray,
    counts: np.ndarray,
    topk: Sequence[int],
) -> list[dict[str, Any]]:
    """Return the metrics of each group of items, where only the held-out items of the group are relevant.

    The ranking is over all items. recall@k and ndcg@k are averaged over the users who have a held-out item in
    the group; share@k is the group's share of all items recommended to all users, to compare with its share
    of ``items`` and ``held_out``. A group without held-out items is left out, and so are items without a
    group.

    Args:
        lists: the ranked items.
        held_out: user ids and item ids of the ranked part, [rows] each; duplicate pairs count once.
        group_of_item: [n_items], from :func:`item_groups`.
        counts: training rows of each item, [n_items].
        topk: cut-offs.

    Returns:
        Plain dictionaries: ``group``, ``users`` and ``held_out`` (averaged over), ``items`` (of the group),
        ``smallest_count`` and ``largest_count`` (of the group's items), then recall, ndcg and share by k.

    Raises:
        ValueError: ``held_out`` is not what ``lists`` were made for.
    """
    rows, items = _distinct_pairs(lists, held_out, len(group_of_item))
    # Group of each held-out pair, [pairs], and of each listed item, [n, K].
    groups_held_out, groups_listed = group_of_item[items], group_of_item[lists.items]
    # Places that hold an item, 1 at least, by which the shares are divided.
    slots = {k: max(int(np.count_nonzero(lists.items[:, :k])), 1) for k in topk}
    table = []
    for group in np.unique(groups_held_out[groups_held_out != NO_GROUP]).tolist():
        # Held-out items of the group by list, [n]; only users with one are averaged over.
        positives = np.bincount(rows[groups_held_out == group], minlength=len(lists))
        users, of_group, listed = positives > 0, group_of_item == group, groups_listed == group
        size = {
            "group": group,
            "users": int(users.sum()),
            "items": int(of_group.sum()),
            "held_out": int(positives.sum()),
            **_count_range(counts[of_group]),
        }
        # Hits of other groups do not count, and the ideal ranking knows this group alone.
        metrics = _means((lists.hits & listed)[users], positives[users], topk)
        shares = {f"share@{k}": round(int(listed[:, :k].sum()) / slots[k], DIGITS) for k in topk}
        table.append({**size, **metrics, **shares})
    return table


def time_groups(times: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the group of each row by its time, [rows] int64, 0 the earliest; sizes differ by at most one.

    Rows of equal times are in the order in which they are given.

    Args:
        times: [rows].
        n_groups: number of groups.

    Raises:
        UsageError: ``n_groups`` is less than 1.
    """
    return _groups(-times, np.arange(len(times)), n_groups)


def by_time(
    lists: TopKLists,
    held_out: tuple[np.ndarray, np.ndarray],
    times: np.ndarray,
    n_groups: int,
    topk: Sequence[int],
) -> list[dict[str, Any]]:
    """Return the metrics of each group of held-out rows by time, where only those of the group are relevant.

    Args:
        lists: the ranked items.
        held_out: user ids and item ids of the ranked part, [rows] each; a pair that is there twice counts
            once, at its first time.
        times: of these rows, [rows].
        n_groups: number of groups of equal size, the earliest first.
        topk: cut-offs.

    Returns:
        Plain dictionaries: ``group``, ``users`` and ``held_out`` (averaged over), ``first_time`` and
        ``last_time``, then recall and ndcg by k.

    Raises:
        ValueError: ``held_out`` is not what ``lists`` were made for.
    """
    n_items = int(max(np.max(held_out[1], initial=0), lists.items.max(initial=0))) + 1
    _distinct_pairs(lists, held_out, n_items)  # raises
    order = np.argsort(times, kind="stable")
    # Each distinct pair, ascending, with its first row in time; [pairs].
    cells, first = np.unique(_cells(lists, held_out, n_items)[order], return_index=True)
    when = times[order][first]
    group_of_pair = time_groups(when, n_groups)
    # Group of each listed item, [n, K]; of one that is not held out it means nothing, but that is no hit.
    listed = np.arange(len(lists))[:, None] * n_items + lists.items
    group_listed = group_of_pair[np.minimum(np.searchsorted(cells, listed), len(cells) - 1)]
    table = []
    for group in np.unique(group_of_pair).tolist():
        inside = group_of_pair == group
        positives = np.bincount(cells[inside] // n_items, minlength=len(lists))
        users = positives > 0
        size = {
            "group": group,
            "users": int(users.sum()),
            "held_out": int(inside.sum()),
            "first_time": float(when[inside].min()),
            "last_time": float(when[inside].max()),
        }
        hits = lists.hits & (group_listed == group)
        table.append({**size, **_means(hits[users], positives[users], topk)})
    return table


def by_user_activity(
    lists: TopKLists, group_of_user: np.ndarray, counts: np.ndarray, topk: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the ordinary metrics averaged within groups of users.

    A group without evaluated users is left out, and so are users without a group.

    Args:
        lists: the ranked items.
        group_of_user: [n_users], from :func:`user_groups`.
        counts: training rows of each user, [n_users].
        topk: cut-offs.

    Returns:
        Plain dictionaries: ``group``, ``users`` and ``held_out`` (averaged over), ``members`` (users of the
        group, evaluated or not), ``smallest_count`` and ``largest_count`` (of the members), then recall and
        ndcg by k.
    """
    groups = group_of_user[lists.users]
    table = []
    for group in np.unique(groups[groups != NO_GROUP]).tolist():
        users, members = groups == group, group_of_user == group
        size = {
            "group": group,
            "users": int(users.sum()),
            "members": int(members.sum()),
            "held_out": int(lists.positives[users].sum()),
            **_count_range(counts[members]),
        }
        table.append({**size, **_means(lists.hits[users], lists.positives[users], topk)})
    return table


def _cells(lists: TopKLists, held_out: tuple[np.ndarray, np.ndarray], n_items: int) -> np.ndarray:
    """Return one number for each held-out row, [rows]: its user's place in ``lists`` times n_items + item."""
    users, items = (np.asarray(column, np.int64) for column in held_out)
    # Place in ``lists`` of each user id, -1 for a user without a list.
    place = np.full(max(users.max(initial=0), lists.users.max(initial=0)) + 1, -1)
    place[lists.users] = np.arange(len(lists))
    return place[users] * n_items + items


def _distinct_pairs(
    lists: TopKLists, held_out: tuple[np.ndarray, np.ndarray], n_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the place in ``lists`` and the item of each distinct held-out pair."""
    # A pair that is there twice counts once.
    cells = distinct(_cells(lists, held_out, n_items))
    rows, items = cells // n_items, cells % n_items
    if (rows < 0).any() or not np.array_equal(np.bincount(rows, minlength=len(lists)), lists.positives):
        raise ValueError(
            f"held_out has {len(rows)} distinct pairs, the lists were made for {lists.positives.sum()} or "
            "for other users; give the pairs of the part that was ranked"
        )
    return rows, items


def _count_range(counts: np.ndarray) -> dict[str, int]:
    return {"smallest_count": int(counts.min()), "largest_count": int(counts.max())}


def _means(hits: np.ndarray, positives: np.ndarray, topk: Sequence[int]) -> dict[str, float]:
    """Return recall and ndcg at each k, averaged over the rows of ``hits`` [n, K], n at least 1."""
    pairs = (("recall", recall), ("ndcg", ndcg))
    return {
        f"{name}@{k}": round(float(metric(hits, positives, k).mean()), DIGITS)
        for name, metric in pairs
        for k in topk
    }
