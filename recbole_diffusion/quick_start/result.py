"""Training, evaluation, and the content of ``result.json``."""

import logging
import time
from collections.abc import Callable
from typing import Any

from recbole_diffusion.data.fingerprint import first_rows
from recbole_diffusion.data.sampled_candidates import FixedCandidates
from recbole_diffusion.data.valid_shift import UNSHIFTED, choices, validations_of
from recbole_diffusion.errors import counted
from recbole_diffusion.quick_start.prepared import Prepared
from recbole_diffusion.storage.heap import freed_memory_kept
from recbole_diffusion.storage.memory import peak_memory_mib
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.storage.versions import versions
from recbole_diffusion.trainer.rows_before import seen_rows

logger = logging.getLogger()  # the root logger, which writes to the run's log
SEVERAL = 5  # validations: of fewer, on a small part, some are alike by chance


@freed_memory_kept()
def train(prepared: Prepared, on_epoch: Callable | None) -> tuple[float | None, dict[str, float]]:
    """Train; return the best validation score and the metrics of that validation, None and {} without one."""
    trainer, progress = prepared.trainer, prepared.progress
    if prepared.valid is None:
        logger.warning("no validation part: every epoch is trained, and the last one is kept")
        trainer.fit(prepared.train, None, show_progress=progress, callback_fn=on_epoch)
        return None, {}
    score, valid = trainer.fit(prepared.train, prepared.valid, show_progress=progress, callback_fn=on_epoch)
    _tell_of_validations(trainer, prepared.config.general)
    if valid is None:
        valid = trainer.evaluate(prepared.valid, show_progress=progress)
        score = valid[prepared.config.general.valid_metric.lower()]
    return float(score), {name: float(value) for name, value in valid.items()}


def _tell_of_validations(trainer: Any, general: Any) -> None:
    """Tell validations that are all alike, which choose no epoch, and training that ended as it improved.

    Also epochs after the last validation, which no number is of.
    """
    if trainer.model.computed_when_made or any("stage" in record for record in trainer.records):
        return
    metric, sign = general.valid_metric.lower(), 1 if trainer.valid_metric_bigger else -1
    scores = [sign * one["valid"][metric] for one in trainer.records if metric in (one.get("valid") or {})]
    if len(scores) >= SEVERAL and min(scores) == max(scores):
        logger.warning(
            "%s was %g in each of %d validations: it chooses no epoch, and the last is taken. The model "
            "learns nothing that it shows (learning_rate %g, weight_decay %g); change these, or valid_metric",
            *(general.valid_metric, abs(scores[0]), len(scores), general.learning_rate, trainer.weight_decay),
        )
    elif len(trainer.records) == general.epochs and len(scores) > 1 and scores[-1] > max(scores[:-1]):
        logger.info(
            "the best validation was that of the last of %d epochs: more epochs may be better", general.epochs
        )
    validated = [number for number, record in enumerate(trainer.records, 1) if record.get("valid")]
    after = len(trainer.records) - validated[-1] if validated else 0
    if after:
        logger.warning(
            "%s after the last validation, with eval_step %d: no number is of %s; give epochs that it "
            "divides",
            *(counted(after, "epoch"), general.eval_step, "it" if after == 1 else "them"),
        )


