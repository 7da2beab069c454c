"""Attention over a user's rated source items: a condition that reads ratings, not a vector of them."""

import torch
from torch import Tensor, nn

from recbole_diffusion.model.cross_domain.source_history import softmax_by_row

SIZE = 16  # of the condition
HIDDEN = 32


class SourceAttention(nn.Module):
    """The weighted mean of a user's rated source items, each read with its rating.

    An item enters as its point [v, b_i] among the source users, with the rating's gap to the item's offset
    and its square: PTUPCDR's characteristics know which items were rated, these also how.

    Args:
        width: of a source item's point.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Sequential(nn.Linear(width + 2, HIDDEN), nn.SiLU())
        self.weight, self.value = nn.Linear(HIDDEN, 1, bias=False), nn.Linear(HIDDEN, SIZE)

    def forward(self, points: Tensor, gaps: Tensor, rows: Tensor, many: int) -> Tensor:
        """Return the condition of users, [many, SIZE]; zeros without ratings.

        Args:
            points: of the rated items, all histories one after the other, [total, width].
            gaps: rating minus offset of the item, [total].
            rows: the user of each, 0..many-1, [total].
            many: number of users.
        """
        read = self.read(torch.cat([points, gaps[:, None], gaps[:, None].square()], 1))  # [total, HIDDEN]
        weights = softmax_by_row(self.weight(read).squeeze(1), rows, many)  # sum 1 by user, [total]
        return read.new_zeros(many, SIZE).index_add(0, rows, weights[:, None] * self.value(read))
