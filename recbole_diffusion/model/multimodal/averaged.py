"""Weights averaged over the steps of training, and put in the place of the trained ones for a while.

``model/ema.py`` keeps a copy of a module; here the module is a whole model with its graphs, of which the
weights alone are kept.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class AveragedWeights(nn.Module):
    """An exponential moving average (EMA) of a module's weights.

    The decay is ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the initial weights soon lose
    their influence.

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

    def _pairs(self, module: nn.Module) -> Iterator[tuple[Tensor, nn.Parameter]]:
        for number, weight in enumerate(module.parameters()):
            yield getattr(self, f"weight_{number}"), weight

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the present weights of ``module``."""
        self.updates += 1
        n = self.updates.item()
        new = 1 - min(self.decay, (1 + n) / (10 + n))
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
