"""An affine calibration of mapped vectors, trained on ratings."""

import torch
from torch import Tensor, nn


class Calibration(nn.Module):
    """A factor and a constant for each coordinate of the mapped vectors, and a learned offset for each item.

    A mapping trained on distances between vectors does not optimise the error of ratings by which it is
    evaluated. DiffCDR's alignment module is trained on ratings; the calibration gives the other mappings the
    same loss with fewer weights, so that what differs between them is the mapping. It starts as the identity.

    Args:
        width: of the vectors.
        n_items: number of item ids; None for no item offsets.
    """

    def __init__(self, width: int, n_items: int | None) -> None:
        super().__init__()
        # [width] each; at 1 and 0 the vectors stay as they are.
        self.factor, self.constant = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        # [n_items]; added to the offsets by ``MappingRecommender.item_side``.
        self.item_offset = nn.Parameter(torch.zeros(n_items)) if n_items else None

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the calibrated vectors, [batch, width]."""
        return self.factor * vectors + self.constant
