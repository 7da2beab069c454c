"""Uniform negatives: any item but the padding one and the user's positives."""

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR


def uniform_negatives(
    positives: InteractionCSR, users: Tensor, *, generator: torch.Generator | None = None
) -> Tensor:
    """Draw one negative for each entry of ``users`` by rejection: the time does not grow with the catalogue.

    Args:
        positives: the training positives.
        users: long [count]; a user who occurs k times gets k negatives, drawn with replacement.
        generator: source of randomness; torch's global one if None.

    Returns:
        Item ids, long [count].

    Raises:
        ValueError: a user has every item, so that there is no negative.
    """
    # Rejection would never end for a user without a negative.
    full = positives.counts(users) >= positives.n_items - 1
    if bool(full.any()):
        raise ValueError(
            f"user {int(users[full][0])} has all {positives.n_items - 1} items: there is no negative to draw"
        )
    # Any real item; places that hit a positive are drawn again until none is left.
    items = torch.randint(1, positives.n_items, users.shape, generator=generator, device=users.device)
    open_places = positives.contains(users, items).nonzero().squeeze(1)
    while len(open_places):
        again = torch.randint(
            1, positives.n_items, open_places.shape, generator=generator, device=users.device
        )
        items[open_places] = again
        open_places = open_places[positives.contains(users[open_places], again)]
    return items
