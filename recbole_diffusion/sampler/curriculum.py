"""Curricular negatives (CCDRec, "Curricular Negative Sampler"): items near the positive in a pool."""

import math

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

DRAWS = 32  # from the kept candidates, before a user counts as having all of them
BLOCK = 1024  # items that share a draw of candidates


def curriculum_step(epoch: int, steps: int, interval: int) -> int:
    """Return the diffusion step of an epoch's pool, (T / 4)(3 - min(3, floor(n / interval))) of Eq. 7.

    Args:
        epoch: n, from 0.
        steps: T.
        interval: epochs between two pools.
    """
    return steps * (3 - min(3, epoch // interval)) // 4


@torch.no_grad()
def nearest_candidates(
    pool: Tensor,
    *,
    candidate_ratio: float,
    top_ratio: float,
    candidate_limit: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return for each item the candidates that are nearest to it in a pool.

    A part of the items is drawn as candidates, anew for each block of 1,024 items; the ``top_ratio`` of them
    with the largest inner product with an item are kept. An item can be its own candidate: users who have it
    do not get it, see :func:`curricular_negatives`.

    Args:
        pool: item vectors, [n_items, d], row 0 the padding item.
        candidate_ratio: of the items that are candidates, in (0, 1].
        top_ratio: of the candidates that are kept, in (0, 1].
        candidate_limit: maximum number of candidates. More than some hundreds change only how finely the
            ratio is measured.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [n_items, kept].
    """
    n_real = len(pool) - 1
    count = max(1, min(candidate_limit, math.ceil(candidate_ratio * n_real)))
    top = max(1, math.floor(top_ratio * count + 1e-9))  # 0.1 * 30 is 2.999... in floating point
    found = []
    for block in pool.split(BLOCK):
        # Ids from 1, without replacement, for all items of the block.
        candidates = torch.randperm(n_real, generator=generator, device=pool.device)[:count] + 1
        # [block, count] inner products; ids of the largest, [block, top].
        found.append(candidates[(block @ pool[candidates].T).topk(top, dim=1, sorted=False).indices])
    return torch.cat(found)


@torch.no_grad()
def curricular_negatives(
    nearest: Tensor,
    items: Tensor,
    users: Tensor,
    positives: InteractionCSR,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one negative for each row among the positive's nearest candidates, except items of the row's user.

    Args:
        nearest: of each item, long [n_items, kept], from :func:`nearest_candidates`.
        items: positive items, long [batch].
        users: the user of each row, long [batch].
        positives: the training positives.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [batch]; a uniform negative where the user seems to have every kept candidate.

    Raises:
        ValueError: a user has every item.
    """
    drawn = torch.empty_like(items)
    open_rows = torch.arange(len(items), device=items.device)
    for _ in range(DRAWS):
        # Any of the kept candidates of the row's positive, long [open].
        place = torch.randint(nearest.shape[1], open_rows.shape, generator=generator, device=items.device)
        drawn[open_rows] = nearest[items[open_rows], place]
        # Rows stay open whose user has the item.
        open_rows = open_rows[positives.contains(users[open_rows], drawn[open_rows])]
        if len(open_rows) == 0:
            return drawn
    # Users who seem to have all kept candidates get any other item.
    drawn[open_rows] = uniform_negatives(positives, users[open_rows], generator=generator)
    return drawn
