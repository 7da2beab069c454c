"""What a run is and keeps: its folder, its checkpoints, its exact resume."""

import json
import math
from pathlib import Path
from typing import Any

import torch

from recbole_diffusion.data.fingerprint import differences
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.evaluation.metrics import RunEvaluator
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.batch_order import restore_order, state_of
from recbole_diffusion.trainer.checkpoint_form import damage_of_state
from recbole_diffusion.trainer.divided import Divided
from recbole_diffusion.trainer.mirror_gradient import MirrorGradient
from recbole_diffusion.trainer.plain_attributes import PlainState
from recbole_diffusion.trainer.recbole_patches import RunCollector, tensorboard_in


class RunState(MirrorGradient, Divided):
    """State of a run around a RecBole trainer: written to its folder, and read from there.

    Args:
        config: the run's Config; ``checkpoint_dir`` must be the run folder.
        model: the model.
        folder: where the run writes.
    """

    def __init__(self, config: Any, model: Any, folder: RunFolder) -> None:
        self.folder = folder
        with tensorboard_in(folder.tensorboard):
            super().__init__(config, model)
        self.eval_collector, self.evaluator = RunCollector(config), RunEvaluator(config)
        self.saved_model_file = str(folder.best)
        self.save_step = math.inf  # of first stages: RecBole's files of all epochs, which nothing reads
        self.plain_state = PlainState(model)
        if model.computed_when_made:
            self.epochs: int = min(self.epochs, 1)
        self.ids = ""  # fingerprint of the data set's ids, kept in checkpoints
        self.data: dict[str, Any] = {}  # fingerprints of the data, kept there too
        self.records: list[dict[str, Any]] = []
        self.best_epoch = -1
        self.finished = False
        self.rated: RatedScores | None = None  # of the last evaluation
        self._last_saved = self._epoch = -1
        self._estimated = False  # the line on how long an epoch takes
        self._open_record: dict[str, Any] | None = None
        self._train_loader: Any = None
        self._batches = 1  # of the current epoch

    @property
    def best_file(self) -> Path:
        """The file of the best weights so far."""
        return self.folder.best

    def _save_last(self, epoch: int) -> None:
        """Write ``checkpoint.pt``: the whole state after ``epoch``."""
        if not self._saved:
            return
        checkpoint.save(
            {
                "model": self.config["model"],
                "ids": self.ids,
                "data": self.data,
                "epoch": epoch,
                "cur_step": self.cur_step,
                "best_epoch": self.best_epoch,
                "best_valid_score": float(self.best_valid_score),
                "best_valid_result": _numbers(self.best_valid_result),
                # As text: thousands of small objects would take longer than the weights.
                "records": json.dumps(self.records),
                "state_dict": self.model.state_dict(),
                "other_parameter": checkpoint.beside_weights(self.model),
                "plain": self.plain_state.values(),
                "optimizers": {name: one.state_dict() for name, one in self.optimizers().items()},
                "random": checkpoint.random_state(),
                "loader": state_of(self._train_loader),
                "trainer": self.trainer_state(),
            },
            self.folder.checkpoint,
            self.folder.advice,
        )
        self._last_saved = epoch

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:  # noqa: ARG002
        """Write the best weights; RecBole calls this after the best validation so far, or without any."""
        self.best_epoch = epoch
        state = {
            "state_dict": self.model.state_dict(),
            "other_parameter": checkpoint.beside_weights(self.model),
        }
        named = {"model": self.config["model"], "ids": self.ids, "data": self.data, "epoch": epoch}
        checkpoint.save({**named, **state}, self.best_file, self.folder.advice)
        if verbose:
            self.logger.info("best so far, saved to %s", self.best_file)

    @property
    def chosen_epoch(self) -> int:
        """Return the best epoch, as ``result.json`` counts it."""
        return self.best_epoch

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the optimizers whose state a resume needs, by attribute.

        RecVAE's trainer sets ``optimizer`` to each of two others in turn: such a second name is left out.
        """
        found = {
            name: value for name, value in vars(self).items() if isinstance(value, torch.optim.Optimizer)
        }
        others = [value for name, value in found.items() if name != "optimizer"]
        return {
            name: value
            for name, value in found.items()
            if name != "optimizer" or all(value is not one for one in others)
        }

    def trainer_state(self) -> dict[str, Any]:
        """Return what else a resume of this trainer needs, as plain types."""
        return {}

    def restore_trainer(self, state: dict[str, Any], train_data: Any) -> Any:  # noqa: ARG002
        """Restore what :meth:`trainer_state` returned; return the loader whose order the checkpoint has."""
        return train_data

    def resume(self, train_data: Any) -> None:
        """Continue from ``checkpoint.pt``: weights, optimizers, early stopping, random state, batch order.

        Raises:
            UsageError: there is no checkpoint.
            RunError: it is damaged, belongs to another model, or its data has changed since.
        """
        state = checkpoint.load(self.folder.checkpoint, self.device)
        if "optimizers" not in state:
            raise RunError(
                f"{self.folder.checkpoint} holds weights only, not the state of a run; start a new run from "
                "it with --load_checkpoint"
            )
        if damage := damage_of_state(state):
            raise RunError(f"{self.folder.checkpoint} is damaged: {damage}; {self._remedy()}")
        self.load_weights(state, self.folder.checkpoint)
        if told := self.changed_data(state):
            raise RunError(
                f"the run in {self.folder.path} cannot continue, its data has changed: {told}; put the "
                "files back that it began with, or start a new run"
            )
        if self.data and not state.get("data"):
            self.logger.warning(
                "%s is older than fingerprints of data: nothing is compared", self.folder.path
            )
        try:
            self._restore(state, train_data)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if isinstance(error, RunError | UsageError):
                raise
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise RunError(f"{self.folder.checkpoint} is damaged: {why}; {self._remedy()}") from error
        self.logger.info("resumed after epoch %d", state["epoch"])

    def _restore(self, state: dict[str, Any], train_data: Any) -> None:
        """Set all that a checkpoint holds besides weights."""
        train_data = self.restore_trainer(state.get("trainer", {}), train_data)
        if state["best_epoch"] >= 0:
            self._check_best()
        self.start_epoch = state["epoch"] + 1
        if self.start_epoch > self.epochs:  # config.yaml would name epochs that give another result
            raise UsageError(
                f"the run in {self.folder.path} has trained {self.start_epoch} epochs by now, more than "
                f"{self.epochs}: a resume cannot take epochs back; give --epochs={self.start_epoch} or more, "
                "or start a new run"
            )
        waited = self.longest_wait(json.loads(state["records"])[:-1])
        if waited > self.stopping_step:  # the same: training would have ended before
            raise UsageError(
                f"the run in {self.folder.path} went on after {counted(waited, 'validation')} without a new "
                f"best, more than a stopping_step of {self.stopping_step} allows: a resume cannot take "
                f"epochs back; give --stopping_step={waited} or more, or start a new run"
            )
        self.cur_step, self.best_epoch = state["cur_step"], state["best_epoch"]
        self.finished = self.start_epoch >= self.epochs or self.cur_step > self.stopping_step
        self.best_valid_score = state["best_valid_score"]
        self.best_valid_result = _numbers(state["best_valid_result"])
        self.records, self._last_saved = json.loads(state["records"]), state["epoch"]
        optimizers = self.optimizers()
        for name, values in state["optimizers"].items():
            optimizers[name].load_state_dict(values)
        self.plain_state.restore(state["plain"])
        if not restore_order(train_data, state["loader"]) and not self.finished:
            self.logger.warning(
                "%s has no order of batches: an earlier version wrote none for %s; the epochs that are left "
                "have other batches than those of a run that was never stopped",
                *(self.folder.checkpoint, self.config["model"]),
            )
        checkpoint.restore_random_state(state["random"])
        self.folder.write_metrics(self.records)

    def longest_wait(self, records: list[dict[str, Any]]) -> int:
        """Return the most validations one after the other without a new best, by the records of epochs."""
        name, sign = self.config.general.valid_metric.lower(), 1 if self.valid_metric_bigger else -1
        best, wait, longest = -math.inf, 0, 0
        for record in records:
            if name in (record.get("valid") or {}):
                score = sign * record["valid"][name]
                best, wait = (score, 0) if score >= best else (best, wait + 1)
                longest = max(longest, wait)
        return longest

    def _remedy(self) -> str:
        return checkpoint.remedy(self.folder.checkpoint)

    def _check_best(self) -> None:
        """Check that the best weights so far are there, before hours are spent on others."""
        best = self.best_file
        if not best.is_file():
            raise RunError(f"{best} is missing; {checkpoint.remedy(best)}")
        checkpoint.load(best)

    def load_weights(self, state: dict[str, Any], origin: Path) -> None:
        """Put the weights of a checkpoint into the model; see :func:`checkpoint.put_weights`."""
        checkpoint.put_weights(self.model, state, origin, self.config["model"], self.ids)

    def changed_data(self, state: dict[str, Any]) -> str:
        """Return what is new in the run's data since a checkpoint was made; empty if nothing is."""
        same_ids = state.get("ids", self.ids) == self.ids
        return "; ".join(differences(state.get("data") or {}, self.data, same_ids).values())


def _numbers(result: Any) -> dict[str, float] | None:
    """Return the metrics of a validation as plain numbers; None without any."""
    return {name: float(value) for name, value in result.items()} if result else None
