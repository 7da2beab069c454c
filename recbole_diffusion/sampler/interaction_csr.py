"""CSR index of each user's training items: histories of a batch, masks, membership."""

from typing import Any, Self

import torch
from torch import Tensor, nn


class InteractionCSR(nn.Module):
    """The items of each user in compressed rows; moves with the model, stays out of checkpoints.

    Args:
        offsets: long [n_users + 1], where each user's items begin.
        items: long [n_interactions], item ids, ascending within a user.
        n_items: number of item ids, the padding id 0 included.
    """

    offsets: Tensor
    items: Tensor
    keys: Tensor  # user * n_items + item of each interaction, ascending

    def __init__(self, offsets: Tensor, items: Tensor, n_items: int) -> None:
        super().__init__()
        self.n_items = n_items
        self.register_buffer("offsets", offsets.long(), persistent=False)
        self.register_buffer("items", items.long(), persistent=False)
        counts = offsets[1:] - offsets[:-1]
        # Ascending without sorting, as users are and the items of each.
        users = torch.repeat_interleave(torch.arange(len(counts)), counts)
        self.register_buffer("keys", users * n_items + items.long(), persistent=False)

    @classmethod
    def from_scipy(cls, matrix: Any) -> Self:
        """Return the index of a scipy CSR matrix [n_users, n_items] of sorted columns; values are ignored."""
        return cls(torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices), matrix.shape[1])

    def counts(self, users: Tensor) -> Tensor:
        """Return how many items each user has: long [batch]."""
        return self.offsets[users + 1] - self.offsets[users]

    def gather(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the items of a batch of users.

        Args:
            users: long [batch], repeats allowed.

        Returns:
            items [total], the users' items one after the other; starts [batch], where each user's begin; rows
            [total], the position in the batch of each item's user.
        """
        places, starts, rows = self.places(users)
        return self.items[places], starts, rows

    def places(self, users: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where in ``items`` those are that :meth:`gather` returns, long [total], for columns beside.

        The other two are starts and rows, as there.
        """
        counts = self.counts(users)
        # In the result: each user's items begin where the user's before end.
        ends = counts.cumsum(0)
        starts = ends - counts
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        # 0, 1, ... within each user, [total].
        within = torch.arange(len(rows), device=users.device) - starts[rows]
        return self.offsets[users][rows] + within, starts, rows

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Return whether each pair (users[k], items[k]) is a positive, bool, by binary search."""
        wanted = users * self.n_items + items  # one number for each pair; ``keys`` has those of all positives
        # Where the pair is if it is a positive; a place after the last key is clamped, and does not match.
        place = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
        return self.keys[place] == wanted

    def lacks(self, users: Tensor, candidates: Tensor) -> Tensor:
        """Return bool [batch, candidates], False where the candidate is one of the row's positives.

        Args:
            users: long [batch].
            candidates: distinct item ids, long [candidates].
        """
        # Position of each item among the candidates, -1 for others; [n_items], not [batch, n_items].
        place = torch.full((self.n_items,), -1, device=candidates.device)
        place[candidates] = torch.arange(len(candidates), device=candidates.device)
        items, _, rows = self.gather(users)
        # Cells of the row's positives that are candidates.
        columns = place[items]
        inside = columns >= 0
        lacking = torch.ones(len(users), len(candidates), dtype=torch.bool, device=candidates.device)
        lacking[rows[inside], columns[inside]] = False
        return lacking