def result_of(prepared: Prepared, on_epoch: Callable | None, test: bool) -> dict[str, Any]:
    """Train and evaluate; return the content of ``result.json`` without the command."""
    from recbole_diffusion.evaluation.ranking import METRICS_VERSION
    from recbole_diffusion.trainer.tested_parts import evaluate_parts

    config, trainer = prepared.config, prepared.trainer
    overlap = prepared.dataset.overlap
    score, valid = train(prepared, on_epoch)
    clock = time.perf_counter()
    tests = prepared.tests if test else {}
    found = evaluate_parts(trainer, prepared.train, tests, prepared.progress)
    test_seconds = time.perf_counter() - clock
    with told_if_slow("computing diagnostics", logger.info):
        diagnostics = trainer.model.final_diagnostics()
    beside = _beside(prepared) if valid else {}
    shown = ({"valid": valid} if valid else {}) | {UNSHIFTED: beside.get(UNSHIFTED)} | found.metrics
    for part, values in ((name, one) for name, one in shown.items() if one is not None):
        logger.info("%s: %s", part, "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    epochs = [record["train_seconds"] for record in trainer.records]
    return {
        "model": config["model"],
        "dataset": config["dataset"],
        "selection": _selection(prepared),
        "seed": config.general.seed,
        "preset": config["preset"],
        **({"preset_replaced": replaced} if (replaced := config.preset_replaced()) else {}),
        **_origin(prepared),
        **_draws(prepared),
        "items": prepared.dataset.item_num - 1,  # that lists are made of
        "metrics_version": METRICS_VERSION,
        "parameters": sum(one.numel() for one in trainer.model.parameters() if one.requires_grad),
        "train_batch_size": config.general.train_batch_size,
        "batches_per_epoch": trainer.batches_per_epoch(prepared.train),
        "learning_rate": config.general.learning_rate,
        "best_epoch": trainer.chosen_epoch,
        "best_valid_score": score,
        "valid": valid,
        **beside,
        "test": next(iter(found.metrics.values()), None),
        **(found.metrics if len(found.metrics) > 1 else {}),
        "groups": found.groups,
        "rated": found.rated,
        "split": getattr(prepared.dataset, "split_summary", None),
        "diagnostics": diagnostics,
        "overlap": {name: found for name, found in overlap.items() if name != "selection"},
        "parts": {name: trainer.data[name] for name in ("train", *prepared.held_out) if name in trainer.data},
        **_first_rows(prepared),
        **_beside_parts(trainer.data),
        "seconds": {
            "load": round(prepared.load_seconds, 3),
            "build": round(prepared.build_seconds, 3),
            "train": round(sum(epochs), 3),
            "valid": round(sum(record.get("valid_seconds", 0.0) for record in trainer.records), 3),
            "test": round(test_seconds, 3),
        },
        "epoch_seconds": epochs,
        "peak_rss_mb": round(peak_memory_mib(), 1),
        "versions": versions(),
    }


def _first_rows(prepared: Prepared) -> dict[str, Any]:
    """Return the fingerprint of what a sequential run learns from beside its rows, for ``compare``."""
    found = first_rows({"train": prepared.train._dataset} | prepared.held_out)
    return {} if found is None else {"first_rows": found}


def _beside_parts(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fingerprints of a source domain and of item features, which ``compare`` holds together."""
    found = {name: one for name, one in data.items() if name == "source" or name.startswith("features ")}
    return {"beside_parts": found} if found else {}


def _beside(prepared: Prepared) -> dict[str, Any]:
    """Return what ``result.json`` says of the validation part that chooses nothing; nothing without one.

    Its metrics with the best weights, and what each of the two parts would have chosen.
    """
    trainer, config = prepared.trainer, prepared.config
    loader = validations_of(prepared.valid).get(UNSHIFTED)
    if loader is None:
        return {}
    chosen: dict[str, Any] = next((one for one in trainer.records if one["epoch"] == trainer.best_epoch), {})
    values = chosen.get(UNSHIFTED) or trainer.evaluate(loader, show_progress=prepared.progress)
    metric, bigger = config.general.valid_metric.lower(), bool(config["valid_metric_bigger"])
    found = choices(trainer.records, metric, bigger)
    for part, choice in found.items():
        scores = ", ".join(f"{name} {choice[name]:.4f}" for name in ("valid", UNSHIFTED))
        logger.info("%s would choose epoch %d: %s of %s", part, choice["epoch"], metric, scores)
    return {UNSHIFTED: {name: float(value) for name, value in values.items()}, "valid_choices": found}


def _selection(prepared: Prepared) -> str:
    """Return what the weights were chosen by: a part, or else which they are.

    ``last epoch``: also with an ``eval_step`` above the epochs, where RecBole validates the last alone;
    ``given weights``: without an epoch after them; ``no epoch``: weights as they were drawn.
    """
    trainer, general = prepared.trainer, prepared.config.general
    if trainer.untrained:
        return "no epoch"
    if prepared.valid is None:
        return "last epoch"
    if not trainer.model.computed_when_made:
        if trainer.records and not any("valid" in record for record in trainer.records):
            return "last epoch"  # of a stage that validates none
        if general.eval_step > general.epochs > 0:
            return "last epoch"
        chooses = trainer.model.weighed_on_validation  # the weight of a linear term
        if not trainer.records and general.load_checkpoint and not chooses:
            return "given weights"
    return prepared.dataset.overlap["selection"]


def _draws(prepared: Prepared) -> dict[str, Any]:
    """Return what ``result.json`` says of draws and orders that earlier versions had otherwise.

    ``candidates_seed``: of the items drawn beside held-out ones, by user. ``time_order``: how exact the times
    are that order a user's rows for the model.
    """
    config = prepared.config
    loaders = [*validations_of(prepared.valid).values(), *prepared.tests.values()]
    # Labelled rows have the same loader, which draws nothing.
    seeds = [one.seed for one in loaders if isinstance(one, FixedCandidates) and one.draws]
    drawn = {"candidates_seed": seeds[0]} if seeds else {}
    return drawn | ({"time_order": "64 bits"} if config.reads_order else {})


def _origin(prepared: Prepared) -> dict[str, Any]:
    """Return what ``result.json`` says of the weights that a run began with; nothing if it began anew."""
    path = prepared.config.general.load_checkpoint
    if not path:
        return {}
    seen = None if prepared.earlier is None else seen_rows(prepared.earlier, prepared.held_out)
    return {"origin": {"checkpoint": path, "seen_rows": seen}}
