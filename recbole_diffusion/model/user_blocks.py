"""Vectors of users that are computed in fixed blocks and kept until the weights change.

Where scoring draws noise, a user's noise must not depend on the batch that asks for the user. So users are
computed in blocks of consecutive ids, and each block has a seed of its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor

USER_BLOCK = 1024  # users computed together


def noise_seed(seed: int, number: int) -> int:
    """Return the seed of the scoring noise of one block, or of one user, of a run with ``seed``."""
    return seed * 1_000_003 + number


class UserBlocks:
    """A table of user vectors that fills itself block by block.

    Args:
        n_users: number of user ids.
        width: of a vector.
        compute: from consecutive user ids, long [block], and the number of the block to vectors [block,
            width].
    """

    def __init__(self, n_users: int, width: int, compute: Callable[[Tensor, int], Tensor]) -> None:
        self.n_users, self.width, self.compute = n_users, width, compute
        self.forget()

    def forget(self) -> None:
        """Drop all vectors; the weights are about to change."""
        self._table: Tensor | None = None
        self._done = torch.zeros(-(-self.n_users // USER_BLOCK), dtype=torch.bool)

    def gather(self, users: Tensor) -> Tensor:
        """Return the vectors of users, [batch, width]; blocks that none of them is in are not computed."""
        # Only the blocks that the users are in, and of these the ones that are missing.
        blocks = torch.unique(users // USER_BLOCK).cpu()
        for block in blocks[~self._done[blocks]].tolist():
            stop = min((block + 1) * USER_BLOCK, self.n_users)
            # The whole block, whoever asks: its noise is that of the block.
            ids = torch.arange(block * USER_BLOCK, stop, device=users.device)
            # [block, width], kept in the table of all users.
            found = self.compute(ids, block)
            if self._table is None:
                self._table = found.new_zeros(self.n_users, self.width)
            self._table[ids] = found
            self._done[block] = True
        return torch.zeros(0, self.width, device=users.device) if self._table is None else self._table[users]
