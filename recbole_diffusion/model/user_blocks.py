"""Vectors of users that are computed in fixed blocks and kept until the weights change; noise of a user.

Where scoring draws noise, a user's noise must not depend on the batch that asks for the user. So users are
computed in blocks of consecutive ids, and each block has a seed of its own; or, where a model of RecBole
draws the noise itself, each user has one.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

USER_BLOCK = 1024  # users computed together
KEPT = 2**26  # numbers that are kept between two evaluations of the same weights: 256 MB of float32


def noise_seed(seed: int, number: int) -> int:
    """Return the seed of the scoring noise of one block, or of one user, of a run with ``seed``."""
    return seed * 1_000_003 + number


def generators_of(users: Tensor, seed: int) -> list[torch.Generator]:
    """Return a generator for each user, long [batch], of a run with ``seed``."""
    return [torch.Generator().manual_seed(noise_seed(seed, user)) for user in users.tolist()]


class RowNoise(TorchFunctionMode):
    """Within it ``torch.randn_like`` of a table with a row a user draws each row by the user's own generator.

    Args:
        users: ids of the rows, long [batch].
        seed: of the run.
    """

    def __init__(self, users: Tensor, seed: int) -> None:
        super().__init__()
        self.generators = generators_of(users, seed)

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function is not torch.randn_like:
            return function(*args, **(kwargs or {}))
        like = args[0]
        rows = [torch.randn(like.shape[1:], generator=one, dtype=like.dtype) for one in self.generators]
        return torch.stack(rows).to(like.device)


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


class KeptUsers:
    """Vectors of users and a number for each, computed when first asked for; kept where all users' have room.

    Args:
        n_users: number of user ids.
        width: of a vector.
        compute: from user ids, long [batch], to vectors [batch, width] and numbers [batch].
    """

    def __init__(self, n_users: int, width: int, compute: Callable[[Tensor], tuple[Tensor, Tensor]]) -> None:
        self.n_users, self.keeps, self.compute = n_users, n_users * width <= KEPT, compute
        self.forget()

    def forget(self) -> None:
        """Drop all; the weights are about to change."""
        self._kept: tuple[Tensor, Tensor] | None = None
        self._done = torch.zeros(self.n_users, dtype=torch.bool)

    def gather(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors of users, [batch, width], and their numbers, [batch]."""
        if not self.keeps:
            return self.compute(users)
        asked = users.cpu()
        new = torch.unique(asked[~self._done[asked]])
        if len(new) or self._kept is None:
            vectors, numbers = self.compute(new.to(users.device))
            if self._kept is None:
                shape = self.n_users, vectors.shape[1]
                self._kept = vectors.new_empty(shape), numbers.new_empty(self.n_users)
            self._kept[0][new], self._kept[1][new] = vectors, numbers
            self._done[new] = True
        return self._kept[0][users], self._kept[1][users]


def checksum(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """Return a number for the content of each tensor, which also changes where values change places."""
    return tuple(
        zlib.crc32(one.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data) for one in tensors
    )
