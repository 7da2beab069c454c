"""The trainer of models that can solve for their weights: an epoch is a sweep, not steps of an optimizer."""

from typing import Any

from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.trainer.mirror_gradient import refusal
from recbole_diffusion.trainer.recbole_patches import FusedSteps


class _Sweeps(FusedSteps):
    """RecBole's Trainer, whose epoch is ``model.sweep()`` where the model has ``solves`` set."""

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> Any:
        if not self.model.solves:
            return super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        self.model.train()
        # RecBole sums losses over batches, and the record divides by their number.
        return self.model.sweep() * max(len(train_data), 1)


class AlternatingTrainer(RunMixin, _Sweeps):
    """``_Sweeps`` with a run folder; validation, early stopping and resume are those of every run."""

    def __init__(self, config: Any, model: Any, folder: Any) -> None:
        if config.general.mirror_gradient and model.solves:
            raise refusal(config["model"], "whose solver takes no gradient steps")
        super().__init__(config, model, folder)
