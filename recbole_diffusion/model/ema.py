"""A moving average of a module's weights, which diffusion models are used with (Ho et al. 2020, appendix B)."""

import copy

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """A copy of a module whose weights follow those of the original.

    The decay is ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the start is soon forgotten.

    Args:
        module: the original.
        decay: share of the old average that is kept; 0 copies the weights.
    """

    updates: Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.copy = copy.deepcopy(module).requires_grad_(False)
        self.decay = decay
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the weights of ``module``."""
        self.updates += 1
        n = self.updates.item()
        share = 1 - min(self.decay, (1 + n) / (10 + n)) if self.decay else 1.0
        for mine, other in zip(self.copy.parameters(), module.parameters(), strict=True):
            mine.lerp_(other, share)
