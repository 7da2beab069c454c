"""The trainer of every run: RecBole's loop with run folder, safe checkpoints, exact resume and an epoch hook.

``RunMixin`` goes before any RecBole trainer in the MRO, so that baselines have all of it; ``RunTrainer`` is
the plain combination.
"""

import time
from collections.abc import Callable
from typing import Any

import torch

from recbole_diffusion.data.valid_shift import UNSHIFTED, validations_of
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.options.first_stages import is_pretraining
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer.divided import agreed
from recbole_diffusion.trainer.evaluating import Evaluating
from recbole_diffusion.trainer.progress_log import Heartbeat
from recbole_diffusion.trainer.recbole_patches import FusedSteps
from recbole_diffusion.trainer.weight_choice import at_an_end, best_weight, check_choice


class RunMixin(Evaluating):
    """Training as RecBole does it, an epoch's record and checkpoint at its end.

    Of the model it calls ``begin_epoch`` and ``epoch_diagnostics`` and reads ``loss_names``, see
    ``ModelInterface``. The state of the run is :class:`RunState`'s, the evaluation :class:`Evaluating`'s.
    """

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], None] | None = None,
    ) -> tuple[float, dict | None]:
        """Train as RecBole's ``fit`` does; after a resume, only the epochs that are left."""
        saved = saved and self.share.rank == 0
        self._train_loader, self._saved = train_data, saved
        if self.model.weighed_on_validation:
            check_choice(valid_data)
        # RecBole's fit does it too, but not its first stages.
        if self.finished or is_pretraining(self.config.final_config_dict):
            self.eval_collector.data_collect(train_data)
        if not self.finished:
            self.logger.info(self._beginning(train_data))
            if self.start_epoch >= self.epochs:  # given weights are evaluated, and no others
                self._choose_weight(valid_data)
            if self.untrained:
                self.logger.warning(
                    "epochs is 0 and no weights are given: %s is evaluated as it was drawn, untrained; give "
                    "epochs, or weights with --load_checkpoint=RUN/best.pt or --continue_from=RUN",
                    self.config.model,
                )
            super().fit(
                train_data, valid_data, verbose, saved, show_progress, self._after_validation(callback_fn)
            )
            self._close_epoch()
        epoch = self.records[-1]["epoch"] if self.records else -1
        # The best weights are those of a validation; of a stage without one, those of its last epoch.
        chosen = self.best_epoch >= epoch or any("valid" in record for record in self.records)
        validated = self.best_file.is_file() and chosen
        if saved and not validated:
            self._choose_weight(valid_data)
        if epoch > self._last_saved:
            self._save_last(epoch)
        if saved and not validated:
            self._save_checkpoint(epoch, verbose)
        self.tensorboard.close()
        return self.best_valid_score, self.best_valid_result

    @property
    def untrained(self) -> bool:
        """Whether the run ends with weights as they were drawn: without an epoch, and without given ones."""
        general = self.config.general
        drawn = general.epochs == 0 and not general.load_checkpoint and not self.records
        trained = any(one.requires_grad for one in self.model.parameters())
        return drawn and trained and not self.model.computed_when_made

    def _beginning(self, train_data: Any) -> str:
        """Return the line that says how much there is to do; the first epoch may take long."""
        if self.model.computed_when_made:
            return f"{self.config.model} was computed when it was made: nothing is left to train"
        trained = sum(one.numel() for one in self.model.parameters() if one.requires_grad)
        rows, batches = self.count_rows(train_data), len(train_data)
        steps = f"{batches:,} batch{'' if batches == 1 else 'es'} per epoch"
        return f"training: {counted(rows, 'row')}, {steps}, {counted(trained, 'parameter')}"

    def batches_per_epoch(self, train_data: Any) -> int:
        """Return the number of batches of an epoch of the run, given its training loader."""
        return len(train_data)

    def count_rows(self, train_data: Any) -> int:
        """Return the number of rows of a training loader in an epoch."""
        return len(train_data._dataset)

    def _after_validation(
        self, callback_fn: Callable[[int, float], None] | None
    ) -> Callable[[int, float], None]:
        def validated(epoch: int, score: float) -> None:
            self._close_epoch()
            if callback_fn:
                callback_fn(epoch, score)

        return validated

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> Any:
        self._close_epoch()  # the previous epoch, if it was not validated
        self._epoch = epoch_idx
        start = time.perf_counter()
        self.begin_together(train_data)
        with told_if_slow(f"preparing epoch {epoch_idx}", self.logger.info):
            self.model.begin_epoch(epoch_idx)
        self._batches = max(len(train_data), 1)
        losses = self._trained(train_data, epoch_idx, self.mirrored(self.divided(loss_func)), show_progress)
        self.require_mirrored()
        seconds = time.perf_counter() - start
        self._open_record = {
            "epoch": epoch_idx,
            "train_seconds": round(seconds, 4),
            "loss": self._mean_losses(losses),
        }
        diagnostics = self.model.epoch_diagnostics()
        if diagnostics:
            self._open_record["diagnostics"] = diagnostics
        return losses

    def _trained(self, train_data: Any, epoch: int, loss_func: Any, show_progress: bool) -> Any:
        """Take the steps of an epoch, if the model has any; return the summed losses."""
        if self.model.computed_when_made:
            self.model.train()
            return 0.0
        first, self._estimated = not self._estimated, True
        batches = Heartbeat(train_data, epoch, self.logger, counts=not show_progress, estimates=first)
        try:
            return super()._train_epoch(batches, epoch, loss_func, show_progress)
        except RuntimeError as error:
            if self.enable_amp and any(name in str(error) for name in ("BFloat16", "Half", "same dtype")):
                raise UsageError(
                    f"{self.config.model} cannot be trained in mixed precision: it mixes numbers of 16 and "
                    f"32 bits ({str(error).splitlines()[0]}); leave out enable_amp"
                ) from error
            raise

    def _generate_train_loss_output(self, epoch_idx: int, s_time: float, e_time: float, losses: Any) -> str:
        """Return the log's line of an epoch: the parts of the loss by name, each the mean of its batches."""
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self._mean_losses(losses).items())
        return f"epoch {epoch_idx} training [time: {e_time - s_time:.2f}s, loss: {shown}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx: int, losses: Any, tag: str = "Loss/Train") -> None:
        for name, value in self._mean_losses(losses).items():
            self.tensorboard.add_scalar(f"{tag}/{name}", value, epoch_idx)

    def _mean_losses(self, losses: Any) -> dict[str, float]:
        """Return the means over the batches of an epoch, by name, as ``metrics.jsonl`` has them."""
        return {name: value / self._batches for name, value in self._named(losses).items()}

    def _named(self, losses: Any) -> dict[str, float]:
        """Return the loss parts of an epoch by name, and their total."""
        parts = losses if isinstance(losses, tuple) else (losses,)
        names = self.model.loss_names or ([f"part_{k}" for k in range(len(parts))] if len(parts) > 1 else ())
        named = {"total": float(sum(parts))}
        if len(names) == len(parts) > 1:
            named |= {name: float(value) for name, value in zip(names, parts, strict=True)}
        return named

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict]:
        start = time.perf_counter()
        found = None
        if self.share.rank == 0:
            self._choose_weight(valid_data)
            found = super()._valid_epoch(valid_data, show_progress)
        score, result = agreed(self.share, found)
        self._add_to_record("valid_seconds", round(time.perf_counter() - start, 4))
        self._add_to_record("valid", {name: float(value) for name, value in result.items()})
        if self.rated is not None and self.rated.predicts_ratings:
            self._add_to_record("ratings", self.rated.counts())
        beside = validations_of(valid_data).get(UNSHIFTED)
        if beside is not None and self.share.rank == 0:
            rated = self.rated
            values = self.evaluate(beside, load_best_model=False, show_progress=show_progress)
            self._add_to_record(UNSHIFTED, {name: float(value) for name, value in values.items()})
            self.rated = rated
        return score, result

    def _choose_weight(self, valid_data: Any) -> None:
        """Choose the weight of a model's second part on validation, where the model asks for that."""
        if not self.model.weighed_on_validation:
            return
        metric = self.config.general.valid_metric
        weight, value = best_weight(self.model, valid_data, metric)
        self.model.chosen_weight = weight
        self.logger.info(
            "linear_weight %g chosen on validation (%s %.4f)%s", weight, metric, value, at_an_end(weight)
        )
        self._add_to_record("linear_weight", weight)

    def _add_to_record(self, name: str, value: Any) -> None:
        """Add a value to the record of the current epoch, which its validation closes."""
        if self._open_record is not None:
            self._open_record[name] = value

    def _check_nan(self, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise RunError(
                f"the training loss is {loss.item()} in epoch {self._epoch}{self.step_sizes()} or "
                f"clip_grad_norm. {self.last_state()}"
            )

    def last_state(self) -> str:
        """Return, in words, where the state before the current epoch is."""
        if self._last_saved < 0:
            return "No epoch was finished"
        return f"The last good state is in {self.folder.path}"

    def _close_epoch(self) -> None:
        """If an epoch has ended, its validation included, write its checkpoint, then its line of metrics."""
        record, self._open_record = self._open_record, None
        if record is None:
            return
        self.records.append(record)
        if self._saved and (record["epoch"] + 1) % self.config.general.checkpoint_interval == 0:
            self._save_last(record["epoch"])
        self.folder.append_metrics(record)


class RunTrainer(RunMixin, FusedSteps):
    """The plain combination."""
