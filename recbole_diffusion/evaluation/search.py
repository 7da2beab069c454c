"""Exact search for the largest inner products by a bound: long item vectors first, so that few are scored."""

import torch
from torch import Tensor

from recbole_diffusion.evaluation.candidates import cells_from
from recbole_diffusion.evaluation.ranking import best_items

TILE = 4096  # items scored together
AT_ONCE = 2**19  # scores of few users that are computed together: a pass over them costs less than many tiles
SLACK = 1e-4  # relative slack of the bound; the rounding of a score is far smaller


class VectorSearch:
    """Exact search for the largest inner products.

    |u . h| <= |u| |h| (Cauchy-Schwarz; used in the same way by LEMP, Teflioudi et al., SIGMOD 2015). So items
    are scored in descending order of the length of their vectors, and a user is done as soon as |u| times the
    next length cannot reach the k-th best score found so far.

    Args:
        items: vectors, [n_items, d]; row 0 is the padding item, which is never returned.
        tile: items scored together; None for :data:`TILE`, or all items where few users are asked for.
    """

    def __init__(self, items: Tensor, tile: int | None = None) -> None:
        lengths = items[1:].norm(dim=1)
        # Descending lengths, [n_items - 1], and the ids in that order.
        self.lengths, order = lengths.sort(descending=True)
        self.numbers = order + 1
        self.items = items[self.numbers]
        # Place of each id in that order, by id - 1.
        self.place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        self.tile, self.at_once = tile or TILE, AT_ONCE if tile is None else 0
        self.products = 0  # computed so far
        self._table = items.new_empty(0)  # of a tile's scores: new memory costs as much as the product

    @torch.no_grad()
    def best(
        self, users: Tensor, ids: Tensor, k: int, cells: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return the ``k`` largest scores of each user and their items, as :func:`best_items` does.

        Args:
            users: vectors, [batch, d].
            ids: internal ids, long [batch].
            k: at most the number of items.
            cells: rows of the batch and ids of the items to leave out, long [cells] each, or None.

        Returns:
            Scores [batch, k], descending, -inf where nothing is left, and item numbers [batch, k].
        """
        many = len(users)
        few = many * len(self.items) <= self.at_once
        tile = len(self.items) if few else min(max(self.tile, k), len(self.items))
        values = users.new_full((many, k), -torch.inf)
        found = torch.zeros(many, k, dtype=torch.long, device=users.device)
        # |u| with some slack for rounding, [batch]: times the next length, no later score is above it.
        reach = users.norm(dim=1) * (1 + SLACK)
        active = torch.arange(many, device=users.device)
        left_out = None if cells is None else self._by_tile(*cells, tile)
        if len(self._table) < many * tile:
            self._table = users.new_empty(many * tile)
        for start in range(0, len(self.items), tile):
            if start:
                # Users whose k-th best could still be beaten.
                active = active[reach[active] * self.lengths[start] >= values[active, -1]]
                if len(active) == 0:
                    break
            some, vectors = users if len(active) == many else users[active], self.items[start : start + tile]
            # The memory of an earlier tile, [active, tile].
            scores = self._table[: len(some) * len(vectors)].view(len(some), len(vectors))
            torch.mm(some, vectors.T, out=scores)
            self.products += scores.numel()
            if left_out is not None:
                self._leave_out(scores, active, many, *left_out[start // tile])
            numbers = self.numbers[start : start + tile]
            if not start:
                # The first tile fills the lists, later ones are merged into those of the active users.
                values, found = best_items(scores, ids, k, numbers)
            else:
                values[active], found[active] = self._merged(
                    values[active], found[active], scores, ids[active], numbers
                )
        return values, found

    @staticmethod
    def _merged(
        values: Tensor, found: Tensor, scores: Tensor, ids: Tensor, numbers: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the best of what was found before, [batch, k], and of another tile, [batch, tile]."""
        k = values.shape[1]
        # Scores from a user's k-th best on; fewer than k may be left of a tile.
        new = cells_from(scores, values[:, -1:])  # a score below the last place cannot enter
        if new is None:
            top, items = best_items(scores, ids, min(k, scores.shape[1]), numbers)
        else:
            top, items = new[0], numbers[new[1]]
        return best_items(torch.cat([values, top], 1), ids, k, torch.cat([found, items], 1))

    def _by_tile(self, rows: Tensor, items: Tensor, tile: int) -> list[tuple[Tensor, Tensor]]:
        """Return cells of each tile: rows of the batch, and columns of the tile."""
        if len(self.items) <= tile:
            return [(rows, self.place[items - 1])]
        # Cells by tile: places ascend, so that each tile has one run of them.
        places, order = self.place[items - 1].sort()
        starts = torch.arange(0, len(self.items), tile, device=places.device)
        sizes = torch.diff(torch.searchsorted(places, starts), append=starts.new_tensor([len(places)]))
        parts = zip(rows[order].split(sizes.tolist()), places.split(sizes.tolist()), strict=True)
        return [(row, place - start) for (row, place), start in zip(parts, starts.tolist(), strict=True)]

    @staticmethod
    def _leave_out(scores: Tensor, active: Tensor, many: int, rows: Tensor, columns: Tensor) -> None:
        """Set the cells of a tile to -inf in the rows that are still active."""
        if len(active) < many:
            # Row among the active users, -1 for a user who is done.
            row = torch.full((many,), -1, device=active.device)
            row[active] = torch.arange(len(active), device=active.device)
            rows = row[rows]
            rows, columns = rows[rows >= 0], columns[rows >= 0]
        scores.view(-1).index_fill_(0, rows * scores.shape[1] + columns, -torch.inf)
