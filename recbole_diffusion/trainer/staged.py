"""Training in stages, each with its own epochs, optimizers and early stopping; all of it resumes exactly.

Longer than most files: a stage, its cache, its checkpoints and its early stopping share one state.
"""

import hashlib
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.base import RunMixin
from recbole_diffusion.trainer.mirror_gradient import refusal
from recbole_diffusion.trainer.recbole_patches import FusedSteps


class StageLoader:
    """Shuffled batches of a stage's rows; ``generator`` determines the order and is saved in checkpoints."""

    def __init__(self, stage: Any, part: Any, seed: int) -> None:
        self.rows, self.batch_size, self.dataset = stage.rows, stage.batch_size, part
        self._dataset = part
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        # Batches of an epoch, rounded up; an empty stage still has one.
        return max(1, -(-len(self.rows) // self.batch_size))

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.rows[torch.randperm(len(self.rows), generator=self.generator)].split(self.batch_size)


def _of_choices(callback: Callable[[int, float], None] | None) -> Callable[[int, float], None] | None:
    """Return a callback for the epochs that may be chosen; the score of the others is infinite."""
    return callback and (lambda epoch, score: callback(epoch, score) if isfinite(score) else None)


def _give_zeros(optimizer: torch.optim.Optimizer) -> None:
    """Give all parameters a gradient of 0, so that momentum moves also those that an update leaves alone."""
    for group in optimizer.param_groups:
        for one in group["params"]:
            one.grad = torch.zeros_like(one)


def _digest(module: torch.nn.Module) -> str:
    """Return a short text that differs for modules of other weights, or of the same ones of another shape."""
    digest = hashlib.sha256()
    for name, values in module.state_dict().items():
        digest.update(f"{name} {list(values.shape)}".encode())
        digest.update(values.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


class _StageSteps(FusedSteps):
    """RecBole's Trainer whose epoch takes the updates of the current stage in turn on each batch."""

    stage: Any = None
    step_optimizers: list[torch.optim.Optimizer]

    # RecBole's Trainer asks for one optimizer of all parameters; a model may have none to train.
    def _build_optimizer(self, **_: Any) -> None:  # type: ignore[override]
        """Return None: each update of a stage has its own optimizer."""

    def _optimizers_of(self, stage: Any) -> list[torch.optim.Optimizer]:
        """Return the optimizer of each update of a stage: one each, or the same for all."""
        # Step size and weight decay are an update's own in both cases.
        groups = [
            {
                "params": list(step.parameters),
                "lr": step.learning_rate,
                "weight_decay": self.weight_decay if step.weight_decay is None else step.weight_decay,
            }
            for step in stage.steps
        ]
        build = super()._build_optimizer
        if any(step.optimizer for step in stage.steps):
            pairs = zip(stage.steps, groups, strict=True)
            return [(step.optimizer or build)(params=[group]) for step, group in pairs]
        if stage.one_optimizer and groups:
            return [build(params=groups)] * len(groups)
        return [build(params=[group]) for group in groups]

    def _train_epoch(
        self,
        train_data: Any,
        epoch_idx: int,  # noqa: ARG002
        loss_func: Any = None,  # noqa: ARG002
        show_progress: bool = False,  # noqa: ARG002
    ) -> Any:
        """Train one epoch; return the loss of each update, summed over batches."""
        self.model.train()
        # Of each update, [updates]; on the device, so that no batch waits for a number.
        totals = torch.zeros(len(self.stage.steps), device=self.device)
        for batch in train_data:
            rows = batch.to(self.device)
            for number, (step, optimizer) in enumerate(
                zip(self.stage.steps, self.step_optimizers, strict=True)
            ):
                for _ in range(step.repeats):
                    with self.in_precision():
                        loss = step.loss(rows)
                    optimizer.zero_grad(set_to_none=True)
                    if self.stage.one_optimizer:
                        _give_zeros(optimizer)
                    # Only the update's own parameters get gradients, whatever else the loss runs through.
                    loss.backward(inputs=list(step.parameters))
                    if self.clip_grad_norm and step.clipped:
                        torch.nn.utils.clip_grad_norm_(step.parameters, **self.clip_grad_norm)
                    optimizer.step()
                    if step.after:
                        step.after()
                    totals[number] += loss.detach() / step.repeats
        self._check_nan(totals.sum())
        values = totals.tolist()
        return tuple(values) if len(values) > 1 else values[0]


class StagedTrainer(RunMixin, _StageSteps):
    """Runs the stages that ``model.stages()`` lists (see ``model/stage.py``).

    A stage ends with the weights of its best validation, in ``<stage>.pt`` of the run folder; those of the
    last stage are in ``best.pt``. Epochs are numbered through all stages; a record in ``metrics.jsonl`` names
    its stage and has ``stage_epoch``, counted from the stage's start, and ``chooses: false`` where the run's
    epoch cannot be the one: in an earlier stage, or before ``min_updates``. A stage with a ``key`` is loaded
    from the folder ``stage_cache`` if it is there, and stored there if not, unless the run begins with
    another's weights.
    """

    valid_metric_bigger: bool

    def __init__(self, config: Any, model: Any, folder: Any) -> None:
        if config.general.mirror_gradient:
            raise refusal(config["model"], "which trains in stages")
        super().__init__(config, model, folder)
        self.refuse_scaler()
        self.stages, self.number, self.step_optimizers = model.stages(), -1, []
        self.scores_only = config.general.epochs == 0 and bool(config.general.load_checkpoint)
        if self.stages and self.stages[-1].steps and config.general.epochs == 0 and not self.scores_only:
            raise UsageError(
                f"epochs is 0: the stage {self.stages[-1].name!r} of {config['model']} would never run; give "
                "1 or more, or score a trained model with --load_checkpoint"
            )
        self.bigger = self.valid_metric_bigger
        self.part: Any = None
        if config["stage_cache"] and any(stage.key for stage in self.stages):
            try:
                Path(config["stage_cache"]).expanduser().mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(
                    f"stage_cache {config['stage_cache']} cannot be created: {error}; name another folder"
                ) from error
        # Before a stage moves them: what a stage ends with depends on what it begins with, and that on all
        # options whose weights are drawn before these, and on the numbers of users and items.
        self._drawn = {
            stage.name: _digest(stage.module)
            for stage in self.stages
            if config["stage_cache"] and stage.key and stage.module is not None
        }

    def after_step(self) -> None:
        """Do nothing: an update of a stage has a follow-up of its own."""

    # Stages.

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], None] | None = None,
    ) -> tuple[float, dict | None]:
        """Train all stages, or those left after a resume; return the last one's best score and result."""
        self.part, self._saved = train_data._dataset, saved
        loader = train_data
        if not self.stages or self.scores_only:
            return self._scored_as_it_is(train_data, verbose)
        for number in range(max(self.number, 0), len(self.stages)):
            if number != self.number:
                loader = self._open(number)
                if self._cached():
                    continue
            else:
                loader = self._loader
            # An inner stage's scores are not those of the model that the run ends with.
            own = self.stage.error is not None or number < len(self.stages) - 1
            super().fit(
                loader, valid_data, verbose, saved, show_progress, None if own else _of_choices(callback_fn)
            )
            if saved:
                self._take_best()
        return self.best_valid_score, self.best_valid_result

    @property
    def untrained(self) -> bool:
        """False: a last stage of steps has an epoch, or it is refused."""
        return False

    def _scored_as_it_is(self, train_data: Any, verbose: bool) -> tuple[float, None]:
        """Train nothing; save the weights as the run's best."""
        self._train_loader = train_data
        self.eval_collector.data_collect(train_data)
        self._save_checkpoint(-1, verbose)
        self._save_last(-1)
        self.tensorboard.close()
        return self.best_valid_score, None

    def _open(self, number: int) -> StageLoader:
        """Begin a stage: its loader and optimizers, its first epoch, and early stopping from scratch."""
        loader = self._set(number, self.records[-1]["epoch"] + 1 if self.records else 0)
        if self.stage.begin:
            self.stage.begin()
        self.start_epoch, self.finished = self.first_epoch, False
        self.cur_step, self.best_valid_result, self.best_epoch = 0, None, -1
        self.best_valid_score = self._no_score
        return loader

    def _set(self, number: int, first_epoch: int) -> StageLoader:
        self.number, self.stage, self.first_epoch = number, self.stages[number], first_epoch
        self.saved_model_file = str(self.best_file)
        self.epochs = first_epoch + self.stage.epochs
        self.valid_metric_bigger = self.bigger and self.stage.error is None
        # New in each stage: momentum of an earlier one does not carry over.
        self.step_optimizers = self._optimizers_of(self.stage)
        # By name, so that a stage has the same order of batches wherever it comes in the list.
        order = self.config.general.seed + crc32(self.stage.name.encode())
        self._loader = StageLoader(self.stage, self.part, order)
        between = len(self._loader) * max(1, self.eval_step)  # batches from one validation to the next
        # From batches to validations, rounded up; the longer patience counts.
        self.stopping_step = max(self.stage.stopping_step, -(-self.stage.patience_in_updates // between))
        return self._loader

    @property
    def best_file(self) -> Path:
        """The file of the stage's best weights; those of the last stage are the run's."""
        inner = 0 <= self.number < len(self.stages) - 1
        return self.folder.path / f"{self.stages[self.number].name}.pt" if inner else self.folder.best

    def batches_per_epoch(self, train_data: Any) -> int:
        """Return the batches of the last stage, whose rows are users or ratings as it says."""
        return len(self._loader) if self.stages and not self.scores_only else len(train_data)

    def count_rows(self, train_data: StageLoader) -> int:
        """Return the rows of the stage."""
        return len(train_data.rows)

    def _take_best(self) -> None:
        """Load the stage's best weights into the model, and store the stage in the cache."""
        self.load_weights(checkpoint.load(self.best_file, self.device), self.best_file)
        file = self._cache_file()
        if file is not None and not file.is_file():
            checkpoint.save({"model": self.stage.name, "state_dict": self.stage.module.state_dict()}, file)

    def _cache_file(self) -> Path | None:
        folder = self.config["stage_cache"]
        # A run that begins with another's weights has stages that no key names.
        if not folder or not self.stage.key or self.config.general.load_checkpoint:
            return None
        # Settings of the run, which a stage's key does not include.
        clip = self.clip_grad_norm if any(step.clipped for step in self.stage.steps) else None
        drawn = self._drawn.get(self.stage.name)
        updates = repr((self.config.general.learner, clip or None, self.eval_step, drawn))
        if self.stage.error is None:  # the run's own validation ends it
            read = ("repeatable", "metric_decimal_place", "rating_scale")
            updates += repr((self.data, self.config.general.valid_metric, self.config["eval_args"]))
            updates += repr([self.config[name] for name in read])
        if self.enable_amp:
            updates += "enable_amp"
        return Path(folder).expanduser() / f"{self.stage.key}-{crc32(updates.encode()):08x}.pt"

    def _cached(self) -> bool:
        """Load the stage from the cache if it is there; return whether it was."""
        file = self._cache_file()
        if file is None or not file.is_file():
            return False
        try:
            self.stage.module.load_state_dict(checkpoint.load(file, self.device)["state_dict"])
        except (RunError, RuntimeError) as error:
            raise RunError(
                f"stage {self.stage.name!r} cannot be loaded from the cache: {str(error)[:200]}. Remove "
                f"{file}, and the stage will be trained again"
            ) from error
        self.logger.info("stage %s: taken from %s", self.stage.name, file)
        return True

    # An epoch.

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> Any:
        losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        self._add_to_record("stage", self.stage.name)
        self._add_to_record("stage_epoch", epoch_idx - self.first_epoch)
        return losses

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict]:
        if self.stage.error is None:
            score, result = super()._valid_epoch(valid_data, show_progress)
            early = self._too_early(self._epoch)
            if early or self.number < len(self.stages) - 1:  # a sweep must not take it for the run's score
                self._add_to_record("chooses", False)
            return (self._no_score if early else score), result
        self.model.eval()
        error = self.stage.error()
        self._add_to_record("valid", {"error": error})
        return error, {"error": error}

    @property
    def _no_score(self) -> float:
        return -torch.inf if self.valid_metric_bigger else torch.inf

    def _too_early(self, epoch: int) -> bool:
        """Return whether an epoch has too few updates to be chosen; the last validated one never has."""
        last = epoch + max(1, self.eval_step) >= self.epochs
        return not last and (epoch - self.first_epoch + 1) * len(self._loader) < self.stage.min_updates

    def step_sizes(self) -> str:
        """Return the stage and its learning rate; nothing for a model without stages."""
        if self.stage is None:
            return ""
        name = self.stage.rate_option
        rate = self.learning_rate if name == "learning_rate" else self.stage.steps[0].learning_rate
        return f" in the stage {self.stage.name!r}; try a smaller {name} (now {rate:g})"

    # Checkpoints.

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers of the current stage."""
        distinct = dict.fromkeys(self.step_optimizers)  # in order; a shared one once
        return {f"step_{number}": one for number, one in enumerate(distinct)}

    def trainer_state(self) -> dict[str, Any]:
        """Return the stage of a checkpoint and its first epoch."""
        return {"stage": self.number, "first_epoch": self.first_epoch if self.number >= 0 else 0}

    def resume(self, train_data: Any) -> None:
        """Continue; an epoch that was chosen only because it was the last is dropped if more follow."""
        super().resume(train_data)
        if (
            self.number >= 0
            and self.best_epoch >= 0
            and self.stage.error is None
            and self._too_early(self.best_epoch)
        ):
            self.best_valid_score, self.best_valid_result, self.cur_step = self._no_score, None, 0

    @property
    def chosen_epoch(self) -> int:
        """Return the best epoch, counted from the start of its stage, so that cached stages do not matter."""
        return (
            self.best_epoch - self.first_epoch
            if self.number >= 0 and self.best_epoch >= 0
            else self.best_epoch
        )

    def longest_wait(self, records: list[dict[str, Any]]) -> int:  # noqa: ARG002
        """Return 0: each stage has early stopping of its own."""
        return 0

    def restore_trainer(self, state: dict[str, Any], train_data: Any) -> Any:
        """Set the stage of a checkpoint; return its loader."""
        self.part = train_data._dataset
        if state["stage"] < 0:
            return train_data
        return self._set(state["stage"], state["first_epoch"])

    # Evaluation.

    def evaluate(self, eval_data: Any, *arguments: Any, **named: Any) -> dict:
        """Evaluate, with the model's warm start on a part that asks for it."""
        self.model.warm = getattr(eval_data._dataset, "warm", False)
        try:
            return super().evaluate(eval_data, *arguments, **named)
        finally:
            self.model.warm = False
