"""Lists by vectors that are a little off; those that this could change are made again, by exact ones."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.evaluation.search import VectorSearch

# Users whose lists are looked at for doubt together, so that those made again are not few, and users searched
# for together.
TOGETHER, SEARCHED = 2048, 512
Cells = tuple[Tensor, Tensor] | None  # rows of a batch and item numbers that are left out, long [cells] each


def for_lists(vectors: Any, users: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the vectors of users, long [batch], for lists, [batch, d], and their doubt, or None: exact."""
    if vectors.near is None:
        return vectors.users(users), None
    near, doubt = vectors.near(users)
    return near, doubt if bool(doubt.any()) else None


def best_in_order(
    search: VectorSearch,
    vectors: Any,
    users: Tensor,
    found: Tensor,
    doubt: Tensor | None,
    k: int,
    cells: Cells,
) -> tuple[Tensor, Tensor]:
    """Return the ``k`` largest scores of users and their items, as :meth:`VectorSearch.best` does.

    A list by near vectors stands if no place of it could be passed by a later one, or by an item beyond its
    first k + 1 places, within the doubt about the user; otherwise it is made again. The scores of one that
    stands are near.

    Args:
        search: over ``vectors.items``.
        vectors: the model's ``InnerProducts``.
        users: internal ids, long [batch].
        found: what :func:`for_lists` gives for them.
        doubt: the same.
        k: at most the number of items.
        cells: what is left out.
    """
    if doubt is None:
        return _in_parts(search, found, users, k, cells)
    values, items = _in_parts(search, found, users, min(k + 1, len(vectors.items) - 1), cells)
    again = _unsure(search, values, items, doubt).nonzero().view(-1)
    values, items = values[:, :k].contiguous(), items[:, :k].contiguous()
    if len(again):
        left_out = None if cells is None else _cells_of(again, len(users), *cells)
        values[again], items[again] = search.best(vectors.users(users[again]), users[again], k, left_out)
    return values, items


def _in_parts(
    search: VectorSearch, found: Tensor, users: Tensor, k: int, cells: Cells
) -> tuple[Tensor, Tensor]:
    """Return ``search.best`` of many users, a part at a time: its tables stay in the cache."""
    if len(users) <= SEARCHED:
        return search.best(found, users, k, cells)
    parts = []
    for some in torch.arange(len(users), device=users.device).split(SEARCHED):
        left_out = None if cells is None else _cells_of(some, len(users), *cells)
        parts.append(search.best(found[some], users[some], k, left_out))
    values, items = zip(*parts, strict=True)
    return torch.cat(values), torch.cat(items)


def _unsure(search: VectorSearch, values: Tensor, items: Tensor, doubt: Tensor) -> Tensor:
    """Return whether a place of a list could be passed by another item, bool [batch].

    A score is off by at most doubt x the length of the item's vector. Items beyond the last place have at
    most its near score, and at most the largest length of all.
    """
    reach = doubt[:, None] * search.lengths[search.place[items - 1]]
    highest = values + reach  # what each place may be in truth, at most
    highest[:, -1] = values[:, -1] + doubt * search.lengths.max()
    # The most that any later place may be, [batch, places - 1].
    later = highest.flip(1).cummax(1).values.flip(1)[:, 1:]
    # What is left out has -inf, and cannot pass nor be passed.
    return ((values[:, :-1] - reach[:, :-1] <= later) & later.isfinite()).any(1)


def _cells_of(some: Tensor, many: int, rows: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cells that lie in some rows of a batch of ``many``, those rows numbered anew."""
    place = torch.full((many,), -1, device=some.device)
    place[some] = torch.arange(len(some), device=some.device)
    new = place[rows]
    return new[new >= 0], items[new >= 0]
