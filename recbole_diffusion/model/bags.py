"""Sums of table rows for very many bags, forward and backward as sparse products."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_diffusion.model.precision import in_single


class _SparseSums(torch.autograd.Function):
    """S @ table for the sparse rows S of a batch, [bags, n]; the gradient is S^T times that of the sums.

    torch's own backward pass of such sums sorts all entries by item, which is most of its time. A transposed
    matrix of scipy counts them instead: four to six times faster with millions of entries.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, items: Tensor, starts: Tensor, weights: Tensor | None) -> Tensor:
        ctx.save_for_backward(items, starts, weights)
        ctx.n = len(table)
        return F.embedding_bag(items, table.detach(), starts, mode="sum", per_sample_weights=weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        items, starts, weights = ctx.saved_tensors
        values = np.ones(len(items), np.float32) if weights is None else weights.detach().numpy()
        index = np.int32 if max(len(items), ctx.n) < 2**31 else np.int64
        offsets = np.append(starts.numpy(), len(items)).astype(index)
        rows = sp.csr_matrix((values, items.numpy().astype(index), offsets), (len(starts), ctx.n), copy=False)
        by_item = rows.tocsc()  # the rows of S^T, one for each item
        found = F.embedding_bag(
            torch.from_numpy(by_item.indices),
            gradient.contiguous(),
            torch.from_numpy(by_item.indptr),
            mode="sum",
            per_sample_weights=torch.from_numpy(by_item.data).to(gradient.dtype),
            include_last_offset=True,
        )
        return found, None, None, None


@in_single
def sparse_sums(table: Tensor, items: Tensor, starts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the (weighted) sum of table rows of each bag, for millions of entries on the processor.

    Args:
        table: [n, width].
        items: long [total], the bags one after the other.
        starts: long [bags], where each bag begins; an empty bag gives zeros.
        weights: [total], without a gradient, or None for ones.

    Returns:
        [bags, width]; it can be differentiated once, in ``table``.
    """
    return _SparseSums.apply(table, items, starts, weights)


def entries_of_rows(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return dense rows that are nearly all zeros as bags.

    Args:
        rows: [bags, n].

    Returns:
        Items, long [total], the bags one after the other; where each bag begins, long [bags]; and the
        values there, [total], through which gradients reach the rows.
    """
    bags, items = rows.nonzero(as_tuple=True)
    ends = torch.bincount(bags, minlength=len(rows)).cumsum(0)
    return items, F.pad(ends, (1, 0))[:-1], rows[bags, items]
