"""The test parts of a run, evaluated with the best weights: metrics, by group, per user, and of ratings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recbole_diffusion.errors import counted, shown_name
from recbole_diffusion.evaluation.groups import group_report
from recbole_diffusion.evaluation.lists import USER_METRICS, TopKLists, UserMetrics, save_user_metrics
from recbole_diffusion.evaluation.one_order import in_one_order


@dataclass
class TestedParts:
    """Results by test part.

    Attributes:
        metrics: values by name.
        groups: group reports, if ``report_groups`` asks for them.
        rated: rating reports, for parts with ratings on a known scale.
    """

    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, Any] = field(default_factory=dict)
    rated: dict[str, Any] = field(default_factory=dict)


def evaluate_parts(
    trainer: Any, train: Any, tests: Mapping[str, Any], progress: bool, best: bool = True
) -> TestedParts:
    """Evaluate each test part, and write its users' metrics into the run folder.

    Args:
        trainer: the run's trainer.
        train: loader of the training part.
        tests: loaders of the test parts by name.
        progress: whether to show progress bars.
        best: whether to load the best weights from the run folder first.

    Raises:
        RunError: the weights are damaged, or the users' metrics cannot be written.
    """
    config, part = trainer.config, train._dataset
    found = TestedParts()
    kept: dict[str, TopKLists] = {}
    errors: dict[str, UserMetrics] = {}
    topk = [config["topk"]] if isinstance(config["topk"], int) else list(config["topk"])
    metrics = [config["metrics"]] if isinstance(config["metrics"], str) else list(config["metrics"])
    for name, loader in tests.items():
        lists = TopKLists(max(topk))
        values = trainer.evaluate(loader, load_best_model=best, show_progress=progress, lists=lists)
        found.metrics[name] = {metric: float(value) for metric, value in values.items()}
        personal = len(lists) and not trainer.model.constant_scores
        if personal and in_one_order(lists.items, _seen(loader, lists.users)):
            trainer.logger.warning(
                "%s: the lists of the %s are parts of one order of the items: %s ranks for all alike, as by "
                "popularity; its training may have collapsed (learning_rate, weight_decay, too few epochs), "
                "or it knows nothing of these users",
                *(name, counted(len(lists), "user"), shown_name(trainer.model)),
            )
        if trainer.rated is not None:
            found.rated[name] = trainer.rated.report()
        if len(lists) and len(np.unique(lists.users)) == len(lists):  # not where a user has several sequences
            kept[name] = lists
            errors[name] = trainer.rated.by_user(lists.users) if trainer.rated is not None else {}
            if config.general.report_groups:
                n_groups = config.general.report_groups
                found.groups[name] = group_report(lists, part, loader._dataset, n_groups, topk)
    if kept:
        tokens = part.field2id_token[part.uid_field]
        by_user = [metric for metric in metrics if metric.lower() in USER_METRICS]
        save_user_metrics(trainer.folder.user_metrics, kept, tokens, topk, by_user, errors)
    return found


def _seen(loader: Any, users: np.ndarray) -> Callable[[int], np.ndarray]:
    """Return a function that returns what is left out of the list of a row; of sequences nothing is."""
    if getattr(loader, "is_sequential", False):
        return lambda _row: np.zeros(0, np.int64)
    left_out = loader.uid2history_item
    return lambda row: left_out[int(users[row])].numpy()
