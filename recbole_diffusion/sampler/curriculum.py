"""Curricular negatives (CCDRec, "Curricular Negative Sampler"): items near the positive in a pool.

Ours, each off unless asked for: the nearest candidates are left out as likely false negatives
(``cut_ratio``), draws are weighted (``discounted_draws``), and a negative must be high in its user's scores
(``score_thresholds``).
"""

import math
from collections.abc import Callable

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
    cut_ratio: float = 0.0,
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
        cut_ratio: of the candidates that are left out before that, the nearest ones, in [0, 1).
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [n_items, kept].
    """
    n_real = len(pool) - 1
    count = max(1, min(candidate_limit, math.ceil(candidate_ratio * n_real)))
    top = max(1, math.floor(top_ratio * count + 1e-9))  # 0.1 * 30 is 2.999... in floating point
    cut = min(math.ceil(cut_ratio * count - 1e-9), count - top)
    found = []
    for block in pool.split(BLOCK):
        # Ids from 1, without replacement, for all items of the block.
        candidates = torch.randperm(n_real, generator=generator, device=pool.device)[:count] + 1
        # [block, count] inner products; ids of the largest, without the very largest, [block, top].
        nearest = (block @ pool[candidates].T).topk(cut + top, dim=1, sorted=cut > 0).indices[:, cut:]
        found.append(candidates[nearest])
    return torch.cat(found)


def discounted_draws(nearest: Tensor, counts: Tensor, power: float) -> Tensor:
    """Return the cumulative probabilities of drawing each kept candidate, in proportion to count^-power.

    Inner products favour popular items: of the nearest, those are drawn less often.

    Args:
        nearest: long [n_items, kept].
        counts: training rows of each item, [n_items]; an item without any counts as one with one.
        power: 0 is uniform.

    Returns:
        [n_items, kept], rows ascending to 1.
    """
    weights = counts.clamp(min=1).double().pow(-power)[nearest]
    return (weights.cumsum(1) / weights.sum(1, keepdim=True)).float()


@torch.no_grad()
def score_thresholds(
    users: Tensor, items: Tensor, share: float, *, sample: int = 512, generator: torch.Generator | None = None
) -> Tensor:
    """Return the score from which on an item lies within the top share of a user's scores, [n_users].

    Args:
        users: vectors, [n_users, d].
        items: vectors, [n_items, d], row 0 the padding item.
        share: in (0, 1].
        sample: random items by which the share is measured.
        generator: source of randomness; torch's global one if None.
    """
    some = torch.randperm(len(items) - 1, generator=generator, device=items.device)[:sample] + 1
    kept = max(1, int(share * len(some)))
    sampled = items[some].T  # [d, sample]
    # The kept-th best of the sampled scores, in blocks of users.
    return torch.cat([(block @ sampled).topk(kept, dim=1).values[:, -1] for block in users.split(BLOCK)])


@torch.no_grad()
def curricular_negatives(
    nearest: Tensor,
    items: Tensor,
    users: Tensor,
    positives: InteractionCSR,
    *,
    cumulative: Tensor | None = None,
    admitted: Callable[[Tensor, Tensor], Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one negative for each row among the positive's nearest candidates, except items of the row's user.

    Args:
        nearest: of each item, long [n_items, kept], from :func:`nearest_candidates`.
        items: positive items, long [batch].
        users: the user of each row, long [batch].
        positives: the training positives.
        cumulative: of the kept candidates, [n_items, kept], from :func:`discounted_draws`; None: uniform.
        admitted: of users and items, long [pairs] each, which may be drawn, bool [pairs]; None: all.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [batch]; a uniform negative where the user seems to have every kept candidate, or none
        of the others is admitted.

    Raises:
        ValueError: a user has every item.
    """
    drawn = torch.empty_like(items)
    open_rows = torch.arange(len(items), device=items.device)
    for _ in range(DRAWS):
        # Any of the kept candidates of the row's positive, long [open].
        of_rows = items[open_rows]
        if cumulative is None:
            place = torch.randint(nearest.shape[1], open_rows.shape, generator=generator, device=items.device)
        else:
            point = torch.rand((len(of_rows), 1), generator=generator, device=items.device)
            place = (cumulative[of_rows] < point).sum(1).clamp_(max=nearest.shape[1] - 1)
        drawn[open_rows] = nearest[of_rows, place]
        # Rows stay open whose user has the item, or which is not admitted.
        refused = positives.contains(users[open_rows], drawn[open_rows])
        if admitted is not None:
            refused |= ~admitted(users[open_rows], drawn[open_rows])
        open_rows = open_rows[refused]
        if len(open_rows) == 0:
            return drawn
    # Users who seem to have all kept candidates get any other item.
    drawn[open_rows] = uniform_negatives(positives, users[open_rows], generator=generator)
    return drawn
