"""The trainer of every run: RecBole's loop with run folder, safe checkpoints, exact resume and an epoch hook.

``RunMixin`` goes before any RecBole trainer in the MRO, so that baselines have all of it; ``RunTrainer`` is
the plain combination. Longer than most files, to show in one place the methods that RecBole calls in turn.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_diffusion.compat import EvaluatorType, FullSortEvalDataLoader, ModelType
from recbole_diffusion.data.fingerprint import differences
from recbole_diffusion.data.ratings import has_ratings
from recbole_diffusion.data.valid_shift import UNSHIFTED, validations_of
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.evaluation.metrics import RunEvaluator
from recbole_diffusion.evaluation.near_vectors import TOGETHER
from recbole_diffusion.evaluation.rated_released import row_means
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.evaluation.score_check import ScoreCheck
from recbole_diffusion.evaluation.vector_ranking import USERS, VectorRanking
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.checkpoint_form import damage_of_state
from recbole_diffusion.trainer.divided import Divided, agreed
from recbole_diffusion.trainer.mirror_gradient import MirrorGradient
from recbole_diffusion.trainer.plain_attributes import PlainState
from recbole_diffusion.trainer.progress_log import Heartbeat
from recbole_diffusion.trainer.recbole_patches import FusedSteps, RunCollector, tensorboard_in
from recbole_diffusion.trainer.weight_choice import at_an_end, best_weight, check_choice


class RunMixin(MirrorGradient, Divided):
    """Run folder, checkpoints and resume around a RecBole trainer.

    Of the model it calls ``begin_epoch`` and ``epoch_diagnostics`` and reads ``loss_names``, see
    ``ModelInterface``.

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

    # Training.

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
        if self.finished:
            self.eval_collector.data_collect(train_data)
        else:
            self.logger.info(self._beginning(train_data))
            if self.start_epoch >= self.epochs:  # given weights are evaluated, and no others
                self._choose_weight(valid_data)
            super().fit(
                train_data, valid_data, verbose, saved, show_progress, self._after_validation(callback_fn)
            )
            self._close_epoch()
        epoch = self.records[-1]["epoch"] if self.records else -1
        validated = self.best_file.is_file()
        if saved and not validated:
            self._choose_weight(valid_data)
        if epoch > self._last_saved:
            self._save_last(epoch)
        if saved and not validated:
            self._save_checkpoint(epoch, verbose)
        self.tensorboard.close()
        return self.best_valid_score, self.best_valid_result

    def _beginning(self, train_data: Any) -> str:
        """Return the line that says how much there is to do; the first epoch may take long."""
        if self.model.computed_when_made:
            return f"{self.config.model} was computed when it was made: nothing is left to train"
        trained = sum(one.numel() for one in self.model.parameters() if one.requires_grad)
        rows, batches = self.count_rows(train_data), len(train_data)
        steps = f"{batches:,} batch{'' if batches == 1 else 'es'} per epoch"
        return f"training: {counted(rows, 'row')}, {steps}, {counted(trained, 'parameter')}"

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
                f"clip_grad_norm. The last good state is in {self.folder.path}"
            )

    def step_sizes(self) -> str:
        """Return what to try after a loss that is not finite."""
        return f"; try a smaller learning_rate (now {self.learning_rate:g})"

    def _diverged(self) -> str:
        """Return what to try after scores that cannot be ranked."""
        if self.config["MODEL_TYPE"] == ModelType.TRADITIONAL:  # computed, not trained by steps
            return f"look at the options of {self.config['model']}"
        return f"its training may have diverged{self.step_sizes()}"

    # Checkpoints.

    def _close_epoch(self) -> None:
        """If an epoch has ended, its validation included, write its checkpoint, then its line of metrics."""
        record, self._open_record = self._open_record, None
        if record is None:
            return
        self.records.append(record)
        if self._saved and (record["epoch"] + 1) % self.config.general.checkpoint_interval == 0:
            self._save_last(record["epoch"])
        self.folder.append_metrics(record)

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
                "loader": self._loader_state(),
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

    def _loader_state(self) -> torch.Tensor | None:
        generator = getattr(self._train_loader, "generator", None)
        return generator.get_state() if generator is not None else None

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
            if isinstance(error, RunError):
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
        self.cur_step, self.best_epoch = state["cur_step"], state["best_epoch"]
        self.finished = self.start_epoch >= self.epochs or self.cur_step > self.stopping_step
        self.best_valid_score = state["best_valid_score"]
        self.best_valid_result = _numbers(state["best_valid_result"])
        self.records, self._last_saved = json.loads(state["records"]), state["epoch"]
        optimizers = self.optimizers()
        for name, values in state["optimizers"].items():
            optimizers[name].load_state_dict(values)
        self.plain_state.restore(state["plain"])
        generator = getattr(train_data, "generator", None)
        if generator is not None and state["loader"] is not None:
            generator.set_state(state["loader"].cpu())
        checkpoint.restore_random_state(state["random"])
        self.folder.write_metrics(self.records)

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
        return "; ".join(differences(state.get("data") or {}, self.data).values())

    # Evaluation.

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: Any = None,
        show_progress: bool = False,
        lists: Any = None,
    ) -> dict:
        """Evaluate as RecBole does, with the best weights; a full ranking fills ``lists`` if given.

        Raises:
            RunError: damaged weights, or scores that cannot be ranked, see ``evaluation/score_check.py``.
        """
        if load_best_model and not (self.model.computed_when_made and model_file is None):
            path = Path(model_file or self.best_file)
            self.load_weights(checkpoint.load(path, self.device), path)
        full = isinstance(eval_data, FullSortEvalDataLoader)
        collector, epoch = self.eval_collector, self.chosen_epoch if load_best_model else self._epoch
        check = ScoreCheck(
            self.model, f"in epoch {epoch}" if epoch >= 0 else "before training", self._diverged()
        )
        self.rated = self._rated_of(eval_data._dataset) if full else None
        by_vectors = full and not eval_data.is_sequential and self.model.has_item_vectors
        by_vectors = by_vectors and not collector.reads_all_scores
        total, unit = (len(eval_data.users), "users") if by_vectors else (len(eval_data), "batches")
        tell = self.logger.debug if show_progress else self.logger.info  # beside a progress bar, no lines
        with told_if_slow("evaluating", tell, total=total, unit=unit) as progress:
            collector.begin(check, lists if full else None, self.rated, progress)
            try:
                if by_vectors:
                    result = self._evaluate_by_vectors(eval_data, check, show_progress)
                else:
                    result = super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)
                check.end()
            finally:
                collector.end()
        if undefined := [name for name, value in result.items() if math.isnan(value)]:
            raise RunError(
                f"{', '.join(undefined)} of {self.config.model} cannot be computed: rows of both labels are "
                "needed, and the part has those of one, or none; check threshold, the labels and the split"
            )
        if self.rated is not None:
            digits = self.config.general.metric_decimal_place
            result |= {name: round(value, digits) for name, value in self.rated.metrics().items()}
        return result

    @torch.no_grad()
    def _evaluate_by_vectors(self, eval_data: Any, check: ScoreCheck, show_progress: bool) -> dict:
        """Evaluate a model whose scores are inner products, by blocks of users."""
        self.model.eval()
        collector, vectors = self.eval_collector, self.model.inner_products()
        ranking = VectorRanking(vectors, max(collector.topk), check)
        size = USERS if vectors.near is None else TOGETHER
        starts: Any = range(0, len(eval_data.users), size)
        for start in tqdm(starts, desc="Evaluate", ncols=100) if show_progress else starts:
            block = eval_data.block(np.arange(start, min(start + size, len(eval_data.users)))).to(self.device)
            collector.collect_ranked(ranking.rank(block.users, block.history, *block.held_out))
            collector.progress.done += len(block.users)
            if self.rated is not None:
                rows, items = block.held_out
                scores = ranking.scores(block.users, rows, items)
                self.rated.add_values(scores, block.users[rows], items)
                # sum_i u . v_i = u . (sum of v_i), [block]: no table of all scores.
                sums = vectors.users(block.users).double() @ vectors.items[1:].double().sum(0)
                means = row_means(sums, block.history[0], len(vectors.items) - 1)
                self.rated.add_floors(block.users, means)
        result = self.evaluator.evaluate(collector.get_data_struct())
        self.wandblogger.log_eval_metrics(result, head="eval")
        return result

    def _full_sort_batch_eval(self, batched_data: tuple) -> tuple:
        """Score a batch of users; check the scores before the users' histories are masked."""
        interaction, history, *positives = batched_data
        interaction, scores, *positives = super()._full_sort_batch_eval((interaction, None, *positives))
        self._check_finite(scores[:, 1:])
        if self.rated is not None:
            # Before anything is masked: the released reading has another mask.
            cells = history[0] if history is not None else scores.new_zeros(0, dtype=torch.long)
            means = row_means(scores[:, 1:].sum(1, dtype=torch.float64), cells, scores.shape[1] - 1)
            self.rated.add_floors(interaction[self.config["USER_ID_FIELD"]], means)
        if history is not None:
            scores[history] = -torch.inf
        return interaction, scores, *positives

    def _neg_sample_batch_eval(self, batched_data: tuple) -> tuple:
        """Score a batch of rows, and check the scores."""
        interaction, scores, *positives = super()._neg_sample_batch_eval(batched_data)
        ranked, rows = self.config["eval_type"] == EvaluatorType.RANKING, batched_data[1]
        self._check_finite(scores[rows, interaction[self.config["ITEM_ID_FIELD"]]] if ranked else scores)
        return interaction, scores, *positives

    def _check_finite(self, scores: torch.Tensor) -> None:
        if self.eval_collector.check is not None:
            self.eval_collector.check.finite(scores)

    def _rated_of(self, part: Any) -> RatedScores | None:
        """Return the collector of the scores of rated items if the part has ratings on a known scale."""
        options = self.config.rating
        if options.rating_scale is None or not has_ratings(part):
            return None
        read_out = self.model.read_out if self.model.reads_out else None
        return RatedScores(part, options, self.model.predicts_ratings, read_out)


def _numbers(result: Any) -> dict[str, float] | None:
    """Return the metrics of a validation as plain numbers; None without any."""
    return {name: float(value) for name, value in result.items()} if result else None


class RunTrainer(RunMixin, FusedSteps):
    """The plain combination."""
