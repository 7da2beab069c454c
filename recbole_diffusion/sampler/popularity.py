"""Popularity negatives: items in proportion to a power of their interaction count, without positives.

The law is P(j | u) = w_j / sum of w_k over the items k that are not positives of u, with w_j = count_j^power.
Rejection from the law without the condition is exact and cheap while a user's positives hold little of the
mass; for the others an exact draw over the whole catalogue takes over after a fixed number of rounds, so that
every call ends. Both follow the same law, and so does their mixture.
"""

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR

# A user whose positives hold three quarters of the mass is left open with probability 1e-4.
REJECTION_ROUNDS = 32
EXACT_CELLS = 2**22  # rows x items of one block of the exact draw: 32 MiB in float64


def popularity_table(counts: Tensor, power: float) -> Tensor:
    """Return the cumulative probabilities of the items, which :func:`popularity_negatives` searches.

    With ``power > 0`` an item without interaction has weight 0 and is never drawn; ``power = 0`` is uniform
    over all items with interactions or without. The padding item 0 has weight 0 whatever its count.

    Args:
        counts: [n_items], interactions of each item, row 0 the padding item.
        power: 1 for the plain popularity, 0.75 for word2vec's, 0 for uniform.

    Returns:
        float64 [n_items] on the device of ``counts``, ascending from 0 to 1.

    Raises:
        ValueError: ``power`` or a count is negative or not finite, ``counts`` is not a vector, or no item has
            a positive weight.
    """
    if not 0 <= power < float("inf"):
        raise ValueError(f"power is {power}; it takes a finite number from 0 on")
    if counts.ndim != 1:
        raise ValueError(f"counts has shape {tuple(counts.shape)}; it takes one number an item: [n_items]")
    exact = counts.detach().to("cpu", torch.float64)  # a parallel sum on a GPU need not ascend
    if not bool((exact.isfinite() & (exact >= 0)).all()):
        raise ValueError("counts holds a negative number or one that is not finite")
    exact = exact[1:]
    if not bool((exact > 0).any() if power > 0 else len(exact) > 0):
        raise ValueError("no item but the padding one has a positive weight: there is nothing to draw")
    largest = exact.max().clamp(min=torch.finfo(torch.float64).tiny)  # of all zeros, which power 0 allows
    # Relative to the largest count, so that no power overflows.
    weights = (exact / largest) ** power
    return torch.cat([torch.zeros(1, dtype=torch.float64), (weights / weights.sum()).cumsum(0)]).to(
        counts.device
    )


def popularity_negatives(
    positives: InteractionCSR, users: Tensor, cumulative: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """Draw one negative for each entry of ``users`` with probability proportional to its weight.

    Args:
        positives: the training positives, never drawn.
        users: long [count]; a user who occurs k times gets k negatives, drawn with replacement.
        cumulative: float64 [n_items], from :func:`popularity_table`.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [count].

    Raises:
        ValueError: ``cumulative`` is not such a table of these items, or a user's positives are all the items
            of positive weight.
    """
    if cumulative.dtype != torch.float64 or cumulative.shape != (positives.n_items,):
        raise ValueError(
            f"cumulative is {cumulative.dtype} of shape {tuple(cumulative.shape)}; it takes float64 "
            f"({positives.n_items},), one "
            "entry an item: make it with popularity_table"
        )
    items = _unconditional(cumulative, len(users), generator)
    # Places that hit a positive of their user, drawn again.
    open_places = positives.contains(users, items).nonzero().squeeze(1)
    for _ in range(REJECTION_ROUNDS - 1):
        if len(open_places) == 0:
            return items
        again = _unconditional(cumulative, len(open_places), generator)
        items[open_places] = again
        open_places = open_places[positives.contains(users[open_places], again)]
    # w_j / sum of w, [n_items], for the exact draw.
    weights = cumulative.diff(prepend=cumulative.new_zeros(1))
    for block in open_places.split(max(1, EXACT_CELLS // len(weights))):
        items[block] = _conditional(positives, users[block], weights, generator)
    return items


def _unconditional(cumulative: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw ids, long [count], by inversion: the first item whose cumulative probability is larger."""
    # The sum of the weights, 1 but for rounding.
    total = cumulative[-1]
    points = torch.rand(count, generator=generator, dtype=torch.float64, device=cumulative.device) * total
    # ``right`` passes over items of weight 0, which repeat an entry.
    found = torch.searchsorted(cumulative, points, right=True)
    # Should a product round up to the total, it is the last item of positive weight.
    return torch.minimum(found, torch.searchsorted(cumulative, total))


def _conditional(
    positives: InteractionCSR, users: Tensor, weights: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draw one negative for each of ``users``, long [rows], from all items at once: [rows, n_items] cells.

    The item whose exponential clock of rate w_j rings first is j with probability w_j / sum of w.

    Raises:
        ValueError: a user has no item of positive weight left.
    """
    # w_j, [rows, n_items], and 0 for the user's positives.
    left = weights.repeat(len(users), 1)
    items, _, rows = positives.gather(users)
    left[rows, items] = 0
    nothing_left = ~(left > 0).any(1)
    if bool(nothing_left.any()):
        raise ValueError(
            f"user {int(users[nothing_left][0])} has all items of positive weight: there is no negative to "
            "draw; a power of 0 gives every item a weight"
        )
    # E_j / w_j with E_j exponential is when clock j rings; the first has the largest w_j / E_j.
    waiting = (
        torch.empty_like(left).exponential_(generator=generator).clamp_(min=torch.finfo(left.dtype).tiny)
    )
    return left.div_(waiting).argmax(1)
