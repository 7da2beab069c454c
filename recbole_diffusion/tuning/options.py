"""Options of a sweep, checked before anything starts; ``tune --help`` prints them."""

import os
import re
from dataclasses import dataclass

from recbole_diffusion.errors import UsageError, agreeing, counted, refuse_address
from recbole_diffusion.options.declare import argument

LARGEST_SEED = 2**32 - 1
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Options that a resume may change: none of them changes what a trial computes.
RESUME_SETTINGS = frozenset(
    {
        *("max_concurrent", "trial_gpus", "time_budget", "max_failures", "final_seeds"),
        *("ray_address", "ray_start_seconds"),
    }
)


@dataclass(frozen=True)
class SweepOptions:
    """How a sweep searches and what it may use."""

    space: str | dict | None = argument(
        None,
        "YAML file of the search space, or its content (from Python); null: the one shipped for the model",
    )
    search: str = argument(
        "random",
        "how configurations are chosen; none: no search, the given options run with each final seed",
        choices=("random", "grid", "optuna", "none"),
    )
    num_samples: int | None = argument(None, "configurations to try; null: 16, or all of a grid", low=1)
    scheduler: str = argument(
        "asha", "stop hopeless trials early (asha) or train all to the end", choices=("asha", "none")
    )
    grace_period: int | None = argument(
        None, "epochs before asha may stop a trial; null: a twelfth of epochs", low=1
    )
    reduction_factor: int = argument(3, "asha lets one of this many trials pass each rung", low=2)
    max_concurrent: int | None = argument(
        None, "trials at a time; null: as many as fit; 0: one at a time in this process, without Ray", low=0
    )
    trial_cpus: int = argument(1, "processor threads of each trial", low=1)
    trial_gpus: float = argument(0.0, "GPUs of each trial; 0.5: two share one", low=0)
    workers_per_trial: int = argument(
        1,
        "processes that train each trial together, each its rows of every batch, with trial_cpus threads",
        low=1,
    )
    time_budget: float | str | None = argument(None, "seconds, or 90m, 12h, 2d, after which the search ends")
    max_failures: int = argument(
        3, "how often a trial that fails or is killed is continued from its checkpoint", low=0
    )
    final_seeds: int = argument(5, "seeds with which the winner is run again and tested; 0: no test", low=0)
    resplit: bool = argument(
        False, "draw a new random split with each final seed; else all runs have the split of the search"
    )
    storage: str | None = argument(None, "folder in which the sweep's folder is made; null: runs_path")
    sweep_dir: str | None = argument(None, "folder of the sweep; null: one is made in storage")
    ray_address: str | None = argument(
        None, "a running Ray cluster (auto, HOST:PORT, ray://HOST:PORT); null: only this machine"
    )

    ray_start_seconds: int = argument(
        180, "how long to try to start Ray on this machine, again and again if it is busy", low=1
    )

    @property
    def budget_seconds(self) -> float | None:
        """Return the time budget in seconds, None for no limit."""
        if self.time_budget is None or isinstance(self.time_budget, float):
            return self.time_budget
        found = re.fullmatch(r"\s*([0-9]+\.?[0-9]*)\s*([smhd])\s*", self.time_budget)
        return None if found is None else float(found[1]) * SECONDS[found[2]]

    def __post_init__(self) -> None:
        if self.time_budget is not None and not (self.budget_seconds or 0) > 0:
            raise UsageError(
                f"time_budget is {self.time_budget!r}; it takes seconds above 0, or a text such as 90m, 12h "
                "or 2d"
            )
        if self.search == "grid" and self.num_samples is not None:
            raise UsageError(
                f"a grid tries every combination; leave out num_samples {self.num_samples}, or use "
                "--search=random"
            )
        for name in ("storage", "sweep_dir"):
            refuse_address(name, getattr(self, name))
        if self.max_concurrent == 0 and (self.search == "optuna" or self.ray_address):
            what = "search optuna" if self.search == "optuna" else f"ray_address {self.ray_address!r}"
            raise UsageError(
                f"max_concurrent is 0, trials without Ray, which {what} needs; give 1 or more, or use "
                "search random, grid or none on this machine"
            )
        if self.workers_per_trial > 1 and (self.max_concurrent == 0 or self.trial_gpus):
            what = "trial_gpus" if self.trial_gpus else "max_concurrent 0"
            raise UsageError(
                f"workers_per_trial is {self.workers_per_trial}, which does not go with {what}: workers of "
                "a trial are processors of Ray; leave one of them out"
            )
        for name in ("space", "num_samples") if self.search == "none" else ():
            if getattr(self, name) is not None:
                raise UsageError(
                    f"search is none, but {name} {getattr(self, name)!r} is given too; leave it out, or "
                    "choose a search"
                )
        if self.search == "none" and not self.final_seeds:
            raise UsageError("search is none and final_seeds is 0: nothing is left to run; raise final_seeds")
        if self.trial_gpus > 1 and self.trial_gpus != int(self.trial_gpus):
            raise UsageError(
                f"trial_gpus is {self.trial_gpus}; it takes a share of one GPU, such as 0.5, or whole GPUs"
            )


def check_installed(options: SweepOptions) -> None:
    """Check that the packages that a sweep needs are installed.

    Raises:
        UsageError: Ray Tune is missing, or Optuna if the search needs it; the message has the command that
            installs it.
    """
    if options.max_concurrent == 0:
        return
    try:
        from ray import tune  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"a sweep needs Ray Tune, which cannot be imported ({error}); pip install 'ray[tune]>=2.51,<3', "
            "or the extra [tune]"
        ) from error
    if options.search == "optuna":
        try:
            # Before Ray imports it: Ray reports any error of that import as a missing package.
            import optuna  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"--search=optuna needs Optuna, which cannot be imported ({error}); pip install 'optuna>=3', "
                "or the extra [optuna]; --search=random needs nothing more"
            ) from error


def check_final_seeds(first: int, number: int) -> None:
    """Check that the seeds of the final runs, one after the other, are seeds.

    Raises:
        UsageError: the last one is too large.
    """
    if number and first + number - 1 > LARGEST_SEED:
        raise UsageError(
            f"seed is {first} and final_seeds {number}, so that the last final run would have the seed "
            f"{first + number - 1}, above {LARGEST_SEED}; give a smaller seed, or fewer final_seeds"
        )


def check_local(options: SweepOptions, cores: int, gpus: int) -> None:
    """Check that this machine has the resources the trials ask for; a cluster is checked once connected.

    Raises:
        UsageError: too few cores or GPUs.
    """
    at_a_time = (options.max_concurrent or 1) * options.workers_per_trial
    if options.trial_cpus * at_a_time > cores:
        raise UsageError(
            f"{counted(at_a_time, 'trial')} at a time with {counted(options.trial_cpus, 'thread')} each "
            f"{agreeing(at_a_time, 'need')} {options.trial_cpus * at_a_time} cores, but this process may use "
            f"{cores}; lower max_concurrent or trial_cpus"
        )
    if options.trial_gpus > gpus:
        raise UsageError(
            f"trial_gpus is {options.trial_gpus:g}, but this machine has {counted(gpus, 'GPU')}; leave it "
            "out to train on the CPU, or name a cluster that has them with --ray_address"
        )


def cores_here() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
