"""Exponential moving averages (EMA) of a module's weights (Ho et al. 2020, appendix B).

:class:`EMA` keeps a copy of the module; :class:`AveragedWeights` keeps the weights alone, for a whole model
with its graphs.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


def share_of_new(decay: float, updates: Tensor) -> float:
    """Return the ratio of the new weights in an update: 9 / 11 in the first, falling to 1 - decay.

    It is 1 - ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the initial weights soon lose their
    influence; a decay of 0 takes the new weights alone.
    """
    n = updates.item()
    return 1 - min(decay, (1 + n) / (10 + n))


class EMA(nn.Module, Generic[M]):
    """A copy of a module whose weights are the moving average of the original's, see :func:`share_of_new`.

    Attributes:
        copy: the module with averaged weights, for evaluation.

    Args:
        module: the original.
        decay: ratio of the old average that is kept in an update; 0 copies the weights.
    """

    updates: Tensor

    def __init__(self, module: M, decay: float) -> None:
        super().__init__()
        self.copy: M = copy.deepcopy(module).requires_grad_(False)
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the present weights of ``module``."""
        self.updates += 1
        new = share_of_new(self.decay, self.updates)
        for mine, other in zip(self.copy.parameters(), module.parameters(), strict=True):
            # In place: old average + new * (weights - old average).
            mine.lerp_(other, new)


class AveragedWeights(nn.Module):
    """The moving average of a module's weights, put in their place for a while.

    Attributes:
        learned_buffers: names of the buffers that training changes, which move by token, as weights of users
            and items do, into a run on other data.

    Args:
        module: whose weights are averaged.
        decay: ratio of the old average that is kept in an update, in (0, 1).
    """

    updates: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        for number, weight in enumerate(module.parameters()):
            self.register_buffer(f"weight_{number}", weight.detach().clone())
        self.learned_buffers = tuple(name for name, _ in self.named_buffers())

    def _pairs(self, module: nn.Module) -> Iterator[tuple[Tensor, nn.Parameter]]:
        for number, weight in enumerate(module.parameters()):
            yield getattr(self, f"weight_{number}"), weight

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the present weights of ``module``."""
        self.updates += 1
        new = share_of_new(self.decay, self.updates)
        for average, weight in self._pairs(module):
            average.lerp_(weight, new)  # in place: old average + new * (weights - old average)

    @contextlib.contextmanager
    def in_place(self, module: nn.Module) -> Iterator[None]:
        """Give ``module`` the averages while the block runs, and its own weights back after it."""
        own = [weight.data for _, weight in self._pairs(module)]
        for average, weight in self._pairs(module):
            weight.data = average
        try:
            yield
        finally:
            for weight, data in zip(module.parameters(), own, strict=True):
                weight.data = data
