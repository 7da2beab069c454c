"""Hard negatives without the false ones: the general part of RealHNS (Ma et al., RecSys 2023).

RealHNS was designed for two domains. Within one it reduces to this: a coarse choice keeps the candidates that
the user scores highest, and a filter drops those among them that are most like the positive item, since they
are likely items that the user would take too, false negatives. One of the rest is drawn.
"""

import torch
from torch import Tensor


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
