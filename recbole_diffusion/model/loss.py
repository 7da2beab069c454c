"""Losses that several models share, as functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.model.bags import sparse_sums
from recbole_diffusion.model.layers import bag_sums, gram

# A gathered row costs as much as about 25 multiplied cells, so that dense rows of a small catalogue are
# multiplied.
DENSE_RATIO, DENSE_CELLS = 25, 2**23
MANY_ENTRIES = 2**20  # of the bags of a batch, from which on their gradient is worth a matrix of its own


def full_catalogue_squared_error(
    vectors: Tensor, items: Tensor, positive_sums: Tensor, counts: Tensor
) -> Tensor:
    """Return sum_i (x_ui - u . h_i)^2 over all items for binary x, without an array of [batch, n_items].

    Identity 2 of ``docs/architecture.md``. The square, expanded: sum_i x_ui^2 - 2 u . sum_i x_ui h_i + u
    (sum_i h_i h_i^T) u^T, and for binary x the first sum is |N(u)|, the second runs over N(u), and the third
    is the Gram matrix of the items, one for the whole batch (in use for decades in implicit ALS).

    Args:
        vectors: u, [batch, width].
        items: H, [n_items, width].
        positive_sums: sum of h_i over the user's positives, [batch, width].
        counts: |N(u)|, [batch].

    Returns:
        [batch].
    """
    quadratic = ((vectors @ gram(items)) * vectors).sum(1)  # u (H^T H) u^T, [batch]
    # |N(u)| - 2 u . (sum of h_i over N(u)) + u (H^T H) u^T
    return counts - 2 * (vectors * positive_sums).sum(1) + quadratic


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(positive - negative) over pairs (Rendle et al. 2009)."""
    return bpr_terms(positive, negative).mean()


def bpr_terms(positive: Tensor, negative: Tensor) -> Tensor:
    """Return -log sigmoid(positive - negative) of each pair."""
    return -F.logsigmoid(positive - negative)


def margin_weights(margins: Tensor, power: float) -> Tensor:
    """Return weights (1 + m / mean of m)^power of hard negatives, whose mean is 1; ours.

    Args:
        margins: by how much each negative's score is above what its row accepts from, [pairs]; an estimated
            threshold may be above it, which counts as 0.
        power: above 0, the negatives that score highest weigh most; below 0, least, as the likeliest to be
            items that the user would take.
    """
    above = margins.double().clamp(min=0)  # in which no power that is taken overflows
    weights = (1 + above / above.mean().clamp(min=torch.finfo(margins.dtype).tiny)) ** power
    return (weights / weights.mean()).to(margins.dtype)


def binary_cross_entropy(positive: Tensor, negative: Tensor) -> Tensor:
    """Return the sum of -log sigmoid(positive) and -log(1 - sigmoid(negative)) over all given scores."""
    return -F.logsigmoid(positive).sum() - F.logsigmoid(-negative).sum()


def negative_log_likelihood(positive: Tensor) -> Tensor:
    """Return the sum of -log sigmoid(positive): cross entropy that leaves the other items out."""
    return -F.logsigmoid(positive).sum()


def sum_by_row(table: Tensor, items: Tensor, starts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the (weighted) sum of table rows for each bag of items: a sparse row times a dense matrix.

    Args:
        table: [n_items, width].
        items: long [total], the bags one after the other.
        starts: long [batch], where each bag begins; an empty bag gives zeros.
        weights: [total] or None for ones.

    Returns:
        [batch, width].
    """
    # Cells of the bags as dense rows, and whether these are the cheaper way.
    cells = len(starts) * len(table)
    dense = len(items) * DENSE_RATIO >= cells
    if dense and cells > DENSE_CELLS >= len(table):  # many rows of a small catalogue
        return _sum_by_blocks(table, items, starts, weights)
    if dense and cells <= DENSE_CELLS:
        ends = torch.cat([starts[1:], starts.new_tensor([len(items)])])
        rows = torch.repeat_interleave(torch.arange(len(starts), device=items.device), ends - starts)
        # Without a gradient to the weights, the dense rows can lie in memory that batches share.
        if weights is None or not weights.requires_grad:
            return bag_sums(table, rows, items, len(starts), weights)
        bags = table.new_zeros(len(starts), len(table))  # dense rows, [batch, n_items]
        return bags.index_put_((rows, items), weights, accumulate=True) @ table
    if len(items) == 0:
        # Zeros that depend on the table, so that it has a gradient, of zeros.
        return table.new_zeros(len(starts), table.shape[1]) + 0 * table.sum()
    plain = weights is None or not weights.requires_grad
    if len(items) >= MANY_ENTRIES and plain and table.device.type == "cpu":
        return sparse_sums(table, items, starts, weights)
    return F.embedding_bag(items, table, starts, mode="sum", per_sample_weights=weights)


def _sum_by_blocks(table: Tensor, items: Tensor, starts: Tensor, weights: Tensor | None) -> Tensor:
    """Return :func:`sum_by_row` of blocks of bags, each small enough for dense rows."""
    firsts = starts.split(max(1, DENSE_CELLS // len(table)))
    places = [int(block[0]) for block in firsts] + [len(items)]
    sums = []
    for block, start, end in zip(firsts, places, places[1:], strict=False):
        some = None if weights is None else weights[start:end]
        sums.append(sum_by_row(table, items[start:end], block - start, some))
    return torch.cat(sums)


def dropout(values: Tensor, prob: float) -> Tensor:
    """Return ``values`` after dropout: 0 with probability ``prob``, else divided by 1 - prob; no gradient.

    On a CPU torch's own dropout takes three times as long.
    """
    # rand >= prob holds with probability 1 - prob; all in one new tensor.
    return torch.rand_like(values).ge_(prob).mul_(values).div_(1 - prob) if prob else values


def xavier(rows: int, columns: int) -> torch.nn.Parameter:
    """Return a new parameter [rows, columns] by Glorot's normal rule."""
    return torch.nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(rows, columns)))
