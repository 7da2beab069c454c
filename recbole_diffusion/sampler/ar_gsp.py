"""AR-GSP over a catalogue: exact ranks where [rows, n_items] fits a budget, else random subsets of items."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_diffusion.sampler.ar_gsp_draw import (
    acceptance_log_probability,
    gumbel_softmax_draw,
    rank_threshold,
    step_temperature,
)
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

# Candidates that gamma should leave in a random subset: the threshold's rank errs by a quarter.
ACCEPTED_AT_LEAST = 16


@dataclass(frozen=True)
class ArGsp:
    """The sampler with its settings (TV-Diff, Eq. 16 and 17).

    Attributes:
        gamma: share of the items that count as informative.
        relaxation_rate: lambda.
        steps: T.
        exact_cells: exact ranks are used while rows x items stays at or below this.
        candidate_items: size of the two random subsets otherwise; more where a small gamma would accept fewer
            than 16 of them.
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
        """Draw negatives for each row.

        Beyond the budget, one random subset of items estimates each row's rank threshold and a second one
        holds the candidates that are accepted or rejected against it, so that the cost does not grow with the
        catalogue. Both subsets are shared by the rows of a batch.

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
        n_real = len(items) - 1
        size = max(self.candidate_items, math.ceil(ACCEPTED_AT_LEAST / self.gamma))
        if len(vectors) * n_real <= self.exact_cells or 2 * size >= n_real:
            candidates = torch.arange(1, n_real + 1, device=items.device)  # all items: exact ranks
            scores = vectors @ items[1:].T
            threshold = rank_threshold(scores, self.gamma)
        else:
            shuffled = torch.randperm(n_real, generator=generator, device=items.device)[: 2 * size] + 1
            judges, candidates = shuffled[:size], shuffled[size:]  # [size] each, disjoint
            threshold = rank_threshold(vectors @ items[judges].T, self.gamma)
            scores = vectors @ items[candidates].T
        drawn = gumbel_softmax_draw(
            acceptance_log_probability(scores, threshold),
            step_temperature(t, self.steps, self.relaxation_rate),
            counts,
            positives.lacks(users, candidates),
            generator=generator,
        )
        return candidates[drawn]
