"""Histories of users for folding in, from columns of interactions."""

import torch
from torch import Tensor

from recbole_diffusion.model.base import FoldInHistories


def histories_of(users: Tensor, items: Tensor, ratings: Tensor | None, asked: list[int]) -> FoldInHistories:
    """Return the histories of some users.

    Args:
        users: long [rows], of each interaction.
        items: long [rows].
        ratings: float [rows], or None.
        asked: whose histories, in this order; one without interactions has an empty history.
    """
    of_each = [torch.nonzero(users == user).flatten() for user in asked]
    chosen = torch.cat([rows[items[rows].argsort()] for rows in of_each])
    counts = torch.tensor([len(rows) for rows in of_each], device=items.device)
    owners = torch.repeat_interleave(torch.arange(len(asked), device=items.device), counts)
    starts = counts.cumsum(0) - counts
    return FoldInHistories(items[chosen], starts, owners, None if ratings is None else ratings[chosen])
