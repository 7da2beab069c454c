"""The order of batches as a state: what the generators of a training loader go on from."""

from typing import Any

import torch


def generators_of(loader: Any) -> list[torch.Generator]:
    """Return the generators that order the batches: one, or those of a loader's two halves.

    RecBole's loader of knowledge has none itself: it goes over interactions and triples by a loader for each.
    """
    halves = (getattr(loader, name, None) for name in ("general_dataloader", "kg_dataloader"))
    found = (getattr(one, "generator", None) for one in (loader, *halves))
    return [one for one in found if one is not None]


def state_of(loader: Any) -> torch.Tensor | None:
    """Return the states of a loader's generators, [bytes] of one, [generators, bytes] of several."""
    states = [one.get_state() for one in generators_of(loader)]
    return torch.stack(states) if len(states) > 1 else states[0] if states else None


def restore_order(loader: Any, states: torch.Tensor | None) -> bool:
    """Set a loader's generators to what :func:`state_of` returned; return False if there is no state for one.

    Raises:
        RuntimeError: the states are those of another loader.
        ValueError: the same.
    """
    generators = generators_of(loader)
    if states is None or not generators:
        return not generators
    for one, values in zip(generators, states.cpu().reshape(len(generators), -1), strict=True):
        one.set_state(values.clone())  # a whole tensor of its own, which torch needs
    return True
