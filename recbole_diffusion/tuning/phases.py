"""The two phases of a sweep: the search, and the runs of the winner with several seeds."""

import dataclasses
import time
from typing import Any

from recbole_diffusion.config import Config
from recbole_diffusion.errors import RunError
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning.context import SweepContext
from recbole_diffusion.tuning.folder import SweepFolder
from recbole_diffusion.tuning.local_runner import run_trials_here
from recbole_diffusion.tuning.options import SweepOptions
from recbole_diffusion.tuning.plan import final_folder, known_options, new_trial
from recbole_diffusion.tuning.ray_runner import run_trials
from recbole_diffusion.tuning.record import ENDED, FAILED, FINISHED, WAITING, SweepRecord, Trial
from recbole_diffusion.tuning.scheduler import make_scheduler
from recbole_diffusion.tuning.space_yaml import parse_space
from recbole_diffusion.tuning.trial_records import validation_scores


def search_is_open(record: SweepRecord, options: SweepOptions) -> bool:
    """Return whether trials of the search are left to run, or Optuna is to suggest more."""
    if options.search == "none":
        return False
    waiting = any(trial.state not in ENDED for trial in record.trials)
    wanted = record.settings.get("num_samples") or 0
    return waiting or (options.search == "optuna" and len(record.trials) < wanted)


def final_is_open(record: SweepRecord, options: SweepOptions) -> bool:
    """Return whether final runs of the winner are left."""
    done = [trial for trial in record.final if trial.state == FINISHED]
    return record.winner is None or len(done) < options.final_seeds


def search(context: SweepContext, config: Config) -> None:
    """Run the open trials.

    A trial whose process dies before it has begun is submitted again, as often as one that dies later.

    Args:
        context: the sweep.
        config: the configuration without the space.

    Raises:
        RunError: no trial has given a score.
    """
    record, options, began = context.record, context.options, time.perf_counter()
    mode = "max" if record.bigger else "min"
    for _ in range(options.max_failures + 1):
        spent = time.perf_counter() - began
        budget = None if options.budget_seconds is None else options.budget_seconds - spent
        if budget is not None and budget <= 0:
            break
        if options.max_concurrent == 0:
            run_trials_here(context, [trial for trial in record.trials if trial.state == WAITING], budget)
            break  # failed trials have been tried again there
        scheduler = make_scheduler(options, record.epochs, mode, _history(context.folder, record))
        searcher = None
        if options.search == "optuna":
            searcher = _searcher(context, config)
        run_trials(
            context, [trial for trial in record.trials if trial.state == WAITING], scheduler, searcher, budget
        )
        again = [
            trial
            for trial in record.trials
            if trial.state == FAILED and trial.failures <= options.max_failures and not trial.refused
        ]
        for trial in again:
            trial.state = WAITING
        if not again:
            break
    record.add_seconds("search", began)
    _best_trial(context)


def _best_trial(context: SweepContext) -> Trial:
    """Return the winner of the search.

    Raises:
        RunError: no trial has given a score.
    """
    best = context.record.best()
    if best is None:
        trials = context.record.trials
        errors = [f"trial {trial.name}: {trial.error}" for trial in trials if trial.error]
        why = "the time budget ended before a validation"
        if all(trial.state in ENDED for trial in trials):
            why = "all have ended with a score that is not a finite number"
        raise RunError(
            f"no trial has given a score; {errors[0] if errors else why}. Logs are in "
            f"{context.folder.path / 'trials'}; continue with tune --resume={context.folder.path}"
        )
    return best


def _searcher(context: SweepContext, config: Config) -> Any:
    """Return the searcher that gives Optuna's suggestions to Ray Tune."""
    from recbole_diffusion.tuning.optuna_search import OptunaStudy
    from recbole_diffusion.tuning.ray_classes import OptunaSearcher

    record = context.record
    space = parse_space(record.space, record.space_source)

    def add(options: dict[str, Any]) -> Trial:
        record.trials.append(new_trial(len(record.trials), options, record))
        return record.trials[-1]

    return OptunaSearcher(OptunaStudy(space, known_options(space, config), record), add)


def _history(folder: SweepFolder, record: SweepRecord) -> list[list[tuple[int, float]]]:
    """Return the reports of the ended trials: epochs trained, and best score by then."""
    choose = max if record.bigger else min
    history = []
    for trial in record.trials:
        if trial.state in ENDED:
            scores = validation_scores(RunFolder(folder.path / trial.folder))
            best = [choose(score for _, score in scores[: number + 1]) for number in range(len(scores))]
            history.append([(epoch + 1, score) for (epoch, _), score in zip(scores, best, strict=True)])
    return history


def run_winner(context: SweepContext) -> None:
    """Run the best configuration with each final seed, to its end and with the test part.

    Without a search this is the given one, and the run of the first seed takes the place of the trial.

    Raises:
        RunError: no trial has given a score, or without a search, the run of the first seed has failed.
    """
    record, options, clock = context.record, context.options, time.perf_counter()
    searched = options.search != "none"
    best = _best_trial(context) if searched else record.trials[0]
    name = best.name if searched else "000"
    known = {trial.folder: trial for trial in record.final}
    record.winner, record.final = best.number, []
    for seed in range(record.seed, record.seed + options.final_seeds):
        folder = final_folder(name, seed)
        chosen = best.options | ({"split_seed": seed} if options.resplit else {})
        record.final.append(known.get(folder, Trial(best.number, folder, chosen, seed, test=True)))
    left = [trial for trial in record.final if trial.state != FINISHED]
    if left:
        context.folder.write_best(record)
        if options.max_concurrent == 0:
            run_trials_here(context, left)
        else:
            run_trials(context, left)
    record.add_seconds("final", clock)
    if not searched:
        record.trials = [dataclasses.replace(record.final[0], number=0, options={})]
        if record.best() is None:
            raise RunError(
                f"the run with seed {record.seed} has failed: {record.final[0].error}. Its log is in "
                f"{context.folder.path / record.final[0].folder}; continue with tune "
                f"--resume={context.folder.path}"
            )
