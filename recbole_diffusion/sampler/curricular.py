"""Curricular negatives (CCDRec, section "Curricular Negative Sampler"): items near the positive in a pool of item vectors."""

import math

import torch
from torch import Tensor

from recbole_diffusion.sampler.positives import UserItems


def curriculum_step(epoch: int, steps: int, interval: int) -> int:
    """Return the diffusion step of the pool of an epoch, (T / 4)(3 - min(3, floor(n / interval))) of Eq. 7, rounded down.

    Args:
        epoch: n, from 0.
        steps: T.
        interval: epochs between two pools.
    """
    return steps * (3 - min(3, epoch // interval)) // 4


@torch.no_grad()
def curricular_negatives(
    pool: Tensor,
    items: Tensor,
    users: Tensor,
    positives: UserItems,
    *,
    candidate_share: float,
    top_share: float,
    candidate_limit: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one negative a row among the candidates nearest to the positive.

    A share of the items is drawn as candidates, once for the batch. Those that the row's user has are left out; of the rest, the
    ``top_share`` with the largest inner product with the positive are kept, and one of them is drawn.

    Args:
        pool: item vectors, [n_items, d], row 0 the padding item.
        items: positive items, long [batch].
        users: whose positives, long [batch].
        positives: the training positives.
        candidate_share: of the items that are candidates, in (0, 1].
        top_share: of the candidates that may be drawn, in (0, 1].
        candidate_limit: candidates at most. More candidates than some hundreds change only how finely the share is measured.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [batch]. A user who has every candidate gets one of the candidates that is nearest all the same: no
        catalogue of more items than a user has leads there.
    """
    device, n_real = pool.device, len(pool) - 1
    count = max(1, min(candidate_limit, math.ceil(candidate_share * n_real)))
    candidates = torch.randperm(n_real, generator=generator, device=device)[:count] + 1
    distinct, where = torch.unique(items, return_inverse=True)
    similarity = (pool[distinct] @ pool[candidates].T)[where]  # [batch, count]
    similarity.masked_fill_(~positives.lacks(users, candidates), -torch.inf)
    best = similarity.topk(max(1, math.floor(top_share * count)), dim=1)
    usable = (best.values > -torch.inf).sum(1).clamp(min=1)
    drawn = (torch.rand(len(items), generator=generator, device=device) * usable).long().clamp(max=usable - 1)
    return candidates[best.indices.gather(1, drawn[:, None]).squeeze(1)]
