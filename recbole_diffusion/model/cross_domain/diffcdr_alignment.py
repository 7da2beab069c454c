"""DiffCDR's alignment module (ALM), the layer between the diffusion's vectors and the scores."""

from torch import Tensor, nn, zeros

from recbole_diffusion.model.cross_domain.diffcdr_levels import LevelAlignment


class Alignment(nn.Module):
    """ALM: one matrix without bias, and learned offsets of items.

    Args:
        width: of the vectors.
        n_items: number of item ids; None for no learned offsets.
        matrix: False leaves the matrix out, so that vectors stay as they are.
        start: of the matrix, ``identity`` or ``random``, which draws from U(-1/sqrt(width), 1/sqrt(width)),
            PyTorch's start of a linear layer and the released code's: vectors begin about 0.6 times as long.
        levels: number of rating levels, for the part that aligns level factors; None for none.
    """

    def __init__(
        self,
        width: int,
        n_items: int | None,
        matrix: bool = True,
        start: str = "identity",
        levels: int | None = None,
    ) -> None:
        super().__init__()
        self.matrix: nn.Module = nn.Identity()
        # One matrix [width, width]; the identity starts by changing nothing.
        if matrix:
            linear = nn.Linear(width, width, bias=False)
            if start == "identity":
                nn.init.eye_(linear.weight)
            self.matrix = linear
        # [n_items] under an L2 penalty, and one number for all items without.
        self.item_offset = nn.Parameter(zeros(n_items)) if n_items else None
        self.common = nn.Parameter(zeros(())) if n_items else None
        self.levels = LevelAlignment(levels) if levels else None

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the aligned vectors, [batch, width]."""
        return self.matrix(vectors)
