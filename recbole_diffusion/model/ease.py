"""EASE's weights in the memory of one double-precision matrix of items x items, and their products."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil
import scipy.sparse as sp
import torch
from torch import Tensor
from torch.nn import functional

from recbole_diffusion.errors import UsageError

TOLD = 8_000  # rows of a matrix whose inversion is told beforehand
SAMPLE = 2_000  # rows of the matrix that says how long it will take
BLOCK = 2**21  # cells of a block of columns or rows: 16 MB
STRIP = 2**19  # numbers in a strip of a matrix of items x items: 2 MB


class Strips:
    """A dense matrix of items x items as strips of columns that stay in the cache, for products with rows.

    Args:
        matrix: float32 [n_items, n_items]; the strips are a copy.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        whole = torch.from_numpy(np.asarray(matrix))
        # A multiple of 16 columns, one strip about as large as STRIP.
        width = max(STRIP // len(whole) // 16 * 16, 16)
        self.parts = [one.contiguous() for one in whole.split(width, 1)]

    def times(self, rows: sp.csr_matrix) -> Tensor:
        """Return the product of CSR rows [batch, n_items] with the matrix, float32 [batch, n_items]."""
        # The rows as bags of items for each strip.
        items, starts = torch.from_numpy(rows.indices).long(), torch.from_numpy(rows.indptr[:-1]).long()
        weights = torch.from_numpy(rows.data)
        found = [
            functional.embedding_bag(items, strip, starts, mode="sum", per_sample_weights=weights)
            for strip in self.parts
        ]
        return torch.cat(found, 1)


def ease_weights(interactions: sp.csr_matrix, reg_weight: float | np.ndarray) -> np.ndarray:
    """Return B of EASE (Steck, WWW 2019, Eq. 8): B_ij = -P_ij / P_jj, P = (X^T X + reg_weight I)^-1.

    Args:
        interactions: X, CSR [n_users, n_items].
        reg_weight: lambda, or one for each item, [n_items].

    Returns:
        float32 [n_items, n_items], row by row, its diagonal 0.

    Raises:
        LinAlgError: X^T X + reg_weight I is not positive definite.
    """
    return ease_parts(interactions, reg_weight)[0]


def ease_parts(interactions: sp.csr_matrix, reg_weight: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return B of :func:`ease_weights` and the diagonal of P, float64 [n_items]; the same arguments."""
    # P is symmetric, so that its columns, divided by the diagonal, are rows of what is returned.
    weights, diagonal = regularised_inverse(
        interactions, reg_weight, lambda inverse: inverse.diagonal().copy(), by_diagonal=True
    )
    np.fill_diagonal(weights, 0.0)
    return weights, diagonal


def regularised_inverse(
    interactions: sp.csr_matrix,
    reg_weight: float | np.ndarray,
    read: Callable[[np.ndarray], Any] | None = None,
    by_diagonal: bool = False,
) -> tuple[np.ndarray, Any]:
    """Return P = (X^T X + reg_weight I)^-1 in single precision, and what is read from it in double.

    The Gram matrix, its Cholesky factor and P are one after the other in the same memory, of n^2 doubles,
    whose first half the result has at the end. A general inverse, RecBole's, holds four such matrices.

    Args:
        interactions: X, CSR [., n].
        reg_weight: lambda, or one for each column, [n].
        read: called with P, float64 [n, n]; None: nothing is.
        by_diagonal: divide each row i of the result by -P_jj at its columns j, as EASE does.

    Returns:
        float32 [n, n], row by row, and what ``read`` returns.

    Raises:
        LinAlgError: X^T X + reg_weight I is not positive definite.
    """
    from scipy.linalg import lapack

    n = interactions.shape[1]
    _check_room(n)
    memory = np.empty(n * n)
    inverse = memory.reshape((n, n), order="F")  # column by column, as LAPACK takes it without a copy
    _fill_gram(inverse, interactions, reg_weight)
    if n >= TOLD:
        _tell_duration(n)
    _, failed = lapack.dpotrf(inverse, lower=1, overwrite_a=1, clean=0)  # L, L L^T = X^T X + lambda I
    if not failed:
        _, failed = lapack.dpotri(inverse, lower=1, overwrite_c=1)  # the lower triangle of P
    if failed:
        raise np.linalg.LinAlgError("it is not positive definite")
    _mirror(inverse)
    found = read(inverse) if read else None
    diagonal = -inverse.diagonal() if by_diagonal else np.ones(n)
    # P is symmetric: its columns are rows. Row i goes to the place of rows that are done already.
    rows, result = memory.reshape(n, n), memory.view(np.float32)[: n * n].reshape(n, n)
    for block in _blocks(n):
        result[block] = rows[block] / diagonal
    del inverse, rows, result
    memory.resize((n * n + 1) // 2, refcheck=False)  # the other half is given back
    return memory.view(np.float32)[: n * n].reshape(n, n), found


def _check_room(n: int) -> None:
    """Raise UsageError if this machine cannot hold a matrix of n^2 doubles."""
    needed, there = n * n * 8, psutil.virtual_memory().total
    if needed > there:
        raise UsageError(
            f"EASE and EDLAE invert a matrix of {n:,} x {n:,}, the smaller of users and items, which takes "
            f"{needed / 2**30:,.1f} GiB; this machine has {there / 2**30:,.1f} GiB. --model=SparseEASE holds "
            "k weights an item instead"
        )


def _tell_duration(n: int) -> None:
    """Log how long the inversion of a matrix [n, n] will take: LAPACK shows no progress."""
    from scipy.linalg import lapack

    sample = np.asfortranarray(np.eye(SAMPLE))
    clock = time.perf_counter()
    factor, _ = lapack.dpotrf(sample, lower=1, overwrite_a=1)
    lapack.dpotri(factor, lower=1, overwrite_c=1)
    # Both take n^3 operations together.
    seconds = (time.perf_counter() - clock) * (n / SAMPLE) ** 3
    logging.getLogger().info(
        "inverting a matrix of %s x %s, about %.0f s in which nothing is shown", f"{n:,}", f"{n:,}", seconds
    )


def _blocks(n: int) -> Iterator[slice]:
    width = max(BLOCK // max(n, 1), 1)
    return (slice(start, min(start + width, n)) for start in range(0, n, width))


def _fill_gram(gram: np.ndarray, interactions: sp.csr_matrix, reg_weight: float | np.ndarray) -> None:
    """Write X^T X + reg_weight I, float64 [n_items, n_items]."""
    exact = interactions.astype(np.float64)
    columns, transposed = exact.tocsc(), exact.T.tocsr()
    for block in _blocks(len(gram)):
        gram[:, block] = (transposed @ columns[:, block]).toarray()
    gram[np.diag_indices(len(gram))] += reg_weight


def _mirror(matrix: np.ndarray) -> None:
    """Copy the lower triangle to the upper one, in place."""
    for block in _blocks(len(matrix)):
        square = np.tril(matrix[block, block])
        matrix[block, block] = square + np.tril(square, -1).T
        matrix[block, block.stop :] = matrix[block.stop :, block].T
