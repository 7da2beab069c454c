"""The cells of a score table that can be in a list, found by passes that read the table once."""

import numpy as np
import torch
from torch import Tensor

GROUPS = 8  # groups of items for each place of a list: the floor then keeps about 1.07 cells for each place
DENSE = 8  # cells are not picked out if more than one in so many is kept


def floor_of(scores: Tensor, k: int) -> Tensor | None:
    """Return a number for each row, [batch, 1], that at least ``k`` of its scores reach.

    The k-th largest of the maxima of more than k groups of columns: each of the k groups has such a score.

    Args:
        scores: [batch, n], no NaN.
        k: at least 1.

    Returns:
        None where n is too small for so many groups.
    """
    groups, n = GROUPS * k, scores.shape[1]
    size = n // groups
    if size < DENSE:
        return None
    # Column c is in group c mod groups, so that a group's maximum is one of whole vectors: [batch, groups].
    largest = scores[:, : size * groups].unflatten(1, (size, groups)).amax(1)
    if largest.device.type == "cpu":  # numpy selects three times as fast
        # The k-th largest maximum of each row, [batch, 1]: k groups reach it, each with one score at least.
        return torch.from_numpy(np.partition(largest.detach().numpy(), groups - k, 1)[:, groups - k, None])
    return largest.topk(k).values[:, -1:]


def cells_from(scores: Tensor, floor: Tensor, width: int = 0) -> tuple[Tensor, Tensor] | None:
    """Return the scores from a floor on, and their columns, [batch, w] each; -inf and column 0 behind them.

    Args:
        scores: [batch, n].
        floor: [batch, 1]; -inf is never picked out, whatever the floor.
        width: the smallest w.

    Returns:
        None if there are so many that picking them out is not worthwhile.
    """
    # Above -inf always, so that masked cells are never among those picked out.
    floor = floor.clamp(min=torch.finfo(scores.dtype).min)
    if scores.device.type == "cpu":  # numpy compares twice as fast and finds five times as fast
        cells = torch.from_numpy(np.flatnonzero(scores.detach().numpy() >= floor.detach().numpy()))
    else:
        cells = (scores >= floor).flatten().nonzero().view(-1)
    if len(cells) * DENSE > scores.numel():
        return None
    # Row and place of each cell: the flat table is read in order, so that a row's cells follow each other.
    row = torch.div(cells, scores.shape[1], rounding_mode="floor")
    counts = torch.bincount(row, minlength=len(scores))
    place = torch.arange(len(cells), device=cells.device) - (counts.cumsum(0) - counts)[row]  # in its row
    shape = len(scores), max(int(counts.max()) if len(counts) else 0, width)
    # [batch, w]: what a row lacks of w is -inf at column 0, and cannot get into a list.
    values, columns = scores.new_full(shape, -torch.inf), cells.new_zeros(shape)
    values[row, place] = scores.flatten()[cells]
    columns[row, place] = cells - row * scores.shape[1]
    return values, columns
