"""Rows of tables of vectors, whose gradients are added up row by row: several times faster on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_diffusion.model.precision import in_single


class _GatherRows(torch.autograd.Function):
    """Rows of a table; the gradient is added up row by row, several times faster on a CPU than torch's."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, numbers: Tensor) -> Tensor:
        ctx.save_for_backward(numbers)
        ctx.shape = table.shape
        return table.index_select(0, numbers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (numbers,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.shape).index_add_(0, numbers, gradient), None


def gather_rows(table: Tensor, numbers: Tensor) -> Tensor:
    """Return ``table[numbers]``: [n, width], long [batch] -> [batch, width]; to be differentiated once.

    On a GPU this is torch's own embedding, whose gradient is the same each time; adding up by row is not.
    """
    if table.device.type != "cpu":
        return F.embedding(numbers, table)
    return _GatherRows.apply(table, numbers)


class _Margins(torch.autograd.Function):
    """u . (p - n), with gradients that are added up row by row."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, i: Tensor, p: Tensor, n: Tensor) -> Tensor:
        of_left = left.index_select(0, i)
        difference = right.index_select(0, p).sub_(right.index_select(0, n))
        ctx.save_for_backward(of_left, difference, i, p, n)
        ctx.shapes = left.shape, right.shape
        return (of_left * difference).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        of_left, difference, i, p, n = ctx.saved_tensors
        column = gradient[:, None]
        d_left = gradient.new_zeros(ctx.shapes[0]).index_add_(0, i, difference * column)
        step = of_left * column
        d_right = gradient.new_zeros(ctx.shapes[1]).index_add_(0, p, step).index_add_(0, n, step.neg_())
        return d_left, d_right, None, None, None


@in_single
def margins(left: Tensor, right: Tensor, i: Tensor, p: Tensor, n: Tensor) -> Tensor:
    """Return by how much the score of a pair is above that of another: u_i . v_p - u_i . v_n.

    To be differentiated once; on a GPU as :func:`gather_rows`.

    Args:
        left: u, [rows, width].
        right: v, [columns, width].
        i: long [batch], rows of ``left``.
        p: long [batch], rows of ``right``.
        n: the same of the other pairs.

    Returns:
        [batch].
    """
    if left.device.type != "cpu":
        return (F.embedding(i, left) * (F.embedding(p, right) - F.embedding(n, right))).sum(1)
    return _Margins.apply(left, right, i, p, n)
