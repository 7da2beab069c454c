"""ASHA with a memory: the scores of earlier trials of a resumed sweep count in its rungs."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from recbole_diffusion.tuning.options import SweepOptions

GRACE_SHARE = 12  # a trial may be stopped after 1 / GRACE_SHARE of its epochs


def grace_period(options: SweepOptions, epochs: int) -> int:
    """Return the epochs that every trial gets."""
    return options.grace_period or max(1, epochs // GRACE_SHARE)


def make_scheduler(
    options: SweepOptions, epochs: int, mode: str, history: Iterable[list[tuple[int, float]]]
) -> Any | None:
    """Return Ray Tune's scheduler, or None if trials are not to be stopped or are too short for it.

    Args:
        options: the sweep's options.
        epochs: maximum epochs of a trial.
        mode: ``max`` or ``min``.
        history: for each ended trial, the epochs trained and the best score by then, after each validation.
    """
    grace = grace_period(options, epochs)
    if options.scheduler == "none" or epochs - 1 <= grace:
        return None
    from recbole_diffusion.tuning.ray_classes import RememberingASHA

    scheduler = RememberingASHA(
        time_attr="epoch",
        max_t=epochs - 1,
        grace_period=grace,
        reduction_factor=options.reduction_factor,
        metric="score",
        mode=mode,
        stop_last_trials=False,
    )
    controller: Any = None  # ASHA does not use it
    for number, reports in enumerate(history):
        trial: Any = SimpleNamespace(trial_id=f"earlier-{number}")  # all that ASHA reads of a trial
        scheduler.on_trial_add(controller, trial)
        for epoch, score in reports:
            scheduler.on_trial_result(controller, trial, {"epoch": epoch, "score": score})
    return scheduler
