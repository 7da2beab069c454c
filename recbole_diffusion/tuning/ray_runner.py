"""A set of trials run by Ray Tune."""

import dataclasses
import logging
import time
from typing import Any

from recbole_diffusion.tuning.context import SweepContext
from recbole_diffusion.tuning.record import WAITING, Trial
from recbole_diffusion.tuning.trial import run_reported


def run_trials(
    context: SweepContext,
    trials: list[Trial],
    scheduler: Any = None,
    searcher: Any = None,
    budget: float | None = None,
) -> None:
    """Run trials until each has ended or failed too often, or the budget is spent, and record what happens.

    Args:
        context: the sweep.
        trials: the waiting trials; a ``searcher`` finds them itself, and adds others.
        scheduler: stops trials early; None lets all finish.
        searcher: makes trials up to ``options.num_samples``; None runs ``trials``.
        budget: seconds after which all trials are stopped.
    """
    from ray import tune

    from recbole_diffusion.tuning.ray_classes import SweepCallback

    # Ray Tune warns about a missing syncer, slow pickling and the like, every time.
    for name in ("ray.tune", "ray.train", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    trainable = tune.with_parameters(run_reported, job=context.job, data=context.data)
    one = {"CPU": float(context.options.trial_cpus), "GPU": context.options.trial_gpus}
    # A bundle for each worker of a trial; the first is the trial's own process.
    resources = tune.PlacementGroupFactory([one] * context.options.workers_per_trial)
    space: dict[str, Any] = {}
    if searcher is None:
        space = {"trial": tune.grid_search([dataclasses.asdict(trial) for trial in trials])}
        samples = 1
    else:
        samples = (context.record.settings.get("num_samples") or 0) - sum(
            trial.state != WAITING for trial in context.record.trials
        )
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric=None if scheduler or searcher else "score",
            mode=None if scheduler or searcher else ("max" if context.record.bigger else "min"),
            num_samples=samples,
            scheduler=scheduler,
            search_alg=searcher,
            max_concurrent_trials=context.options.max_concurrent,
            time_budget_s=budget,
            # A new process needs seconds to import torch and RecBole; a reused one has them already.
            reuse_actors=True,
            trial_dirname_creator=_short_name,
        ),
        run_config=tune.RunConfig(
            name=f"{time.time_ns():x}",
            storage_path=str(context.folder.ray),
            failure_config=tune.FailureConfig(max_failures=context.options.max_failures),
            callbacks=[SweepCallback(context, scheduler)],
            verbose=0,
        ),
    )
    tuner.fit()


def _short_name(trial: Any) -> str:
    return trial.trial_id
