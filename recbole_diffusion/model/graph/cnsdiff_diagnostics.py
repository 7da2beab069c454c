"""Diagnostics of negatives: rate of false hard negatives, diversity, and hardness at each level."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.groups import item_groups, time_groups
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


class NegativeDiagnostics:
    """Statistics of one epoch; they do not influence training.

    A negative is a false hard negative if its cosine with a held-out item of its user reaches the threshold
    (CNSDiff, section 4.4). They are also counted by the group of that item: its popularity in train, the most
    popular first (Figure 1), and where times are known the time of the held-out row, the earliest first
    (Figure 6).

    Args:
        part: held-out part to compare with, or ``none``.
        cosine: the threshold.
        counts: training rows of each item, [n_items].
        n_groups: number of groups of each kind; 0: none.
    """

    def __init__(self, part: str, cosine: float, counts: np.ndarray, n_groups: int) -> None:
        self.part, self.cosine = part, cosine
        self.counts, self.n_groups = counts, n_groups
        self.held_out: InteractionCSR | None = None
        # Kind of groups -> the group of each held-out pair, long [pairs], as in ``held_out``.
        self.groups: dict[str, Tensor] = {}
        self.begin_epoch()

    def observe_parts(
        self, parts: Mapping[str, Any], n_users: int, n_items: int, device: torch.device
    ) -> None:
        """Keep the held-out part of the run's data sets, by user, and the groups of its pairs.

        Raises:
            UsageError: there is no part of that name.
        """
        if self.part == "none":
            return
        if self.part not in parts:
            raise UsageError(
                f"false_negative_part is {self.part!r}; this run has {', '.join(parts)}; or leave it empty"
            )
        # Binary [n_users, n_items], numbered as the training part.
        matrix = binary_interactions(parts[self.part])
        assert matrix.shape == (n_users, n_items)
        self.held_out = InteractionCSR.from_scipy(matrix).to(device)
        if self.n_groups:
            groups = {"popularity": item_groups(self.counts, self.n_groups)[matrix.indices]}
            if getattr(parts[self.part], "times", None) is not None:
                groups["time"] = self._time_groups(parts[self.part], n_items)
            self.groups = {kind: torch.from_numpy(of_pair).to(device) for kind, of_pair in groups.items()}
            self.begin_epoch()

    def _time_groups(self, part: Any, n_items: int) -> np.ndarray:
        """Return the group of each held-out pair by its first time, [pairs], pairs ascending."""
        users, items = (part.inter_feat[field].numpy() for field in (part.uid_field, part.iid_field))
        order = np.argsort(part.times, kind="stable")
        _, first = np.unique((users.astype(np.int64) * n_items + items)[order], return_index=True)
        return time_groups(part.times[order][first], self.n_groups)

    def begin_epoch(self) -> None:
        """Reset the counts."""
        self._negatives = self._false = 0
        self._false_by_group = {kind: [0] * self.n_groups for kind in self.groups}
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
        places, _, rows = self.held_out.places(users)
        held_out = self.held_out.items[places]
        # Cosine of the row's negative with each, [total].
        cosines = (F.normalize(negatives, dim=1)[rows] * F.normalize(items, dim=1)[held_out]).sum(1)
        near = cosines >= self.cosine
        # A row counts once, however many held-out items its negative is near to; in each group once.
        self._false += len(torch.unique(rows[near]))
        if self.groups and bool(near.any()):
            of_pair = places[near]
            for kind, groups in self.groups.items():
                # One number for each row and group, long [near].
                found = torch.unique(rows[near] * self.n_groups + groups[of_pair]) % self.n_groups
                for group, count in enumerate(torch.bincount(found, minlength=self.n_groups).tolist()):
                    self._false_by_group[kind][group] += count
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
        if not self._negatives:
            return dict(self._stats)
        rates = {"false_negative_rate": self._false / self._negatives}
        for kind, counts in self._false_by_group.items():
            for group, count in enumerate(counts, start=1):
                rates[f"false_negative_rate@{kind}_{group}"] = count / self._negatives
        return rates | self._stats
