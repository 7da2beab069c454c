"""Sparse products, and LightGCN's propagation by them, with exact and cheap backward passes.

Longer than most files: the matrices and the one operator over them.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recbole_diffusion.model.precision import in_single


class _Rows(NamedTuple):
    """A constant sparse matrix by rows.

    Attributes:
        offsets: where each row's entries begin, and the end of the last, [rows + 1].
        columns: of the entries, [entries], of the same integer type.
        values: of the entries, [entries].
        n_columns: number of columns.
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor
    n_columns: int

    def times(self, dense: Tensor) -> Tensor:
        """Return the product with dense [columns, width], [rows, width]."""
        if dense.device.type != "cpu":
            return self.csr() @ dense
        # A row of the product is a weighted sum of rows of ``dense``. As sums of bags it takes half the time
        # of torch's own product, which copies the indices and clears its result on each call.
        return F.embedding_bag(
            self.columns,
            dense.detach().contiguous(),
            self.offsets,
            mode="sum",
            per_sample_weights=self.values,
            include_last_offset=True,
        )

    def chosen(self, some: Tensor) -> Self:
        """Return some of the rows, long [n]."""
        starts = self.offsets[some]
        counts = self.offsets[some + 1] - starts
        offsets = F.pad(counts.cumsum(0, dtype=counts.dtype), (1, 0))
        places = torch.repeat_interleave(starts - offsets[:-1], counts)  # of the entries, less their number
        places += torch.arange(len(places), dtype=places.dtype, device=places.device)
        return type(self)(offsets, self.columns[places], self.values[places], self.n_columns)

    def back_times(self, dense: Tensor) -> Tensor:
        """Return the product of the transpose with dense [rows, width], [columns, width]; for few entries."""
        counts = self.offsets.diff()
        rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        entries = dense.index_select(0, rows).mul_(self.values[:, None])  # [entries, width]
        return dense.new_zeros(self.n_columns, dense.shape[1]).index_add_(0, self.columns, entries)

    def csr(self) -> Tensor:
        """Return the matrix as a torch CSR tensor on the same memory."""
        shape = (len(self.offsets) - 1, self.n_columns)
        return torch.sparse_csr_tensor(self.offsets, self.columns, self.values, shape, check_invariants=False)


class _Product(torch.autograd.Function):
    """A @ X for a constant sparse A; the backward pass uses a stored A^T."""

    @staticmethod
    def forward(ctx: Any, matrix: _Rows, transposed: _Rows, dense: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix.times(dense)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor]:
        # The gradient of A X by X is A^T times the gradient of the product; A is constant.
        return None, None, ctx.transposed.times(gradient)


class SparseMatrix(nn.Module):
    """A constant sparse matrix A: ``A(x) = A @ x`` and ``A.back(x) = A^T @ x``, both differentiable in x.

    It moves with the model to its device, and stays out of checkpoints.

    Args:
        matrix: scipy CSR matrix, [rows, columns].
    """

    offsets: Tensor
    columns: Tensor
    values: Tensor
    back_offsets: Tensor
    back_columns: Tensor
    back_values: Tensor

    def __init__(self, matrix: sp.csr_matrix) -> None:
        super().__init__()
        self.shape = matrix.shape
        # Half the memory of 64-bit indices, and faster; a longer matrix has too many entries to number.
        index = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
        for prefix, rows in (("", matrix.tocsr()), ("back_", matrix.T.tocsr())):
            offsets, columns = (torch.from_numpy(part.astype(index)) for part in (rows.indptr, rows.indices))
            self.register_buffer(f"{prefix}offsets", offsets, persistent=False)
            self.register_buffer(f"{prefix}columns", columns, persistent=False)
            self.register_buffer(f"{prefix}values", torch.from_numpy(rows.data), persistent=False)

    @property
    def forth_rows(self) -> _Rows:
        """A by its rows."""
        return _Rows(self.offsets, self.columns, self.values, self.shape[1])

    @property
    def back_rows(self) -> _Rows:
        """A^T by its rows."""
        return _Rows(self.back_offsets, self.back_columns, self.back_values, self.shape[0])

    @property
    def ways_back(self) -> tuple[_Rows, _Rows]:
        """The rows by which gradients go: the square adjacency is its own transpose."""
        return self.forth_rows, self.back_rows

    @property
    def matrix(self) -> Tensor:
        """A as a torch CSR tensor."""
        return self.forth_rows.csr()

    @property
    def transposed(self) -> Tensor:
        """A^T as a torch CSR tensor."""
        return self.back_rows.csr()

    @in_single
    def forward(self, dense: Tensor) -> Tensor:
        """Return A @ dense: [columns, width] -> [rows, width]."""
        return _Product.apply(self.forth_rows, self.back_rows, dense)

    @in_single
    def back(self, dense: Tensor) -> Tensor:
        """Return A^T @ dense: [rows, width] -> [columns, width]."""
        return _Product.apply(self.back_rows, self.forth_rows, dense)


