"""An exponential moving average (EMA) of a module's weights (Ho et al. 2020, appendix B)."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class EMA(nn.Module, Generic[M]):
    """A copy of a module whose weights are the moving average of the original's.

    The decay is ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the initial weights soon lose
    their influence.

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
        n = self.updates.item()
        # 9 / 11 in the first update, falling to 1 - decay.
        new = 1 - min(self.decay, (1 + n) / (10 + n)) if self.decay else 1.0  # ratio of the new weights
        for mine, other in zip(self.copy.parameters(), module.parameters(), strict=True):
            # In place: old average + new * (weights - old average).
            mine.lerp_(other, new)
