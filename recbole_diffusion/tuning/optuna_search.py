"""Optuna's sampler (TPE) as a searcher of Ray Tune, over our spaces, with a memory of the trials that a resume finds."""

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any

from recbole_diffusion.tuning.record import ENDED, WAITING, Record, Trial
from recbole_diffusion.tuning.space import Parameter, Space, exists

ASKED, ATTEMPTS = (
    10,
    200,
)  # times that Optuna is asked for new options, and that new ones are looked for at all


class Asker:
    """An Optuna study over one of our spaces.

    Args:
        space: the search space.
        known: options that the space's conditions may ask for.
        record: the sweep; its ended trials are told to the study.
    """

    def __init__(self, space: Space, known: dict[str, Any], record: Record) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.known, self.record = space, known, record
        self.random, self.failed = Random(record.seed), optuna.trial.TrialState.FAIL
        direction = "maximize" if record.bigger else "minimize"
        self.study = optuna.create_study(
            direction=direction, sampler=optuna.samplers.TPESampler(seed=record.seed)
        )
        for trial in record.trials:
            if trial.state in ENDED and trial.score is not None:
                self.tell(self.follow(trial), trial.score)

    def follow(self, trial: Trial) -> Any:
        """Return an Optuna trial with the options of an earlier one."""
        self.study.enqueue_trial(encoded(self.space, trial.options))
        asked = self.study.ask()
        suggest(self.space, self.known, asked)
        return asked

    def tell(self, asked: Any, score: float | None) -> None:
        """Tell what an Optuna trial has reached, None if nothing."""
        self.study.tell(asked, score, state=self.failed if score is None else None)

    def something_new(self) -> tuple[Any, dict[str, Any]]:
        """Return what Optuna asks for next that no trial has had; of the others it is told at once what they have reached."""
        for attempt in range(ATTEMPTS):
            if attempt >= ASKED:  # Optuna comes back to the same few: anything else that is left
                self.study.enqueue_trial(encoded(self.space, self.space.draw(self.random, self.known)))
            asked = self.study.ask()
            options = suggest(self.space, self.known, asked)
            same = next((trial for trial in self.record.trials if trial.options == options), None)
            if same is None:
                break
            if attempt + 1 < ATTEMPTS:
                self.tell(asked, same.score)
        return asked, options


def make_searcher(
    space: Space, known: dict[str, Any], record: Record, new_trial: Callable[[dict[str, Any]], Trial]
) -> Any:
    """Return a searcher that suggests the open trials of ``record`` first and then new ones, which it adds to the record.

    Args:
        space: the search space.
        known: options that the space's conditions may ask for.
        record: the sweep.
        new_trial: makes a trial of the options that were chosen, and adds it.
    """
    from ray.tune.search import Searcher

    asker = Asker(space, known, record)

    class OptunaSearcher(Searcher):
        """Asks Optuna for each trial and tells it the best score."""

        def __init__(self) -> None:
            super().__init__(metric="score", mode="max" if record.bigger else "min")
            self.open = [trial for trial in record.trials if trial.state == WAITING]
            self.asked: dict[str, Any] = {}

        def suggest(self, trial_id: str) -> dict[str, Any]:
            if self.open:
                trial = self.open.pop(0)
                self.asked[trial_id] = asker.follow(trial)
            else:
                self.asked[trial_id], options = asker.something_new()
                trial = new_trial(options)
            return {"trial": dataclasses.asdict(trial)}

        def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
            asked = self.asked.pop(trial_id, None)
            if asked is not None:
                asker.tell(asked, None if error or not result else result.get("score"))

        def save(self, checkpoint_path: str) -> None:
            """Nothing: a resumed sweep tells a new study what the record holds."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing, see :meth:`save`."""

        def __reduce__(self) -> tuple:
            return (dict, ())  # Ray Tune stores its searchers; this one lives in the driver

    return OptunaSearcher()


def suggest(space: Space, known: dict[str, Any], asked: Any) -> dict[str, Any]:
    """Return the options that an Optuna trial chooses."""
    chosen: dict[str, Any] = {}
    for parameter in space.parameters:
        if exists(parameter, chosen, known):
            chosen |= zip(parameter.names, _suggest(parameter, asked), strict=True)
    return chosen


def _suggest(parameter: Parameter, asked: Any) -> tuple[Any, ...]:
    """Return one value; choices and quantised numbers go by number, since Optuna's categories are plain values only."""
    if parameter.kind == "choice":
        return parameter.value(asked.suggest_categorical(parameter.label, range(parameter.count)))
    if parameter.count is not None and not parameter.log:
        return parameter.value(asked.suggest_int(parameter.label, 0, parameter.count - 1))
    return (
        parameter.number(
            asked.suggest_float(parameter.label, parameter.low, parameter.high, log=parameter.log)
        ),
    )


def encoded(space: Space, options: dict[str, Any]) -> dict[str, Any]:
    """Return options as the values that :func:`_suggest` asks Optuna for."""
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if not set(parameter.names) <= set(options):
            continue
        value = tuple(options[name] for name in parameter.names)
        if parameter.kind == "choice":
            values[parameter.label] = parameter.values.index(value)
        elif parameter.count is not None and not parameter.log:
            values[parameter.label] = round((value[0] - parameter.low) / parameter.step)
        else:
            values[parameter.label] = value[0]
    return values
