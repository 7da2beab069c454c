"""Building blocks that several models share: dense products with an exact, cheap backward pass."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_diffusion.model.precision import in_single


class _Gram(torch.autograd.Function):
    """X^T X; one product in the backward pass where autograd would do two.

    Of a wide X only the blocks on and above the diagonal are multiplied, five eighths of the product.
    """

    parts, wide = 4, 256  # blocks of columns; width from which they are used

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        width = rows.shape[1]
        if width < _Gram.wide:
            return rows.T @ rows
        whole, size = rows.new_empty(width, width), -(-width // _Gram.parts)
        for start in range(0, width, size):
            stop = min(start + size, width)
            torch.mm(rows[:, start:stop].T, rows[:, start:], out=whole[start:stop, start:])
            whole[stop:, start:stop] = whole[start:stop, stop:].T
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        # dX = X (dG + dG^T) for G = X^T X.
        return rows @ (gradient + gradient.T)


@in_single
def gram(rows: Tensor) -> Tensor:
    """Return ``rows.T @ rows``: [n, width] -> [width, width]."""
    return _Gram.apply(rows)


class _BagSums(torch.autograd.Function):
    """X @ table for dense rows X [bags, n] that are written into memory of an earlier batch.

    Fresh memory of this size costs as much as the product: the system hands it over page by page.
    """

    spare: ClassVar[list[Tensor]] = []  # flat buffers that no batch is using

    @classmethod
    def rows(cls, like: Tensor, cells: int) -> Tensor:
        """Return a zeroed flat buffer of ``cells`` numbers, of the type and on the device of ``like``."""
        for number, buffer in enumerate(cls.spare):
            if buffer.dtype == like.dtype and buffer.device == like.device and len(buffer) >= cells:
                return cls.spare.pop(number)[:cells].zero_()
        return like.new_zeros(cells)

    @classmethod
    def give_back(cls, buffer: Tensor) -> None:
        """Keep a buffer for the next batch; a few sizes at most."""
        whole = buffer if buffer._base is None else buffer._base
        cls.spare = [*cls.spare[-3:], whole.view(-1)]

    @staticmethod
    def forward(
        ctx: Any, table: Tensor, rows: Tensor, items: Tensor, n_rows: int, weights: Tensor | None
    ) -> Tensor:
        # [n_rows * n] zeros, in the memory of an earlier batch where that is large enough.
        flat = _BagSums.rows(table, n_rows * len(table))
        # Without weights a single 1, expanded: it takes no memory of its own.
        values = table.new_ones(1).expand(len(items)) if weights is None else weights
        # An item that is twice in a bag adds up in its cell.
        flat.scatter_add_(0, rows * len(table) + items, values)
        bags = flat.view(n_rows, len(table))  # [bags, n]
        sums = bags @ table
        # Kept for the backward pass; without one the memory is free at once.
        ctx.bags = bags if ctx.needs_input_grad[0] else None
        if ctx.bags is None:
            _BagSums.give_back(flat)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        bags, ctx.bags = ctx.bags, None  # a second backward pass would find another batch's rows: it fails
        # The gradient of bags @ table by the table, [n, width].
        found = bags.T @ gradient
        _BagSums.give_back(bags)
        return found, None, None, None, None


@in_single
def bag_sums(
    table: Tensor, rows: Tensor, items: Tensor, n_rows: int, weights: Tensor | None = None
) -> Tensor:
    """Return the (weighted) sum of table rows of each bag, by a dense product; for small tables.

    Args:
        table: [n, width].
        rows: long [total], the bag of each entry.
        items: long [total], its table row.
        n_rows: number of bags.
        weights: [total], without a gradient, or None for ones.

    Returns:
        [n_rows, width]; it can be differentiated once, in ``table``.
    """
    return _BagSums.apply(table, rows, items, n_rows, weights)


@torch.no_grad()
def noise_factor(weights: Tensor) -> Tensor:
    """Return C with C^T C = W^T W: noise of n dimensions times W, drawn in the width of W (identity 3).

    eps C with eps ~ N(0, I_width) is distributed as eps W with eps ~ N(0, I_n), see ``docs/architecture.md``.

    It is the Cholesky factor in float64, with a ridge of 1e-12 of the mean diagonal for a W of lower rank
    than its width.

    Args:
        weights: W, [n, width].

    Returns:
        C, [width, width], of the type of ``weights``.
    """
    # [width, width] in float64: rounding in float32 could leave it without a Cholesky factor.
    covariance = gram(weights.double())
    # Far below the diagonal itself, for a W whose columns depend on each other.
    covariance.diagonal().add_(1e-12 * covariance.diagonal().mean() + 1e-30)
    # Cholesky gives L with L L^T = W^T W; C is L^T.
    return torch.linalg.cholesky(covariance).T.to(weights.dtype)


class _PairScores(torch.autograd.Function):
    """left[i_k] . right[j_k] for a list of pairs, the cheapest way, never with all pairs' rows at once."""

    block_numbers = 2**24  # numbers gathered at once: 64 MB of float32
    # The whole product costs less from one pair in 50 of its cells on; measured for widths of 64 and 100.
    dense_cells, dense_ratio = 2**23, 50

    @staticmethod
    def is_dense(left: Tensor, right: Tensor, i: Tensor) -> bool:
        """Return whether the whole product is cheaper: it is small, and many of its cells are asked for."""
        cells = len(left) * len(right)
        return cells <= _PairScores.dense_cells and len(i) * _PairScores.dense_ratio >= cells

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, i: Tensor, j: Tensor) -> Tensor:
        ctx.save_for_backward(left, right, i, j)
        if _PairScores.is_dense(left, right, i):
            # All scores, [rows, columns], then those of the pairs.
            return (left @ right.T)[i, j]
        block = max(1, _PairScores.block_numbers // left.shape[1])
        parts = [(left[a] * right[b]).sum(1) for a, b in zip(i.split(block), j.split(block), strict=True)]
        return torch.cat(parts) if parts else left.new_zeros(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        left, right, i, j = ctx.saved_tensors
        if _PairScores.is_dense(left, right, i):
            # dS, 0 at the cells that were not asked for: d left = dS right and d right = dS^T left.
            table = gradient.new_zeros(len(left), len(right)).index_put_((i, j), gradient, accumulate=True)
            return table @ right, table.T @ left, None, None
        if len(i) * left.shape[1] <= _PairScores.block_numbers:
            # Pair by pair: d left[i] += g right[j], d right[j] += g left[i].
            column = gradient[:, None]
            d_left = torch.zeros_like(left).index_add_(0, i, column * right[j])
            return d_left, torch.zeros_like(right).index_add_(0, j, column * left[i]), None, None
        # With S sparse, S[i_k, j_k] += gradient_k: d left = S right and d right = S^T left.
        shape = (left.shape[0], right.shape[0])
        forth = torch.sparse_coo_tensor(torch.stack([i, j]), gradient, shape, check_invariants=False)
        back = torch.sparse_coo_tensor(torch.stack([j, i]), gradient, shape[::-1], check_invariants=False)
        return forth.to_sparse_csr() @ right, back.to_sparse_csr() @ left, None, None


@in_single
def pair_scores(left: Tensor, right: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return the inner products of chosen pairs of rows.

    Args:
        left: [rows, width].
        right: [columns, width].
        i: long [pairs], rows of ``left``.
        j: long [pairs], rows of ``right``.

    Returns:
        [pairs].
    """
    return _PairScores.apply(left, right, i, j)


class _LogSumExp(torch.autograd.Function):
    """log sum_j exp(left_i . right_j), row blocks after row blocks.

    With S = left right^T and l_i = log sum_j exp S_ij, dl_i / dS_ij = exp(S_ij - l_i) = P_ij, so that a
    gradient g of l gives d left = (g P) right and d right = (g P)^T left. S costs little beside what autograd
    does cell by cell with arrays of all rows: the backward pass multiplies its blocks again, which stay in
    the cache.
    """

    block_cells, fewest_rows = 2**17, 32  # of S, half a MB of float32

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        size = _LogSumExp.rows(right)
        found = torch.cat([(some @ right.T).logsumexp(1) for some in left.split(size)])
        ctx.save_for_backward(left, right, found)
        return found

    @staticmethod
    def rows(right: Tensor) -> int:
        """Return the rows of a block; a device has the room and the need for larger ones."""
        cells = _LogSumExp.block_cells * (1 if right.device.type == "cpu" else 256)
        return max(_LogSumExp.fewest_rows, cells // max(1, len(right)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        left, right, found = ctx.saved_tensors
        d_left, d_right = torch.empty_like(left), torch.zeros_like(right)
        size = _LogSumExp.rows(right)
        blocks = (part.split(size) for part in (left, d_left, found, gradient))
        for some, d_some, logs, weights in zip(*blocks, strict=True):
            # g P, [rows, columns]; exp(S - l) times the row's gradient.
            share = torch.addmm(-logs[:, None], some, right.T).exp_().mul_(weights[:, None])
            torch.mm(share, right, out=d_some)
            d_right.addmm_(share.T, some)
        return d_left, d_right


@in_single
def log_sum_exp(left: Tensor, right: Tensor) -> Tensor:
    """Return log sum_j exp(left_i . right_j), [rows], without an array of [rows, columns].

    Args:
        left: [rows, width], at least one row.
        right: [columns, width].
    """
    return _LogSumExp.apply(left, right)
