"""Adapters of RecBole's autoencoders: the first layer multiplies what a user's row holds, not its zeros."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import ModelInterface
from recbole_diffusion.model.loss import dropout, sum_by_row


class RowLinear(nn.Linear):
    """A linear layer for rows that are nearly all zeros, [batch, n_items] -> [batch, width].

    W x_u + b is a sum of as many columns of W as x_u has entries, and the gradient of W is zero elsewhere:
    dense products, two fifths of a training step of MultiVAE, multiply zeros. A gradient reaches the entries
    of the rows, not their zeros, which are no function of any weight here.
    """

    dropout_prob: float

    @classmethod
    def of(cls, layer: Any, dropout_prob: float = 0.0) -> Self:
        """Return ``layer``, a linear one, as one of these, which drops out entries of its input itself.

        Args:
            layer: its weights, their names and values stay.
            dropout_prob: in training, of each entry; the zeros draw no number.
        """
        layer.__class__, layer.dropout_prob = cls, dropout_prob
        return layer

    def forward(self, rows: Tensor) -> Tensor:
        """Return the layer's output, [batch, width]."""
        prob = self.dropout_prob if self.training else 0.0
        if rows.is_cuda:  # which multiplies faster than it counts entries
            return super().forward(F.dropout(rows, prob))
        users, items = rows.nonzero(as_tuple=True)
        values = dropout(rows[users, items], prob)  # [entries]
        ends = torch.bincount(users, minlength=len(rows)).cumsum(0)
        starts = F.pad(ends, (1, 0))[:-1]
        # W^T with an item's column in one place, [n_items, width].
        table = self.weight.t().contiguous()
        return sum_by_row(table, items, starts, values) + self.bias


class SparseRows(ModelInterface):
    """MultiVAE, MacridVAE and RaCT: ``encoder`` begins with the layer.

    MacridVAE has one mask for all its factors, and RaCT asks which items were dropped: their dropout is
    RecBole's.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self._read_by_entries()

    def _read_by_entries(self: Any) -> None:
        RowLinear.of(self.encoder[0])


class MultiVAE(SparseRows):
    """MultiVAE, whose dropout draws for the entries of a row alone, not for [batch, n_items] cells."""

    def _read_by_entries(self: Any) -> None:
        RowLinear.of(self.encoder[0], self.drop_out)
        self.drop_out = 0.0


class MultiDAE(SparseRows):
    """MultiDAE, as MultiVAE; its encoder begins with a dropout that does nothing."""

    def _read_by_entries(self: Any) -> None:
        RowLinear.of(self.encoder.mlp_layers[1], self.drop_out)
        self.drop_out = 0.0


class RecVAE(SparseRows):
    """RecVAE: the encoder, and the earlier one of its prior; dropout, which comes and goes, is RecBole's."""

    def _read_by_entries(self: Any) -> None:
        for encoder in (self.encoder, self.prior.encoder_old):
            RowLinear.of(encoder.fc1)


class CDAE(SparseRows):
    """CDAE: a row and the user's own vector."""

    def _read_by_entries(self: Any) -> None:
        RowLinear.of(self.h_item, self.corruption_ratio)
        self.dropout = nn.Identity()
