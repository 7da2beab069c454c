"""SL for training rows whose vectors all differ: negatives in proportion to their positive scores.

TV-Diff's Table 3 compares AR-GSP with SL over LightGCN, where a user has one vector
(:func:`recbole_diffusion.sampler.hard.in_proportion`). A row of a diffusion model has its own noise and step,
so that each row has scores of its own, and its distribution function is made for it alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_diffusion.sampler.hard import powered_
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

CACHED_CELLS = 2**19  # scores of a few rows: 2 MiB


@dataclass(frozen=True)
class RowProportion:
    """The sampler with its settings.

    Attributes:
        power: of the positive part of a score; below 1 is the sub-linear correlation of MCNS (Yang et al.,
            KDD 2020).
        exact_cells: all items are candidates while rows x items stays at or below this.
        candidate_items: random items, the batch's own, that are candidates otherwise.
    """

    power: float
    exact_cells: int
    candidate_items: int

    @torch.no_grad()
    def draw(
        self,
        vectors: Tensor,
        items: Tensor,
        positives: InteractionCSR,
        users: Tensor,
        counts: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw negatives for each row with P(j) = w_j / sum of w, w_j = max(u_t . h_j, 0)^power.

        A row's negatives are independent; its user's positives are never drawn.

        Args:
            vectors: u_t, [rows, width].
            items: H, [n_items, width], row 0 the padding item.
            positives: the training positives.
            users: long [rows], the user of each row.
            counts: long [rows], how many negatives each row needs.
            generator: source of randomness; torch's global one if None.

        Returns:
            Item ids, long [counts.sum()], row after row; uniform over the negatives of a row without an item
            of positive weight.
        """
        candidates = self._candidates(len(vectors), len(items), items.device, generator)
        of_candidates = items[candidates]  # [candidates, width]
        size = max(1, CACHED_CELLS // len(candidates))
        parts = zip(vectors.split(size), users.split(size), counts.split(size), strict=True)
        drawn = torch.cat(
            [
                self._of_block(some @ of_candidates.T, candidates, positives, of, many, generator)
                for some, of, many in parts
            ]
        )
        empty = (drawn == 0).nonzero().squeeze(1)
        if len(empty):
            every = torch.repeat_interleave(users, counts)
            drawn[empty] = uniform_negatives(positives, every[empty], generator=generator)
        return drawn

    def _candidates(
        self, n_rows: int, n_items: int, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Return item ids without the padding, ascending: all, or random ones beyond the budget."""
        n_real = n_items - 1
        if n_rows * n_real <= self.exact_cells or self.candidate_items >= n_real:
            return torch.arange(1, n_items, device=device)
        drawn = torch.randperm(n_real, generator=generator, device=device)[: self.candidate_items]
        return drawn.sort().values + 1

    def _of_block(
        self,
        scores: Tensor,
        candidates: Tensor,
        positives: InteractionCSR,
        users: Tensor,
        counts: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return the negatives of a few rows, long [counts.sum()], 0 where a row has no weight."""
        weights = scores.clamp_(min=0)
        # The users' positives have weight 0: their places among the ascending candidates.
        of_users, _, row = positives.gather(users)
        place = torch.searchsorted(candidates, of_users).clamp_(max=len(candidates) - 1)
        here = candidates[place] == of_users
        weights[row[here], place[here]] = 0
        powered_(weights, self.power)
        sums = weights.cumsum(1)  # [block, candidates], each row's distribution function times its total
        total = sums[:, -1:]
        # A fraction below 1 of each row's total, for as many places as the row with most of them has.
        most = max(1, int(counts.max()))
        drawn = torch.rand((len(scores), most), generator=generator, device=scores.device, dtype=scores.dtype)
        # Rounding may lift it to the total itself, behind the last item of positive weight.
        wanted = torch.minimum(drawn * total, torch.nextafter(total, torch.zeros_like(total)))
        # The first place whose sum is beyond it, which therefore has a positive weight.
        found = torch.searchsorted(sums, wanted, right=True).clamp_(max=len(candidates) - 1)
        chosen = candidates[found] * (total > 0)  # [block, most]
        return chosen[torch.arange(most, device=counts.device) < counts[:, None]]
