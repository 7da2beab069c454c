"""The group report of one run: whom a model serves, by the popularity of items and the activity of users."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_diffusion.evaluation.groups import by_item_popularity, by_user_activity, item_groups, user_groups
from recbole_diffusion.evaluation.lists import TopLists


def group_report(
    lists: TopLists, train: Any, held_out: Any, n_groups: int, topk: Sequence[int]
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
        group first.
    """
    uid, iid = train.uid_field, train.iid_field
    of_items = np.bincount(train.inter_feat[iid].numpy(), minlength=train.item_num)
    of_users = np.bincount(train.inter_feat[uid].numpy(), minlength=train.user_num)
    pairs = held_out.inter_feat[uid].numpy(), held_out.inter_feat[iid].numpy()
    return {
        "item_popularity": by_item_popularity(lists, pairs, item_groups(of_items, n_groups), of_items, topk),
        "user_activity": by_user_activity(lists, user_groups(of_users, n_groups), of_users, topk),
    }
