"""Hard negatives chosen by score from a pool of candidates: DNS, DNS(M, N) and AHNS.

The pool holds N items that are not positives, drawn uniformly with replacement; a choice is a position in it,
and has no gradient.
"""

import torch
from torch import Tensor


@torch.no_grad()
def dns(scores: Tensor, m: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Choose uniformly among the ``m`` candidates of the highest score.

    DNS(M, N) of Shi et al., "On the theories behind hard negative sampling for recommendation", WWW 2023. ``m
    = 1`` is dynamic negative sampling (Zhang et al., SIGIR 2013), ``m = N`` is uniform. An item that is in a
    pool twice counts twice.

    Args:
        scores: [batch, N], of each row's candidates.
        m: M, how many of the N may be chosen.
        generator: source of randomness; torch's global one if None.

    Returns:
        Positions of candidates, long [batch].

    Raises:
        ValueError: there is no candidate, or ``m`` is not in 1..N.
    """
    _require_pool("scores", scores)
    if not 1 <= m <= scores.shape[1]:
        raise ValueError(f"m is {m}; it takes 1 to {scores.shape[1]}, the number of candidates")
    hardest = scores.topk(m, dim=1).indices  # [batch, m]
    # One of the m, each equally likely, [batch, 1].
    chosen = torch.randint(m, (len(scores), 1), generator=generator, device=scores.device)
    return hardest.gather(1, chosen).squeeze(1)


@torch.no_grad()
def ahns(candidate_scores: Tensor, positive_scores: Tensor, *, alpha: float, beta: float, p: float) -> Tensor:
    """Choose the candidate whose score is nearest to beta (positive score + alpha)^(p + 1).

    AHNS_{p<0} of Lai et al., "Adaptive hardness negative sampling for collaborative filtering", AAAI 2024.
    The ratio of the wanted score to (positive score + alpha) is beta (positive score + alpha)^p and falls as
    the positive is fitted better: relative to its positive, the negative gets easier. The wanted score itself
    falls for ``p < -1`` alone; the authors' code has p = -2, alpha = 1, beta = 0.1 by default.

    The power needs a positive base. Cosine similarities have it with ``alpha >= 1``; inner products may not,
    and a base that is not positive is raised to the smallest positive number, whose wanted score is the
    limit: with p < -1 the hardest candidate.

    Args:
        candidate_scores: [batch, N].
        positive_scores: [batch].
        alpha: shift of the positive's score; larger flattens its influence.
        beta: scale of the wanted score, above 0; larger is harder.
        p: below 0; smaller reacts more to the positive's score.

    Returns:
        Positions of candidates, long [batch].

    Raises:
        ValueError: there is no candidate, the shapes do not fit, or ``p`` or ``beta`` is out of range.
    """
    _require_pool("candidate_scores", candidate_scores)
    if positive_scores.shape != candidate_scores.shape[:1]:
        raise ValueError(
            f"positive_scores has shape {tuple(positive_scores.shape)}; it takes one score a row of "
            "candidate_scores: "
            f"({len(candidate_scores)},)"
        )
    if not p < 0:
        raise ValueError(
            f"p is {p}; it takes a number below 0: from 0 on, a better fitted positive gets no easier "
            "negative"
        )
    if not beta > 0:
        raise ValueError(f"beta is {beta}; it takes a number above 0")
    # Only a positive base has a power p + 1; see above for what the smallest one leads to.
    base = (positive_scores + alpha).clamp(min=torch.finfo(positive_scores.dtype).tiny)
    wanted = beta * base ** (p + 1)  # [batch], may be infinite
    # The candidate nearest to a score beyond the pool's range is that at the nearer end; large numbers lose
    # no digits this way.
    wanted = wanted.clamp(min=candidate_scores.amin(1), max=candidate_scores.amax(1))
    # The nearest of each row's N candidates.
    return (candidate_scores - wanted[:, None]).abs().argmin(1)


def _require_pool(name: str, scores: Tensor) -> None:
    """Raise ValueError unless ``scores`` is [batch, N] with N at least 1."""
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ValueError(
            f"{name} has shape {tuple(scores.shape)}; it takes [batch, N] with at least one candidate a row"
        )
