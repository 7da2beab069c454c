"""Hard negatives without the false ones: the general part of RealHNS (Ma et al., RecSys 2023).

RealHNS was designed for two domains. Within one it reduces to this: a coarse choice keeps candidates that the
user scores high, and a filter drops those among them that are most like the positive item, since they are
likely items that the user would take too, false negatives. One of the rest is drawn.

:func:`real_hard` keeps the highest of a pool and drops a share of them. As published,
:func:`real_hard_window` keeps a window of ranks below the highest ones, drops what is more alike than a
threshold that rises over the epochs (:func:`likeness_limit`, from the :func:`mean_likeness` of the items'
clusters), and draws among the best tenth of the rest. The window of the catalogue is taken of a pool, an
unbiased stand-in.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 5.0  # of all cosines, as published
GROWTH, EPOCHS_A_STEP = 1.15, 2  # of the threshold
BEST_SHARE = 0.1  # of what the filter leaves
CLUSTERS, ROUNDS = 100, 10  # of k-means


@torch.no_grad()
def real_hard(
    scores: Tensor,
    similarities: Tensor,
    hardest: int,
    false_ratio: float,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose one candidate a row.

    Args:
        scores: of the users for their candidates, [batch, N].
        similarities: of the candidates with the positive, [batch, N].
        hardest: how many of the N the coarse choice keeps, 1..N.
        false_ratio: ratio of those that the filter drops, in [0, 1]; at least one stays.
        generator: source of randomness; torch's global one if None.

    Returns:
        Positions of candidates, long [batch].

    Raises:
        ValueError: the shapes differ, or a number is out of range.
    """
    if scores.shape != similarities.shape or scores.ndim != 2:
        raise ValueError(
            f"scores {list(scores.shape)} and similarities {list(similarities.shape)} must both be [batch, N]"
        )
    if not 1 <= hardest <= scores.shape[1] or not 0 <= false_ratio <= 1:
        raise ValueError(
            f"hardest takes 1 to {scores.shape[1]} and false_ratio 0 to 1, got {hardest} and {false_ratio}"
        )
    # The coarse choice: what the user scores highest.
    kept = scores.topk(hardest, dim=1).indices  # [batch, hardest]
    # What the filter leaves of the kept ones, one at least.
    real = max(1, hardest - int(false_ratio * hardest))
    order = similarities.gather(1, kept).argsort(dim=1)[:, :real]  # least similar first
    drawn = torch.randint(real, (len(scores), 1), generator=generator, device=scores.device)
    # A place among the real ones, as one among the kept, as one in the pool.
    return kept.gather(1, order.gather(1, drawn)).squeeze(1)


@torch.no_grad()
def real_hard_window(
    scores: Tensor,
    likeness: Tensor,
    limit: float,
    window: tuple[float, float],
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Choose one candidate a row as published.

    Args:
        scores: of the users for their candidates, [batch, N].
        likeness: 5 times the cosine of the candidates with the positive, [batch, N].
        limit: theta; candidates above it are dropped as false negatives.
        window: ranks that the coarse choice keeps, as shares of the N, such as (0.1, 0.2).
        generator: source of randomness; torch's global one if None.

    Returns:
        Positions of candidates, long [batch], and whether the filter left any, bool [batch].
    """
    first = min(int(window[0] * scores.shape[1]), scores.shape[1] - 1)
    kept = scores.argsort(dim=1, descending=True)[:, first : max(int(window[1] * scores.shape[1]), first + 1)]
    real = likeness.gather(1, kept) <= limit  # [batch, window], the best first
    counts = real.sum(1)
    best = (BEST_SHARE * counts).floor().clamp(min=1)  # how many of them may be drawn
    drawn = (torch.rand(len(scores), generator=generator, device=scores.device) * best).long()
    # The real one of that rank, [batch].
    place = (real.cumsum(1) > drawn[:, None]).long().argmax(1)
    return kept.gather(1, place[:, None]).squeeze(1), counts > 0


def likeness_limit(epoch: int, warm_epochs: int, mean: float) -> float:
    """Return theta of an epoch after the warm ones, counted from 1: min(A / 5 * 1.15^n, A).

    n rises by one every second epoch. Where A is not positive no threshold can be meant: infinity.

    Args:
        epoch: above ``warm_epochs``.
        warm_epochs: of uniform negatives, 5 as published.
        mean: A, from :func:`mean_likeness`.
    """
    if mean <= 0:
        return math.inf
    return min(mean / 5 * GROWTH ** math.ceil((epoch - warm_epochs) / EPOCHS_A_STEP), mean)


@torch.no_grad()
def mean_likeness(items: Tensor, clusters: int = CLUSTERS, seed: int = 0) -> float:
    """Return A, the mean over clusters of 5 times the mean cosine of their members with the centre.

    By spherical k-means with a fixed seed; an empty cluster takes the item that fits its own worst.

    Args:
        items: vectors, [n_items, d], row 0 the padding item.
        clusters: at most the number of items.
        seed: of the first centres.
    """
    unit = F.normalize(items[1:].detach(), dim=1)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(unit), generator=generator)[: min(clusters, len(unit))].to(unit.device)
    centres = unit[chosen]
    for _ in range(ROUNDS):
        cosines, own = (unit @ centres.T).max(1)
        counts = own.bincount(minlength=len(centres))
        for cluster in (counts == 0).nonzero().squeeze(1).tolist():
            worst = int(torch.where(counts[own] > 1, cosines, 2.0).argmin())
            counts[own[worst]] -= 1
            own[worst], cosines[worst], counts[cluster] = cluster, 1.0, 1
        centres = F.normalize(torch.zeros_like(centres).index_add_(0, own, unit), dim=1)
    cosines = (unit * centres[own]).sum(1)
    sums = cosines.new_zeros(len(centres)).index_add_(0, own, cosines)
    return SCALE * float((sums / own.bincount(minlength=len(centres))).mean())
