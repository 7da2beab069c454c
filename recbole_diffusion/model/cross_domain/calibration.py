"""The calibration of a mapping: what its vectors are worth as ratings."""

import torch
from torch import Tensor, nn


class Calibration(nn.Module):
    """A factor and a constant for each coordinate of the mapped vectors, the identity at the start; and a shift of item offsets.

    Mappings that learn distances of vectors know nothing of the measure that they are judged by. DiffCDR
    learns ratings in its alignment module; this gives the same losses to the others, with fewer weights: what
    is left between them is the mapping.

    Args:
        width: of the vectors.
        n_items: number of item ids, None for no shift.
    """

    def __init__(self, width: int, n_items: int | None) -> None:
        super().__init__()
        self.factor, self.constant = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.item_offset = nn.Parameter(torch.zeros(n_items)) if n_items else None

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the calibrated vectors, [batch, width]."""
        return self.factor * vectors + self.constant
