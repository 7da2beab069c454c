"""What we change in RecBole's trainer: optimizer, collector of evaluation data, TensorBoard's folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from recbole_diffusion.compat import Collector, EvaluatorType, Trainer, recbole_trainer
from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.ranking import RankedBatch, mean_ranks, rank_batch
from recbole_diffusion.evaluation.score_check import ScoreCheck
from recbole_diffusion.storage.slow_step import Progress
from recbole_diffusion.trainer.event_file import EventFile

OF_LISTS = ("rec.items", "rec.topk", "rec.meanrank")  # what RecBole collects of rankings


class FusedSteps(Trainer):
    """RecBole's Trainer with torch's fused optimizers, which update all weights in one pass."""

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
            # Not the default on a CPU; 7 to 8 times faster there on matrices of tens of millions of numbers.
            for group in optimizer.param_groups:
                group["fused"] = True
        optimizer.register_step_post_hook(lambda *_: self.after_step())
        return optimizer

    def after_step(self) -> None:
        """Follow a step of an optimizer."""

    def in_precision(self) -> torch.autocast:
        """Return what a loop of ours computes its losses under, as RecBole's own does: see ``enable_amp``."""
        return torch.autocast(device_type=self.device.type, enabled=self.enable_amp)

    def refuse_scaler(self) -> None:
        """Refuse scaled gradients, for a loop that takes several updates of a batch.

        Raises:
            UsageError: the run asks for them.
        """
        if self.config["enable_scaler"]:
            raise UsageError(
                f"enable_scaler does not go with {self.config['model']}, whose batches take several updates; "
                "set it to False (enable_amp alone computes losses in mixed precision)"
            )


class RunCollector(Collector):
    """RecBole's ``Collector`` with one ranking of each batch, and values that are not tensors.

    RecBole 1.2.1 ranks a batch by ``torch.topk`` for each kind of metric, which leaves the order of equal
    scores open (see ``evaluation/ranking.py``), sorts whole rows for GAUC, and joins what it has to each
    batch anew. It calls ``.cpu()`` on everything it collects, even on the counts of users and items, so that
    ItemCoverage, AveragePopularity, GiniIndex and TailPercentage fail with AttributeError.

    Attributes:
        check: of the evaluation that goes on; None outside of one.
        lists: if set, gets each batch of a full ranking, for reports per user and by group.
        rated: the same, for the ranking of rated items.
        progress: counts batches of scores.
    """

    check: ScoreCheck | None = None
    lists: Any = None
    rated: Any = None
    progress = Progress()

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.of_lists = [name for name in OF_LISTS if self.register.need(name)]
        for name in self.of_lists:  # which RecBole need not collect
            setattr(self.register, name, False)
        self.ranks = config["eval_type"] == EvaluatorType.RANKING
        self.batches: dict[str, list[torch.Tensor]] = {name: [] for name in self.of_lists}

    @property
    def reads_all_scores(self) -> bool:
        """Return whether a metric reads all scores of a user, not the best and the held-out items' alone."""
        return "rec.meanrank" in self.of_lists

    def begin(self, check: ScoreCheck, lists: Any, rated: Any, progress: Progress) -> None:
        """Begin an evaluation; the arguments are the attributes of the same names."""
        self.check, self.lists, self.rated, self.progress = check, lists, rated, progress
        self._forget_batches()

    def end(self) -> None:
        """End an evaluation, also one that failed."""
        self.check = self.lists = self.rated = None
        self._forget_batches()

    def _forget_batches(self) -> None:
        self.batches = {name: [] for name in self.of_lists}

    def eval_batch_collect(
        self, scores_tensor: Any, interaction: Any, positive_u: Any, positive_i: Any
    ) -> None:
        """Collect one batch of all scores."""
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        self.progress.done += 1
        if not self.ranks:
            return
        users = interaction[self.config["USER_ID_FIELD"]]
        if len(users) != len(scores_tensor):  # a row for each candidate, the users one after the other
            users = users.unique_consecutive()
        self.collect_ranked(rank_batch(scores_tensor, users, positive_u, positive_i, max(self.topk)))
        if "rec.meanrank" in self.of_lists:
            self.batches["rec.meanrank"].append(mean_ranks(scores_tensor, positive_u, positive_i))
        if self.rated is not None:
            self.rated.add(scores_tensor, users, positive_u, positive_i)

    def collect_ranked(self, ranked: RankedBatch) -> None:
        """Collect the lists of a batch."""
        collected = {
            "rec.items": ranked.items,
            "rec.topk": torch.cat([ranked.hits, ranked.positives[:, None]], 1)[ranked.positives > 0],
        }
        for name in collected.keys() & self.batches.keys():
            self.batches[name].append(collected[name].cpu())
        if self.check is not None:
            self.check.add(ranked.equal)
        if self.lists is not None:
            self.lists.add_ranked(ranked)

    def get_data_struct(self) -> Any:
        """Return what the metrics need, and forget what belongs to this evaluation only."""
        collected = self.data_struct._data_dict
        counts = {name: value for name, value in collected.items() if not hasattr(value, "cpu")}
        for name in counts:
            del collected[name]
        struct = super().get_data_struct()
        collected.update(counts)
        struct._data_dict.update(counts)
        struct._data_dict.update({name: torch.cat(batches) for name, batches in self.batches.items()})
        self._forget_batches()
        return struct


@contextlib.contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Make trainers built in this context write event files to ``folder``, not to the working directory."""
    original = recbole_trainer.get_tensorboard
    recbole_trainer.get_tensorboard = lambda logger: EventFile(folder)  # noqa: ARG005
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = original
