"""Hard negatives chosen by score: DNS, DNS(M, N) and AHNS from a pool, AR and SL from the whole catalogue.

A pool holds N items that are not positives, drawn uniformly with replacement; a choice is a position in it.
The scores of the whole catalogue are made for blocks of the distinct users of a batch. Nothing here has a
gradient.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

CELLS = 2**21  # scores of a block of users, 16 MiB in float64


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
            f"candidate_scores: ({len(candidate_scores)},)"
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


@torch.no_grad()
def best_share(
    positives: InteractionCSR,
    users: Tensor,
    user_vectors: Tensor,
    item_vectors: Tensor,
    share: float,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw uniformly among a user's best-scored items, without the positives: AR of TV-Diff's Table 3.

    The released code draws the largest of normal numbers that are 0 where an item is struck out, so that few
    candidates give a struck one with probability 2^-candidates; here a rank is drawn.

    Args:
        positives: the training positives, never drawn.
        users: long [batch].
        user_vectors: [batch, d], equal for equal users.
        item_vectors: [n_items, d], row 0 the padding item.
        share: gamma, ratio of the items that are kept, in (0, 1]; at least one is. 1 is uniform.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [batch]; for a user who has all of the best ones, uniform over the other items.
    """
    kept = max(1, int(share * (len(item_vectors) - 1)))
    found = torch.zeros_like(users)
    for rows, of_row, block, scores in _blocks(users, user_vectors, item_vectors):
        best = scores.topk(kept, dim=1).indices  # [block, kept]
        free = ~positives.contains(block.repeat_interleave(kept), best.flatten()).view_as(best)
        # A rank among the free ones of the row's user, and where the free one of that rank is.
        counts = free.sum(1)  # [block]
        drawn = _fractions(len(rows), users.device, generator) * counts[of_row]
        before = (counts.cumsum(0) - counts)[of_row]
        places = torch.searchsorted(free.flatten().cumsum(0), before + drawn.long(), right=True)
        found[rows] = best.flatten()[places.clamp(max=best.numel() - 1)] * (counts[of_row] > 0)
    return _filled(found, positives, users, generator)


@torch.no_grad()
def in_proportion(
    positives: InteractionCSR,
    users: Tensor,
    user_vectors: Tensor,
    item_vectors: Tensor,
    power: float,
    *,
    exclude_positives: bool = True,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw items in proportion to a power of their positive scores: SL of TV-Diff's Table 3.

    P(j | u) = w_j / sum of w_k with w_j = max(u . j, 0)^power. A power below 1 is the sub-linear correlation
    of MCNS (Yang et al., KDD 2020); the released code of TV-Diff's comparison has 1, over all items.

    Args:
        positives: the training positives.
        users: long [batch].
        user_vectors: [batch, d], equal for equal users.
        item_vectors: [n_items, d], row 0 the padding item.
        power: above 0.
        exclude_positives: whether the user's positives are never drawn.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [batch]; for a user without an item of positive weight, uniform over the negatives.
    """
    found = torch.zeros_like(users)
    for rows, of_row, block, scores in _blocks(users, user_vectors, item_vectors):
        weights = scores.double().clamp_(min=0)  # [block, n_items], 0 for the padding item
        if exclude_positives:
            items, _, of_items = positives.gather(block)
            weights[of_items, items] = 0
        powered_(weights, power)
        sums = weights.cumsum(1)
        total = sums[:, -1:].clone()
        # Each user's distribution function goes from k to k + 1: one ascending row for one search.
        number = torch.arange(len(block), device=users.device, dtype=sums.dtype)
        steps = sums.div_(total.clamp(min=torch.finfo(sums.dtype).tiny)).add_(number[:, None]).flatten()
        # Such that k + drawn is below k + 1.
        drawn = _fractions(len(rows), users.device, generator).clamp(max=1 - 1e-12)
        places = torch.searchsorted(steps, number[of_row] + drawn, right=True).clamp(max=len(steps) - 1)
        found[rows] = places % len(item_vectors) * (total.squeeze(1)[of_row] > 0)
    return _filled(found, positives, users, generator)


def powered_(weights: Tensor, power: float) -> None:
    """Raise weights [rows, n], 0 or more, to a power in place, each row in proportion to it.

    A law in proportion knows no scale: with a row's largest weight at 1, its power is neither infinite nor 0.
    """
    if power != 1:
        largest = weights.amax(1, keepdim=True).clamp_(min=torch.finfo(weights.dtype).tiny)
        weights.div_(largest).pow_(power)


def _blocks(
    users: Tensor, user_vectors: Tensor, item_vectors: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield blocks of the distinct users of a batch, with their scores of all items.

    Yields:
        rows of the batch, long [rows]; the place of each row's user in the block, long [rows]; the users,
        long [block]; their scores, [block, n_items], -inf for the padding item.
    """
    distinct, of_row, counts = torch.unique(users, return_inverse=True, return_counts=True)
    by_user = of_row.argsort(stable=True)  # rows of the batch, user by user
    ends = counts.cumsum(0)
    firsts = by_user[ends - counts]  # a row of each user
    size = max(1, CELLS // len(item_vectors))
    for start in range(0, len(distinct), size):
        stop = min(start + size, len(distinct))
        rows = by_user[int(ends[start] - counts[start]) : int(ends[stop - 1])]
        scores = user_vectors[firsts[start:stop]] @ item_vectors.T
        scores[:, 0] = -torch.inf
        yield rows, of_row[rows] - start, distinct[start:stop], scores


def _fractions(number: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return uniform numbers in [0, 1), float64 [number]."""
    return torch.rand(number, dtype=torch.float64, device=device, generator=generator)


def _filled(
    found: Tensor, positives: InteractionCSR, users: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Put uniform negatives in the place of the padding id, which stands where nothing could be drawn."""
    empty = (found == 0).nonzero().squeeze(1)
    if len(empty):
        found[empty] = uniform_negatives(positives, users[empty], generator=generator)
    return found


def _require_pool(name: str, scores: Tensor) -> None:
    """Raise ValueError unless ``scores`` is [batch, N] with N at least 1."""
    if scores.ndim != 2 or scores.shape[1] < 1:
        raise ValueError(
            f"{name} has shape {tuple(scores.shape)}; it takes [batch, N] with at least one candidate a row"
        )
