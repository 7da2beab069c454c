"""The best items of a block of users, with one rule for equal scores, in evaluation and in serving.

``torch.topk`` returns equal values in an order that depends on k, on the batch and on the device; where equal
scores continue beyond the end of a list, that order decides which items are in it. Item ids would not be
better: they follow the file, and so popularity. Here equal scores are ordered by a number made of the user's
and the item's ids alone. So a list is the beginning of each longer one, and a model that gives all items one
score finds a held-out item as often as chance does.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.candidates import cells_from, floor_of

# What the metrics in result.json mean. 1: equal scores in the order of torch.topk, RecBole's own metrics.
# 2: equal scores by tie_keys, metrics of evaluation/metrics.py.
METRICS_VERSION = 2
NO_USER = 0  # new users have no id: their equal scores are ordered as for this one
CELLS = 2**22  # of the score table searched for ties at once
_BITS = 0xFFFFFFFF
NO_KEY = _BITS + 1  # above all keys


@dataclass(frozen=True)
class RankedBatch:
    """The first K items of each user of a batch, compared with the held-out items.

    Attributes:
        users: internal ids, long [batch].
        items: item ids from the first place to the last, long [batch, K]; 0 where only masked items were
            left.
        hits: whether the item in this place is held out, bool [batch, K].
        positives: number of distinct held-out items, long [batch].
        equal: whether every user with two candidates or more has one score for all of them; None where no
            user has two.
    """

    users: Tensor
    items: Tensor
    hits: Tensor
    positives: Tensor
    equal: bool | None


def _mixed(numbers: Tensor) -> Tensor:
    """Return a permutation of the whole numbers below 2^32 without visible order, int64.

    Shifts and products of odd constants (the two-round form of C. Wellons' search for integer hashes). A
    product overflows 64 bits, which leaves its low 32 bits right on every device.
    """
    numbers = ((numbers ^ (numbers >> 16)) * 0x7FEB352D) & _BITS
    numbers = ((numbers ^ (numbers >> 15)) * 0x846CA68B) & _BITS
    return numbers ^ (numbers >> 16)


def tie_keys(users: Tensor, items: Tensor) -> Tensor:
    """Return the numbers that order equal scores, the smallest first: int64, from 0 to 2^32 - 1.

    Two items of one user never have the same number.

    Args:
        users: internal ids, long, of a shape that fits ``items``.
        items: item ids, long.
    """
    return _mixed(items ^ _mixed(users + 1))


def best_items(scores: Tensor, users: Tensor, k: int, items: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest scores of each row and their items, equal scores by :func:`tie_keys`.

    Costs a pass over the table and a ``topk`` of the few cells that can be in a list, or of all where the
    table is small, and more only for rows with equal scores among their first k + 1.

    Args:
        scores: [batch, n], no NaN; -inf where an item is left out.
        users: internal ids, long [batch].
        k: at most n.
        items: item ids of the columns, long [n] or [batch, n]; by default the numbers of the columns.

    Returns:
        Scores [batch, k], descending, and item ids, long [batch, k], which mean nothing where the score is
        -inf.
    """
    # One place more than asked for shows whether the last score continues beyond the list.
    floor = floor_of(scores, k + 1)
    few = None if floor is None else cells_from(scores, floor, k)
    if few is not None:  # all cells with the last score are among them
        scores, columns = few
        items = columns if items is None else _columns(items, columns)
    # [batch, k + 1], the last only to see whether it equals the one before.
    values, places = scores.topk(min(k + 1, scores.shape[1]))
    more = values[:, k:] == values[:, k - 1 : k]  # [batch, 1], or [batch, 0] where the list holds all
    values, places = values[:, :k], places[:, :k]
    listed = values > -torch.inf
    # Rows whose last score continues beyond the list, and is not -inf.
    tied = (more.any(1) & listed[:, -1]).nonzero().view(-1)
    for rows in tied.split(max(1, CELLS // scores.shape[1])) if len(tied) else ():
        places[rows] = _with_ties(scores[rows], users[rows], values[rows], places[rows], items, rows)
    found = places if items is None else _columns(items, places)
    # Rows with equal scores inside the list, which are put in the order of keys.
    equal = ((values[:, 1:] == values[:, :-1]) & listed[:, 1:]).any(1).nonzero().view(-1)
    if len(equal):
        found[equal] = _in_order(values[equal], found[equal], users[equal])
    return values, found


def _columns(items: Tensor, places: Tensor) -> Tensor:
    """Return the item ids of some columns of each row, [batch, k]."""
    return items[places] if items.dim() == 1 else items.gather(1, places)


def _with_ties(
    scores: Tensor, users: Tensor, values: Tensor, places: Tensor, items: Tensor | None, rows: Tensor
) -> Tensor:
    """Return the columns of lists whose last score continues beyond the list, [rows, k]."""
    # The score that continues, [rows, 1].
    last, k = values[:, -1:], values.shape[1]
    row, column = (scores == last).nonzero(as_tuple=True)  # the cells with the last score, row by row
    ids = column if items is None else items[column] if items.dim() == 1 else items[rows[row], column]
    cells = torch.bincount(row, minlength=len(scores))
    number = torch.arange(len(row), device=row.device) - (cells.cumsum(0) - cells)[row]  # within its row
    width = int(cells.max())
    # Keys and columns of these cells, [rows, width]; what a row lacks has a key above all others.
    keys = torch.full((len(scores), width), NO_KEY, device=row.device)
    columns = torch.zeros_like(keys)
    keys[row, number], columns[row, number] = tie_keys(users[row], ids), column
    first = columns.gather(1, keys.topk(min(k, width), largest=False).indices)  # by key
    # Places above the last score stay; after them come the cells of the smallest keys.
    place = torch.arange(k, device=row.device) - (values > last).sum(1, keepdim=True)  # among equal scores
    return torch.where(place < 0, places, first.gather(1, place.clamp(0, first.shape[1] - 1)))


def _in_order(values: Tensor, items: Tensor, users: Tensor) -> Tensor:
    """Return the items of lists with equal scores by key, [rows, k]; ``values`` are descending."""
    # Sorted by key and then, stably, by score: equal scores stay in the order of keys.
    by_key = tie_keys(users[:, None], items).argsort(1)
    by_score = values.gather(1, by_key).argsort(dim=1, descending=True, stable=True)
    return items.gather(1, by_key.gather(1, by_score))


def rank_batch(scores: Tensor, users: Tensor, positive_u: Tensor, positive_i: Tensor, k: int) -> RankedBatch:
    """Return the lists of a batch of an evaluation.

    Args:
        scores: [batch, n_items] on any device; masked items and the padding item have -inf.
        users: internal ids, [batch].
        positive_u: row in the batch of each held-out item, [positives].
        positive_i: its item id, [positives].
        k: length of a list.

    Raises:
        UsageError: there are fewer items than places.
    """
    n_items = scores.shape[1]
    check_length(k, n_items)
    scores, users = scores.detach(), users.detach().to(scores.device).long()
    values, items = best_items(scores, users, places_to_rank(k, n_items))
    ranked = held_against(users, values, items, positive_u, positive_i, n_items, k)
    return replace(ranked, equal=all_equal(scores, values))


def check_length(k: int, n_items: int) -> None:
    """Raise UsageError if lists of ``k`` places are longer than ``n_items``, the padding counted."""
    if n_items < k:
        raise UsageError(f"topk asks for {k} items, but the data set has {n_items - 1}; give a smaller topk")


def places_to_rank(k: int, most: int) -> int:
    """Return ``k``, or two, which say whether a list has different scores; at most ``most``."""
    return min(max(k, 2), most)


def held_against(
    users: Tensor,
    values: Tensor,
    items: Tensor,
    positive_u: Tensor,
    positive_i: Tensor,
    n_items: int,
    k: int,
) -> RankedBatch:
    """Return ranked items compared with the held-out ones; ``equal`` is False, as for different scores.

    Args:
        users: internal ids, long [batch].
        values: scores in order, [batch, k or more].
        items: their items, long [batch, k or more].
        positive_u: row in the batch of each held-out item, [positives].
        positive_i: its item id, [positives].
        n_items: number of item ids.
        k: length of a list.
    """
    device = values.device
    # A masked item is not recommended: id 0.
    items = items.masked_fill(values == -torch.inf, 0)[:, :k]
    # A cell of the [batch, n_items] table as one number; the table itself is never built.
    held_out = torch.unique(positive_u.to(device).long() * n_items + positive_i.to(device).long())
    if len(held_out):
        cells = torch.arange(len(users), device=device).unsqueeze(1) * n_items + items
        # Whether each listed cell is among the held-out ones, by binary search, [batch, k].
        place = torch.searchsorted(held_out, cells).clamp(max=len(held_out) - 1)
        hits = (held_out[place] == cells) & (items > 0)
    else:
        hits = torch.zeros_like(items, dtype=torch.bool)
    # Distinct held-out items of each row, [batch].
    positives = torch.bincount(torch.div(held_out, n_items, rounding_mode="floor"), minlength=len(users))
    return RankedBatch(users, items, hits, positives, False)


def all_equal(scores: Tensor, values: Tensor) -> bool | None:
    """Return ``RankedBatch.equal`` of scores [batch, n] and of the first of each row in order, [batch, k]."""
    best = values[:, :1]
    if not torch.where(values == -torch.inf, best, values).eq(best).all():
        return False  # so that the table is read again for no trained model
    # Items that are not masked, [batch]; one alone cannot show a difference.
    candidates = (scores > -torch.inf).sum(1)
    choice = candidates > 1
    return bool(((scores == best).sum(1) == candidates)[choice].all()) if choice.any() else None


def mean_ranks(scores: Tensor, positive_u: Tensor, positive_i: Tensor) -> Tensor:
    """Return the input of RecBole's GAUC for a batch, [batch, 3] in the scores' precision, float32 at least.

    The sum of the ranks of a user's held-out items, equal scores with the mean of their ranks, the number of
    the user's candidates, and that of held-out items.

    Args:
        scores: [batch, n_items]; masked items and the padding item have -inf.
        positive_u: row in the batch of each held-out item, [positives].
        positive_i: its item id, [positives].
    """
    n_rows, n_items = scores.shape
    # Distinct held-out cells, ascending, and so row by row.
    cells = torch.unique(positive_u.to(scores.device).long() * n_items + positive_i.to(scores.device).long())
    rows, items = torch.div(cells, n_items, rounding_mode="floor"), cells % n_items
    sums = torch.zeros(n_rows, dtype=torch.double, device=scores.device)
    size = max(1, CELLS // n_items)
    for some, item in zip(rows.split(size), items.split(size), strict=True):
        row, score = scores[some], scores[some, item][:, None]
        # 1 + larger ones + half of the other equal ones: the mean rank of a tie.
        rank = (row > score).sum(1) + ((row == score).sum(1) + 1) / 2
        sums.index_add_(0, some, rank.double())
    candidates = (scores > -torch.inf).sum(1)
    table = torch.stack([sums, candidates, torch.bincount(rows, minlength=n_rows)], 1)
    return table.to(torch.promote_types(scores.dtype, torch.float))
