"""Adapters of RecBole's autoencoders: the first layer multiplies what a user's row holds, not its zeros."""

from typing import Any, Self

from torch import Tensor, nn

from recbole_diffusion.model.bags import entries_of_rows
from recbole_diffusion.model.base import ModelInterface
from recbole_diffusion.model.loss import sum_by_row


class RowLinear(nn.Linear):
    """A linear layer for rows that are nearly all zeros, [batch, n_items] -> [batch, width].

    W x_u + b is a sum of as many columns of W as x_u has entries, and the gradient of W is zero elsewhere:
    dense products, two fifths of a training step of MultiVAE, multiply zeros. A gradient reaches the entries
    of the rows, not their zeros, which are no function of any weight here.
    """

    @classmethod
    def of(cls, layer: Any) -> Self:
        """Return ``layer``, a linear one, as one of these; its weights and their names stay."""
        layer.__class__ = cls
        return layer

    def forward(self, rows: Tensor) -> Tensor:
        """Return the layer's output, [batch, width]."""
        if rows.is_cuda:  # which multiplies faster than it counts entries
            return super().forward(rows)
        # W^T with an item's column in one place, [n_items, width].
        return sum_by_row(self.weight.t().contiguous(), *entries_of_rows(rows)) + self.bias


class SparseRows(ModelInterface):
    """MultiVAE, MultiDAE, MacridVAE, RaCT and RecVAE, whose losses and draws are RecBole's.

    Dropout draws for all cells of the rows, as RecBole's does: of the same seed come the same weights, up to
    rounding.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        for layer in self._row_layers():
            RowLinear.of(layer)

    def _row_layers(self: Any) -> list[nn.Module]:
        """Return the layers that read rows."""
        if hasattr(self, "prior"):  # RecVAE: the encoder, and the earlier one of its prior
            return [self.encoder.fc1, self.prior.encoder_old.fc1]
        return [next(one for one in self.encoder.modules() if isinstance(one, nn.Linear))]
