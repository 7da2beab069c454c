"""Evaluation: full ranking by batches or by vectors, finite scores, predicted ratings."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from recbole_diffusion.compat import EvaluatorType, FullSortEvalDataLoader, ModelType, init_seed
from recbole_diffusion.data.loader import UserBlock
from recbole_diffusion.data.ratings import has_ratings
from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation.near_vectors import TOGETHER, for_lists
from recbole_diffusion.evaluation.rated_released import row_means
from recbole_diffusion.evaluation.rated_scores import RatedScores
from recbole_diffusion.evaluation.score_check import ScoreCheck
from recbole_diffusion.evaluation.vector_ranking import USERS, VectorRanking
from recbole_diffusion.options.declare import unread
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.run_state import RunState

PAIRS = 4096  # of a full ranking by a model of pairs, scored at once: what its layers make stays in the cache


class Evaluating(RunState):
    """RecBole's evaluation, with scores that are checked before anything is ranked by them."""

    _told: frozenset[str] = frozenset()  # kinds of warnings on scores, which no later epoch repeats

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: Any = None,
        show_progress: bool = False,
        lists: Any = None,
    ) -> dict:
        """Evaluate as RecBole does, with the best weights; a full ranking fills ``lists`` if given.

        What a model of RecBole draws while it scores comes of the run's seed and leaves the training's random
        stream as it was: neither the number of evaluations nor ``eval_batch_size`` changes what is trained.

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
        random_state = checkpoint.random_state()
        init_seed(self.config["seed"], self.config["reproducibility"])
        with told_if_slow("evaluating", tell, total=total, unit=unit) as progress:
            collector.begin(check, lists if full else None, self.rated, progress)
            try:
                if by_vectors:
                    result = self._evaluate_by_vectors(eval_data, check, show_progress)
                else:
                    result = super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)
                check.end()
                computed = {name.partition("@")[0] for name in result}
                self._tell_once("probabilities", check.no_probabilities(computed))
                self._tell_once("order", check.no_order(computed))
            finally:
                collector.end()
                checkpoint.restore_random_state(random_state)
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
            found = for_lists(vectors, block.users)
            collector.collect_ranked(ranking.rank(block.users, found, block.history, *block.held_out))
            collector.progress.done += len(block.users)
            if self.rated is not None:
                # Exact ones, which many models have at hand.
                own = found[0] if vectors.near is None else vectors.users(block.users)
                self._add_rated(self.rated, ranking, block, own)
        result = self.evaluator.evaluate(collector.get_data_struct())
        self.wandblogger.log_eval_metrics(result, head="eval")
        return result

    @staticmethod
    def _add_rated(rated: RatedScores, ranking: VectorRanking, block: UserBlock, own: Tensor) -> None:
        """Add the scores of a block's held-out items, and the mean of those of all items.

        Args:
            rated: what they are added to.
            ranking: has the items.
            block: of users.
            own: their vectors, [block, d].
        """
        rows, items = block.held_out
        rated.add_values(ranking.scores(own, rows, items), block.users[rows], items)
        rated.add_floors(block.users, row_means(ranking.sums(own), block.history[0], len(ranking.items) - 1))

    def _full_sort_batch_eval(self, batched_data: tuple) -> tuple:
        """Score a batch of users; check the scores before the users' histories are masked.

        A model that scores nothing but pairs is given a few at a time: all those of a batch of users, a
        million and more, take tens of gigabytes in the layers of some.
        """
        interaction, history, *positives = batched_data
        whole: int = self.config["eval_batch_size"]
        self.test_batch_size = min(whole, PAIRS)
        try:
            interaction, scores, *positives = super()._full_sort_batch_eval((interaction, None, *positives))
        finally:
            self.test_batch_size = whole
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
        if not ranked and self.eval_collector.check is not None:
            self.eval_collector.check.add_labelled(scores, interaction[self.config["LABEL_FIELD"]])
        return interaction, scores, *positives

    def _tell_once(self, kind: str, text: str) -> None:
        if text and kind not in self._told:
            self.logger.warning(text)
            self._told |= {kind}

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

    def step_sizes(self) -> str:
        """Return what to try after a loss that is not finite."""
        return f"; try a smaller learning_rate (now {self.learning_rate:g})"

    def _diverged(self) -> str:
        """Return what to try after scores that cannot be ranked."""
        # Computed, and not trained by gradient steps: a model of RecBole, or one of ours.
        if self.config["MODEL_TYPE"] == ModelType.TRADITIONAL or "learning_rate" in unread(
            self.config.options
        ):
            return f"look at the options of {self.config['model']}"
        return f"its training may have diverged{self.step_sizes()}"
