"""Checks that the scores of an evaluation can be ranked: finite, and not equal for all items."""

import logging
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.errors import RunError, agreeing, counted, shown_name

logger = logging.getLogger(__name__)


def not_finite(scores: Tensor) -> str:
    """Return how many scores are NaN or infinite, in words; an empty string if all are finite."""
    # The sum is finite only if every score is, and reads the table once; it may also overflow.
    if bool(torch.isfinite(scores.sum())):
        return ""
    nan, infinite = int(torch.isnan(scores).sum()), int(torch.isinf(scores).sum())
    counts = [
        f"{count:,} {agreeing(count, 'are')} {name}"
        for count, name in ((nan, "NaN"), (infinite, "infinite"))
        if count
    ]
    return f"of {counted(scores.numel(), 'score')}, {' and '.join(counts)}" if counts else ""


class ScoreCheck:
    """The scores of one evaluation, batch by batch.

    Users that the model knows nothing about may have one score for all items, and are then ranked by chance
    (see ``evaluation/ranking.py``). An evaluation in which this holds for all users says nothing about a
    model, and fails, unless the model declares ``constant_scores``. If only the items that a user has not
    seen are equal, as where none of them has a training row, the log says that the lists are chance.

    Args:
        model: the model.
        when: when it is evaluated, such as "in epoch 3".
        advice: what to try, without a full stop.
    """

    def __init__(self, model: Any, when: str, advice: str) -> None:
        self.name, self.constant_allowed = shown_name(model), model.constant_scores
        self.when, self.advice = when, advice
        self._equal: set[bool | None] = set()
        self._flat = True  # no batch of a full ranking has shown a user with different scores
        self._ends = (0.0, 1.0)  # that the scores of labelled rows lie between
        self._scores = (torch.inf, -torch.inf)  # the smallest and the largest of them
        self._labels_only = True  # all labels are 0 or 1
        self._largest_label = 1.0

    def finite(self, scores: Tensor) -> None:
        """Check a batch of scores before items are masked, of any shape.

        Raises:
            RunError: a score is NaN or infinite.
        """
        wrong = not_finite(scores)
        if wrong:
            raise RunError(f"{self.name} cannot be evaluated {self.when}: {wrong}; {self.advice}")
        if self._flat and scores.dim() == 2:  # [users, items]
            self._flat = bool((scores == scores[:, :1]).all())

    def add(self, equal: bool | None) -> None:
        """Add ``RankedBatch.equal`` of a batch."""
        self._equal.add(equal)

    def add_labelled(self, scores: Tensor, labels: Tensor) -> None:
        """Add scores and labels of single rows, both [rows]."""
        (low, high), (smallest, largest) = self._ends, (scores.min().item(), scores.max().item())
        self._ends = min(low, smallest), max(high, largest)
        self._scores = min(self._scores[0], smallest), max(self._scores[1], largest)
        self._largest_label = max(self._largest_label, labels.max().item())
        self._labels_only = self._labels_only and bool(((labels == 0) | (labels == 1)).all())

    def no_probabilities(self, metrics: Iterable[str]) -> str:
        """Return what is wrong with errors of scores, in words; an empty string if nothing is.

        Args:
            metrics: names of what is computed, lower case.
        """
        wanted = [name for name in ("logloss", "mae", "rmse") if name in metrics]
        low, high = self._ends
        if wanted and high == 1 < self._largest_label:
            return (
                f"{', '.join(wanted)} {agreeing(len(wanted), 'compare')} the scores of {self.name}, from "
                f"{self._scores[0]:.4g} to {self._scores[1]:.4g}, with numbers up to "
                f"{self._largest_label:.4g}, which it does not predict: make labels of these with threshold, "
                "or take a model of ratings, such as MF"
            )
        if (low, high) == (0.0, 1.0) or not self._labels_only or not wanted:
            return ""
        cut = "; logloss cuts them to that range" if "logloss" in wanted else ""
        return (
            f"{', '.join(wanted)} {agreeing(len(wanted), 'compare')} scores with labels 0 and 1, but those "
            f"of {self.name} are no probabilities: they go from {low:.4g} to {high:.4g}{cut}; take auc, "
            "which reads their order alone, or a model that predicts probabilities"
        )

    def no_order(self, metrics: Iterable[str]) -> str:
        """Return, in words, that all labelled rows have one score; an empty string if they differ.

        Args:
            metrics: names of what is computed, lower case; without an auc there is nothing to say.
        """
        low, high = self._scores
        if low != high or not {"auc", "gauc"} & set(metrics):
            return ""
        return (
            f"{self.name}, {self.when}: all rows have the same score, {low:.4g}, so that auc is 0.5, as by "
            f"chance; {self.advice}; normalize_all: true scales columns of large numbers among the features"
        )

    def end(self) -> None:
        """Check the evaluation as a whole.

        Raises:
            RunError: each user has one score for all items.
        """
        if self._equal - {None} != {True} or self.constant_allowed:
            return
        if not self._flat:
            logger.warning(
                "%s, %s: for each user all items that the user has not seen have the same score; the metrics "
                "are those of chance",
                *(self.name, self.when),
            )
        else:
            raise RunError(
                f"{self.name} cannot be evaluated {self.when}: for each user all items have the same score, "
                f"so that a list would be chance; {self.advice}, or an option leaves the model nothing to "
                "tell items apart by, such as a size or a number of neighbours that is 0, or none of these "
                "users has a row in train"
            )
