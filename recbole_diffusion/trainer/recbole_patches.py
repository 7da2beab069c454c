"""What we change in RecBole's trainer: optimizer, collector of evaluation data, TensorBoard's folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from recbole_diffusion.compat import Collector, Trainer, recbole_trainer


class FusedSteps(Trainer):
    """RecBole's Trainer with torch's fused optimizers, which update all weights in one pass."""

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
            # Not the default on a CPU; 7 to 8 times faster there on matrices of tens of millions of numbers.
            for group in optimizer.param_groups:
                group["fused"] = True
        return optimizer


class RunCollector(Collector):
    """RecBole's ``Collector``, which also accepts values that are not tensors.

    RecBole 1.2.1 calls ``.cpu()`` on everything it collects, even on the counts of users and items, so that
    ItemCoverage, AveragePopularity, GiniIndex and TailPercentage fail with AttributeError.

    Attributes:
        lists: if set, gets each batch of a full ranking, for reports per user and by group.
        rated: the same, for the ranking of rated items.
    """

    lists: Any = None
    rated: Any = None

    def eval_batch_collect(
        self, scores_tensor: Any, interaction: Any, positive_u: Any, positive_i: Any
    ) -> None:
        """Collect one batch."""
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        for listener in (self.lists, self.rated):
            if listener is not None:
                listener.add(scores_tensor, interaction[self.config["USER_ID_FIELD"]], positive_u, positive_i)

    def get_data_struct(self) -> Any:
        """Return what the metrics need, and forget what belongs to this evaluation only."""
        collected = self.data_struct._data_dict
        counts = {name: value for name, value in collected.items() if not hasattr(value, "cpu")}
        for name in counts:
            del collected[name]
        struct = super().get_data_struct()
        collected.update(counts)
        struct._data_dict.update(counts)
        return struct


@contextlib.contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Make trainers built in this context write event files to ``folder``, not to the working directory."""
    original = recbole_trainer.get_tensorboard
    recbole_trainer.get_tensorboard = lambda logger: _writer(folder)  # noqa: ARG005
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = original


def _writer(folder: Path) -> Any:
    """Return a TensorBoard writer that writes to ``folder``."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
