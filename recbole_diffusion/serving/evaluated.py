"""A trained run evaluated again: other metrics, cut-offs, parts and groups, without training."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_diffusion.compat import init_seed
from recbole_diffusion.data.preparation import check_cut_offs
from recbole_diffusion.data.valid_shift import validations_of
from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.options.evaluation import computed_metrics
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.seen_rows import seen_rows
from recbole_diffusion.trainer import checkpoint
from recbole_diffusion.trainer.factory import trainer_for
from recbole_diffusion.trainer.tested_parts import TestedParts, evaluate_parts

logger = logging.getLogger(__name__)


def evaluation_options(stored: Mapping[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a loading, with a ``valid_metric`` that is computed if others are asked for."""
    if not {"metrics", "topk"} & options.keys() or "valid_metric" in options:
        return options
    try:
        both = {**stored, **options}
        return {**options, "valid_metric": computed_metrics(both["metrics"], both["topk"])[0]}
    except (TypeError, IndexError, KeyError, AttributeError):
        return options  # something is wrong, which the configuration says


def evaluate(run: Any, parts: Sequence[str] | None = None, progress: bool = False) -> TestedParts:
    """Evaluate a trained run on its own data.

    Args:
        run: a ``LoadedRun``; its ``metrics``, ``topk`` and ``report_groups`` say what is computed.
        parts: ``valid`` and the test parts to evaluate, or None for the test parts.
        progress: whether to show progress bars.

    Raises:
        UsageError: there is no such part, a cut-off is above the number of items, or the data has changed
            since the training: features or neighbours, or rows that the run has not kept, so that the rows
            of a part may be rows that the model was trained on.
        RunError: scores that cannot be ranked.
    """
    run.changed.check_evaluated()
    check_cut_offs(run.config, run.dataset)
    train, valid, tests = run.loaders
    there = validations_of(valid) | tests
    wanted = list(tests) if parts is None else list(dict.fromkeys(parts))
    for part in wanted:
        if part not in there:
            raise UsageError(
                f"the run in {run.folder.path} has no part {part!r}{did_you_mean(part, there)}; there are "
                f"{', '.join(there)}"
            )
    if not wanted:
        raise UsageError(f"the run in {run.folder.path} has no test part; there are {', '.join(there)}")
    random_state = checkpoint.random_state()
    try:
        init_seed(run.config.general.seed, run.config["reproducibility"])
        with tempfile.TemporaryDirectory() as place:  # a trainer writes; the run's folder stays as it is
            trainer = trainer_for(run.config, run.model, RunFolder(Path(place)))
            trainer.eval_collector.data_collect(train)  # what AveragePopularity and its like count
            tests = {part: there[part] for part in wanted}
            found = evaluate_parts(trainer, train, tests, progress, best=False)
            trainer.tensorboard.close()
    finally:
        checkpoint.restore_random_state(random_state)
    kept = run.folder.read_result() if run.folder.result.is_file() else {}
    _tell_other_draw(run, found, kept)
    if seen := seen_rows(run.config.final_config_dict, kept, wanted):
        logger.warning("%s; these metrics are not those of unseen items", seen)
    if run.config.metrics_asked:  # of lists: those of ratings were not asked for
        found.rated = {}
        for part, values in found.metrics.items():
            found.metrics[part] = {name: one for name, one in values.items() if not name.startswith("rated_")}
    return found


def _tell_other_draw(run: Any, found: TestedParts, kept: Mapping[str, Any]) -> None:
    """Warn if sampled candidates give other numbers than ``result.json``, and say why as far as it shows."""
    why = (
        "the items beside the held-out ones are drawn as then, so versions or machine differ, or an earlier "
        "version began the run"
        if "candidates_seed" in kept
        else "an earlier version drew other items beside the held-out ones"
    )
    mode = run.config["eval_args"]["mode"]
    for part, values in found.metrics.items():
        sampled = str(mode["valid" if part.startswith("valid") else "test"]).startswith(("uni", "pop"))
        before = kept.get(part) or {}
        apart = [name for name in values if name in before and abs(before[name] - values[name]) > 1e-6]
        if sampled and apart:
            logger.warning("%s of %s is not that of result.json: %s", apart[0], part, why)
