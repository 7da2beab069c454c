"""Diagnostics of negatives: rate of false hard negatives, diversity, and hardness at each level."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


class NegativeDiagnostics:
    """Statistics of one epoch; they do not influence training.

    A negative is a false hard negative if its cosine with a held-out item of its user reaches the threshold
    (CNSDiff, section 4.4).

    Args:
        part: held-out part to compare with, or ``none``.
        cosine: the threshold.
    """

    def __init__(self, part: str, cosine: float) -> None:
        self.part, self.cosine = part, cosine
        self.held_out: InteractionCSR | None = None
        self.begin_epoch()

    def observe_parts(
        self, parts: Mapping[str, Any], n_users: int, n_items: int, device: torch.device
    ) -> None:
        """Keep the held-out part of the run's data sets, by user.

        Raises:
            UsageError: there is no part of that name.
        """
        if self.part == "none":
            return
        if self.part not in parts:
            raise UsageError(
                f"false_negative_part is {self.part!r}; this run has {', '.join(parts)}, or none for no count"
            )
        # Binary [n_users, n_items], numbered as the training part.
        matrix = binary_interactions(parts[self.part])
        assert matrix.shape == (n_users, n_items)
        self.held_out = InteractionCSR.from_scipy(matrix).to(device)

    def begin_epoch(self) -> None:
        """Reset the counts."""
        self._negatives = self._false = 0
        self._stats: dict[str, float] = {}

    @torch.no_grad()
    def count_false_negatives(
        self, users: Tensor, negatives: Tensor, item_vectors: Callable[[], Tensor]
    ) -> None:
        """Count the false hard negatives of a batch.

        Args:
            users: long [batch].
            negatives: their vectors, [batch, d].
            item_vectors: returns the vectors of all items, [n_items, d]; called if something is counted.
        """
        if self.held_out is None:
            return
        items = item_vectors()
        # All held-out items of the batch's users, and the row of each, long [total].
        held_out, _, rows = self.held_out.gather(users)
        # Cosine of the row's negative with each, [total].
        cosines = (F.normalize(negatives, dim=1)[rows] * F.normalize(items, dim=1)[held_out]).sum(1)
        # A row counts once, however many held-out items its negative is near to.
        self._false += len(torch.unique(rows[cosines >= self.cosine]))
        self._negatives += len(users)

    @torch.no_grad()
    def record_negative_stats(self, levels: Tensor, items: Tensor, scores: Tensor, steps: list[int]) -> None:
        """Measure the generated negatives of the first batch of an epoch.

        Args:
            levels: [levels, n, d], hardest first.
            items: the positive items that they come from, [n, d].
            scores: inner products with users, [levels, batch].
            steps: the step of each level.
        """
        if any(name.startswith("score@") for name in self._stats):
            return
        for step, level, score in zip(steps, levels, scores, strict=True):
            # One level at length 1, [n, d], so that inner products are cosines.
            units = F.normalize(level, dim=1)
            n = len(units)
            # The sum of all n^2 cosines is the squared length of the sum of the units; n of them are 1.
            between = (float(units.sum(0).square().sum()) - n) / max(1, n * (n - 1))
            self._stats[f"cosine_between_negatives@{step}"] = between
            self._stats[f"cosine_with_positive@{step}"] = float(
                (units * F.normalize(items, dim=1)).sum(1).mean()
            )
            self._stats[f"score@{step}"] = float(score.mean())

    @torch.no_grad()
    def record_environment_stats(self, q: Tensor) -> None:
        """Measure the posterior over environments of the first batch of an epoch, [n, K].

        ``environment_information`` is the mean KL divergence between an item's posterior and the batch's,
        relative to log K: 0 if environments do not depend on items, 1 if each item has one and environments
        are equally frequent.
        """
        if "environment_information" in self._stats or q.shape[1] == 1:
            return
        # How often each environment occurs in the batch, [K].
        mean = q.mean(0)
        # Mean KL(q(e | z) || mean q): the mutual information of item and environment, in nats.
        information = (q * (q.clamp_min(1e-12).log() - mean.clamp_min(1e-12).log())).sum(1).mean()
        self._stats["environment_information"] = float(information) / math.log(q.shape[1])
        self._stats["environment_largest_share"] = float(mean.max())

    def values(self) -> dict[str, float]:
        """Return the epoch's values by name."""
        rate = {"false_negative_rate": self._false / self._negatives} if self._negatives else {}
        return rate | self._stats
