"""AR-GSP over a catalogue: TV-Diff, section 3.3, by rejection instead of tables of Gumbel noise.

Eq. 16 gives every accepted item, one of the first gamma n ranks, the same probability, so that its key in Eq.
17's softmax, log p + g + tau g', has the same law as any other's, whatever the temperature tau. A draw
without replacement in the order of such keys is a uniform draw without replacement from the accepted items;
a rejected one, 23 below them in log p, comes before an accepted one with a probability of about 1e-10 an
item, which is left out. So the sampler needs a row's rank threshold and some tries of random items, and no
key of any item. ``ar_gsp_draw`` has the plain form, which draws for rows where tries run out, and which the
law is tested against.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_diffusion.sampler.ar_gsp_draw import (
    acceptance_log_probability,
    gumbel_softmax_draw,
    rank_threshold,
    step_temperature,
)
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

# Judges expected above the threshold; with 16 of them its rank errs by about a quarter.
ACCEPTED_AT_LEAST = 16
ROUNDS, MOST_TRIES = 8, 64
PAIR_NUMBERS = 2**22  # numbers of one table of pair products
CACHED_CELLS = 2**18  # scores of a few rows: 1 MiB
ROUNDING = 1e-5  # of a score, over the lengths of both vectors: float32, of a few thousand numbers at most
EXACT_CELLS = 2**20  # where a row has all items: so few rows make a product slow


class _Batch(NamedTuple):
    """The arguments of :meth:`ArGsp.draw` that belong to its rows."""

    vectors: Tensor
    items: Tensor
    positives: InteractionCSR
    users: Tensor
    t: Tensor
    counts: Tensor


@dataclass(frozen=True)
class ArGsp:
    """The sampler with its settings (TV-Diff, Eq. 16 and 17).

    Attributes:
        gamma: share of the items that count as informative.
        relaxation_rate: lambda; it decides only where the tries of a row run out and nothing is accepted.
        steps: T.
        exact_cells: exact ranks are used while rows x items stays at or below this.
        candidate_items: random items that estimate a row's rank threshold otherwise; more where a small gamma
            would leave fewer than 16 of them above it.
    """

    gamma: float
    relaxation_rate: float
    steps: int
    exact_cells: int
    candidate_items: int

    @torch.no_grad()
    def draw(
        self,
        vectors: Tensor,
        items: Tensor,
        positives: InteractionCSR,
        users: Tensor,
        t: Tensor,
        counts: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw negatives for each row, uniformly and without replacement from its accepted items.

        Beyond the budget, random items shared by the batch estimate each row's rank threshold; the items that
        are tried are each row's own in both cases, so that the cost does not grow with the catalogue.

        Args:
            vectors: u_t of Eq. 13, [rows, width].
            items: H, [n_items, width], row 0 the padding item.
            positives: the training positives, never drawn.
            users: long [rows], the user of each row.
            t: long [rows], diffusion steps.
            counts: long [rows], how many negatives each row needs.
            generator: source of randomness.

        Returns:
            Item ids, long [counts.sum()], row after row.

        Raises:
            ValueError: a row has no candidate that is not a positive.
        """
        return self.draw_by_threshold(vectors, items, positives, users, t, counts, generator=generator)[0]

    @torch.no_grad()
    def draw_by_threshold(
        self,
        vectors: Tensor,
        items: Tensor,
        positives: InteractionCSR,
        users: Tensor,
        t: Tensor,
        counts: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw as :meth:`draw` does, and return the score that each row accepts from, [rows], beside.

        The threshold of a row without negatives is not a number where ranks are exact.
        """
        threshold = self._estimated(vectors, items, generator)
        accepts_from = None if threshold is None else threshold - _rounding_of_scores(vectors, items)
        # Exact ranks fill it in the first round, in which all rows have open places.
        lowest = vectors.new_full((len(vectors),), torch.nan) if threshold is None else threshold
        # The row of each negative, long [counts.sum()].
        rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)  # [places]
        drawn = torch.zeros_like(rows)  # 0: still open
        # Exact ranks of a row cost the same for many tries; a pair product does not.
        # Each try is accepted with probability gamma: 4 (or 2) are expected to be, unless MOST_TRIES is less.
        tries = min(MOST_TRIES, math.ceil((4 if threshold is None else 2) / self.gamma))
        left = torch.arange(len(rows), device=rows.device)  # open places, ascending
        distinct = bool((counts > 1).any())
        for _ in range(ROUNDS):
            if not len(left):
                break
            row, shape = rows[left], (len(left), tries)  # [open], and the shape of what is tried for each
            tried = torch.randint(1, len(items), shape, generator=generator, device=rows.device)
            # Eq. 16, [open, tries]: by exact ranks, or by the threshold that judges estimate.
            accepted = (
                self._among_first_ranks(vectors, items, row, tried, lowest)
                if accepts_from is None
                else _pair_scores(vectors, items, row, tried) >= accepts_from[row, None]
            )
            accepted &= ~positives.contains(users[row, None], tried)
            # The first accepted try of each place; none is the padding item, which leaves it open.
            first = accepted.to(torch.uint8).argmax(1, keepdim=True)
            found = tried.gather(1, first).squeeze(1) * accepted.any(1)
            # Without replacement: a place that repeats an item of its row stays open.
            drawn[left] = _without_repeats(found, row, drawn, rows, len(items)) if distinct else found
            left = left[drawn[left] == 0]
        # A row with open places may have few accepted items: it is drawn anew, whole. Which rows these are
        # does not depend on which of the accepted items were drawn, so that the law stays.
        batch = _Batch(vectors, items, positives, users, t, counts)
        for part in torch.unique(rows[left]).split(max(1, PAIR_NUMBERS // len(items))) if len(left) else ():
            drawn[torch.isin(rows, part)] = self._enumerated(batch, part, accepts_from, generator)
        return drawn, lowest

    def _estimated(self, vectors: Tensor, items: Tensor, generator: torch.Generator | None) -> Tensor | None:
        """Return rank thresholds by random judges, [rows], or None where exact ranks fit the budget."""
        n_real = len(items) - 1
        size = max(self.candidate_items, math.ceil(ACCEPTED_AT_LEAST / self.gamma))
        if len(vectors) * n_real <= self.exact_cells or size >= n_real:
            return None
        # Item ids without the padding, the same judges for all rows.
        judges = torch.randperm(n_real, generator=generator, device=items.device)[:size] + 1
        return torch.cat(
            [
                rank_threshold(some @ items[judges].T, self.gamma, overwrite=True)
                for some in vectors.split(max(1, CACHED_CELLS // size))
            ]
        )

    def _among_first_ranks(
        self, vectors: Tensor, items: Tensor, row: Tensor, tried: Tensor, lowest: Tensor
    ) -> Tensor:
        """Return whether each try [open, tries] is of one of the first ranks of its row: Rank(j) <= gamma n.

        The rows' thresholds are written to ``lowest`` [rows].
        A few rows at a time, so that their scores of all items stay in the processor's cache, from the
        product to the partition.
        """
        # Places lie row after row: the rows that have open ones, and how many.
        distinct, place, many = torch.unique_consecutive(row, return_inverse=True, return_counts=True)
        accepted = torch.empty(tried.shape, dtype=torch.bool, device=tried.device)
        size, n_real = max(1, EXACT_CELLS // len(items)), len(items) - 1
        # One memory for the scores of all parts: a new one each time would be pages to be cleared.
        memory = torch.empty((min(size, len(distinct)), n_real), dtype=vectors.dtype, device=vectors.device)
        end = 0
        for of, number in zip(distinct.split(size), many.split(size), strict=True):
            start, end = end, end + int(number.sum())
            scores = torch.mm(vectors[of], items[1:].T, out=memory[: len(of)])  # [size, n_real]
            # Before the partition, which takes the place of the scores.
            here = place[start:end] - place[start]
            of_tried = scores.view(-1)[here[:, None] * n_real + (tried[start:end] - 1)]
            threshold = rank_threshold(scores, self.gamma, overwrite=True)
            lowest[of] = threshold
            accepted[start:end] = of_tried >= threshold[here, None]
        return accepted

    def _enumerated(
        self, batch: _Batch, part: Tensor, threshold: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Return the negatives of some rows, long [part], from all items, as Eq. 16 and 17 are written."""
        # All items, [part, n_real], for the few rows whose tries ran out.
        scores = batch.vectors[part] @ batch.items[1:].T
        lowest = rank_threshold(scores, self.gamma) if threshold is None else threshold[part]
        candidates = torch.arange(1, len(batch.items), device=part.device)
        found = gumbel_softmax_draw(
            acceptance_log_probability(scores, lowest),
            step_temperature(batch.t[part], self.steps, self.relaxation_rate),
            batch.counts[part],
            batch.positives.lacks(batch.users[part], candidates),
            generator=generator,
        )
        return candidates[found]


def _rounding_of_scores(vectors: Tensor, items: Tensor) -> Tensor:
    """Return by how much two computations of a row's scores may differ, [rows].

    The judge of the last accepted rank is accepted, as Eq. 16 says, and not by the last bit of its score,
    which differs between a product of matrices and one of pairs, and with the number of rows of either.
    """
    return ROUNDING * vectors.norm(dim=1) * items.norm(dim=1).max()


def _pair_scores(vectors: Tensor, items: Tensor, row: Tensor, tried: Tensor) -> Tensor:
    """Return the scores of each place's tries, [open, tries], in parts that fit a budget."""
    size = max(1, PAIR_NUMBERS // (tried.shape[1] * items.shape[1]))
    return torch.cat(
        [
            torch.einsum("ptd,pd->pt", items[some], vectors[of])
            for some, of in zip(tried.split(size), row.split(size), strict=True)
        ]
    )


def _without_repeats(found: Tensor, row: Tensor, drawn: Tensor, rows: Tensor, n_items: int) -> Tensor:
    """Return ``found`` [open] with 0 for items that their row has, or gets at an earlier place."""
    keys = row * n_items + found
    # One key for each pair; among equal ones the earliest place comes first.
    order = keys.argsort(stable=True)
    first = torch.ones_like(keys, dtype=torch.bool)
    first[order[1:]] = keys[order[1:]] != keys[order[:-1]]
    return found * (first & ~torch.isin(keys, rows * n_items + drawn))
