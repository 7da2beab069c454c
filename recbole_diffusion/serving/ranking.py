"""The best items of each user, block by block: memory depends on the block, not on the number of users."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from recbole_diffusion.data.valid_shift import LEARNED, test_names
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.model.user_blocks import noise_seed
from recbole_diffusion.serving.histories import NewUsers
from recbole_diffusion.serving.scoring import FindForHistories, FindForUsers

CELLS, LARGEST = 2**24, 1024  # maximum of a block: cells (users x items, 4 bytes each), and users
EXCLUDED = ("all", "history", "none")


@dataclass(frozen=True)
class RecommendationBlock:
    """The recommended items of a block of users.

    Attributes:
        start: index of the block's first user among those asked for.
        items: item numbers from the first place to the last, int64 [block, k]; 0 where no items are left.
        scores: float32 [block, k].
    """

    start: int
    items: np.ndarray
    scores: np.ndarray


def check_k(k: int, n_items: int) -> None:
    """Raise UsageError if a list of ``k`` would be longer than the catalogue of ``n_items``."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= n_items:
        raise UsageError(
            f"k is {k!r}, but the run's data set has {counted(n_items, 'item')}; it takes 1 to {n_items}"
        )


def check_exclude(exclude: str) -> None:
    """Raise UsageError if ``exclude`` is not one of EXCLUDED."""
    if exclude not in EXCLUDED:
        raise UsageError(f"exclude is {exclude!r}; it takes {', '.join(EXCLUDED)}")


def seen_items(parts: Mapping[str, Any], exclude: str, repeatable: bool = False) -> sp.csr_matrix | None:
    """Return the pairs to leave out of the lists, bool CSR [n_users, n_items]; None for none.

    Args:
        parts: the parts of the run's data by name.
        exclude: ``all`` interactions of the data set; ``history``, what the run's own test left out (train
            and valid without the pairs of the first test part, or nothing if the run is ``repeatable``); or
            ``none``.
        repeatable: whether the run ranks a user's earlier items too.

    Raises:
        UsageError: ``exclude`` is something else.
    """
    check_exclude(exclude)
    if exclude == "all":
        return pairs_of(parts, list(parts))
    if exclude == "none" or repeatable:
        return None
    learned = [name for name in parts if name in LEARNED]
    return pairs_of(parts, learned) > pairs_of(parts, test_names(list(parts))[:1])


def pairs_of(parts: Mapping[str, Any], names: list[str]) -> sp.csr_matrix:
    """Return the pairs of some parts, bool CSR [n_users, n_items]."""
    train = parts["train"]
    users, items = (
        np.concatenate(
            [np.zeros(0, np.int64), *(np.asarray(parts[name].inter_feat[field]) for name in names)]
        )
        for field in (train.uid_field, train.iid_field)
    )
    seen = sp.csr_matrix((np.ones(len(users), bool), (users, items)), (train.user_num, train.item_num))
    seen.sum_duplicates()
    return seen


def block_size(n_items: int) -> int:
    """Return the number of users to rank together."""
    return min(LARGEST, max(1, CELLS // n_items))


def rank_users(
    find: FindForUsers, users: np.ndarray, k: int, seen: sp.csr_matrix | None, device: Any, size: int
) -> Iterator[RecommendationBlock]:
    """Yield the lists of known users, by block.

    Args:
        find: the model's function from :func:`~recbole_diffusion.serving.scoring.finder_for_users`.
        users: internal numbers, int64 [n].
        k: length of a list.
        seen: pairs to leave out, from :func:`seen_items`.
        device: the model's device.
        size: users per block.

    Raises:
        RunError: a score is not finite.
    """
    for start in range(0, len(users), size):
        some = users[start : start + size]
        cells = None if seen is None else _cells(seen, some, device)
        yield _lists(start, *find(torch.from_numpy(some).to(device), k, cells))


def rank_new(
    find: FindForHistories, users: NewUsers, k: int, leave_out: bool, seed: int, device: Any, size: int
) -> Iterator[RecommendationBlock]:
    """Yield the lists of new users, by block; ``leave_out`` their histories; see :func:`rank_users`."""
    for start in range(0, len(users), size):
        block = users.block(start, min(start + size, len(users)), device)
        cells = (block.rows, block.items) if leave_out else None
        yield _lists(start, *find(block, noise_seed(seed, start), k, cells))


def _cells(seen: sp.csr_matrix, users: np.ndarray, device: Any) -> tuple[Tensor, Tensor]:
    """Return rows of the block and numbers of the items that its users have seen, long [cells] each."""
    part = seen[users]
    rows = np.repeat(np.arange(len(users)), np.diff(part.indptr))
    return torch.from_numpy(rows).to(device), torch.from_numpy(part.indices.astype(np.int64)).to(device)


def _lists(start: int, values: Tensor, items: Tensor) -> RecommendationBlock:
    if torch.isnan(values).any() or torch.isposinf(values).any():
        raise RunError(
            "the model gives scores that are not finite; its training has diverged, use another run"
        )
    items = items.masked_fill(values == -torch.inf, 0)
    return RecommendationBlock(start, items.cpu().numpy(), values.float().cpu().numpy())