class VaryingMatrix(SparseMatrix):
    """A sparse matrix whose entries stay where they are and get other values, see :meth:`put`."""

    order: Tensor
    _ways_back: tuple[_Rows, _Rows] | None = None

    def __init__(self, matrix: sp.csr_matrix) -> None:
        super().__init__(matrix)
        numbers = sp.csr_matrix((np.arange(matrix.nnz), matrix.indices, matrix.indptr), matrix.shape)
        # Of each entry of the transpose, by its rows: its number among the entries of the matrix.
        self.register_buffer("order", torch.from_numpy(numbers.T.tocsr().data), persistent=False)

    def put(self, values: Tensor, back: Tensor | None = None) -> None:
        """Replace the values of the entries; products that were made keep theirs.

        Args:
            values: of the matrix, [entries] by its rows.
            back: in the same order, those of the matrix whose transpose leads back; None for the same.
        """
        self.values, self.back_values = values, (values if back is None else back)[self.order]
        self._ways_back = None
        if back is not None:
            self._ways_back = (
                self.forth_rows._replace(values=back),
                self.back_rows._replace(values=values[self.order]),
            )

    @property
    def ways_back(self) -> tuple[_Rows, _Rows]:
        """The rows by which gradients go: of the transpose of the square adjacency."""
        return super().ways_back if self._ways_back is None else self._ways_back


class _MeanOfLayers(torch.autograd.Function):
    """The mean over the layers of LightGCN's propagation, which is linear and its own transpose.

    By Horner's rule, (x + A (x + A (...))) / (layers + 1), in the memory of two layers and with none kept for
    the backward pass. Of the last layer only the rows that are asked for are computed, and the backward pass
    begins with those alone.
    """

    few_entries = 8  # rows with less than an eighth of the entries are spread by entry, not by a product

    @staticmethod
    def forward(
        ctx: Any,
        graph: tuple[_Rows, _Rows],
        ways_back: tuple[_Rows, _Rows],
        n_layers: int,
        users: Tensor,
        items: Tensor,
        some: tuple[Tensor, Tensor],
        whole: bool,
    ) -> tuple[Tensor, Tensor]:
        forth, back = graph
        of_users, of_items = users, items
        for _ in range(n_layers - 1):
            of_users, of_items = forth.times(of_items).add_(users), back.times(of_users).add_(items)
        # All rows in their order, or copies of those that are asked for.
        chosen = (forth, back) if whole else (forth.chosen(some[0]), back.chosen(some[1]))
        ctx.kept = ways_back, n_layers, some, chosen
        share = 1 / (n_layers + 1)

        def last(rows: _Rows, across: Tensor, own: Tensor, which: Tensor) -> Tensor:
            found = rows._replace(values=rows.values * share).times(across)
            return found.add_(own.index_select(0, which), alpha=share)

        return last(chosen[0], of_items, users, some[0]), last(chosen[1], of_users, items, some[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, Tensor, Tensor, None, None]:
        (forth, back), n_layers, some, (of_users, of_items) = ctx.kept
        users, items = (one / (n_layers + 1) for one in gradients)  # of the rows that were asked for
        sums = (
            _MeanOfLayers.spread(items, some[1], of_items, forth),
            _MeanOfLayers.spread(users, some[0], of_users, back),
        )
        for layer in range(n_layers):
            if layer:
                sums = forth.times(sums[1]), back.times(sums[0])
            sums[0].index_add_(0, some[0], users)
            sums[1].index_add_(0, some[1], items)
        return None, None, None, *sums, None, None

    @staticmethod
    def spread(rows: Tensor, some: Tensor, chosen: _Rows, across: _Rows) -> Tensor:
        """Return the product of ``across`` with a table that has ``rows`` at the numbers ``some``, else 0."""
        if len(chosen.columns) * _MeanOfLayers.few_entries < len(across.columns):
            return chosen.back_times(rows)
        return across.times(rows.new_zeros(across.n_columns, rows.shape[1]).index_add_(0, some, rows))


def layers_of(
    graph: SparseMatrix, n_layers: int, users: Tensor, items: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Return the vectors of each layer, the input first: n_layers + 1 pairs of [n_users, d] and [n_items, d].

    Args:
        graph: R_norm, [n_users, n_items].
        n_layers: number of propagations.
        users: input vectors, [n_users, d].
        items: input vectors, [n_items, d].
    """
    found = [(users, items)]
    for _ in range(n_layers):
        # E_U of the next layer is R_norm E_I, and E_I is R_norm^T E_U, both of this layer.
        of_users, of_items = found[-1]
        found.append((graph(of_items), graph.back(of_users)))
    return found


@in_single
def mean_of_layers(
    graph: SparseMatrix,
    n_layers: int,
    users: Tensor,
    items: Tensor,
    some: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the mean of the input and ``n_layers`` propagations over a bipartite graph (LightGCN, Eq. 4).

    Args:
        graph: R_norm, [n_users, n_items].
        n_layers: number of propagations.
        users: input vectors, [n_users, d].
        items: input vectors, [n_items, d].
        some: users and items whose vectors are returned, long [m] and [n], better each once; None for all.

    Returns:
        user vectors [n_users, d] or [m, d], and item vectors [n_items, d] or [n, d]; they can be
        differentiated once.
    """
    whole = some is None
    if n_layers == 0:
        return (users, items) if some is None else (users[some[0]], items[some[1]])
    if some is None:
        some = (
            torch.arange(len(users), device=users.device),
            torch.arange(len(items), device=items.device),
        )
    rows = graph.forth_rows, graph.back_rows
    return _MeanOfLayers.apply(rows, graph.ways_back, n_layers, users, items, some, whole)
