"""Optuna's sampler (TPE) over our spaces, which also learns from the trials before a resume."""

from random import Random
from typing import Any, Literal

from recbole_diffusion.tuning.record import ENDED, SweepRecord, Trial
from recbole_diffusion.tuning.space import SearchParameter, SearchSpace, exists

ASKED = 10  # attempts to get from Optuna options that no trial has had
ATTEMPTS = 200  # attempts in all; those after ASKED draw at random


class OptunaStudy:
    """An Optuna study over one of our spaces.

    Args:
        space: the search space.
        known: options that the space's conditions may refer to.
        record: the sweep; the study learns from its ended trials.
    """

    def __init__(self, space: SearchSpace, known: dict[str, Any], record: SweepRecord) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.known, self.record = space, known, record
        self.random, self.failed = Random(record.seed), optuna.trial.TrialState.FAIL
        direction: Literal["maximize", "minimize"] = "maximize" if record.bigger else "minimize"
        self.study = optuna.create_study(
            direction=direction, sampler=optuna.samplers.TPESampler(seed=record.seed)
        )
        for trial in record.trials:
            if trial.state in ENDED and trial.score is not None:
                self.tell(self.enqueue(trial), trial.score)

    def enqueue(self, trial: Trial) -> Any:
        """Return an Optuna trial that has the options of a trial of the record."""
        self.study.enqueue_trial(encoded(self.space, trial.options))
        asked = self.study.ask()
        suggest(self.space, self.known, asked)
        return asked

    def tell(self, asked: Any, score: float | None) -> None:
        """Tell Optuna the score of one of its trials, None if it has none."""
        self.study.tell(asked, score, state=self.failed if score is None else None)

    def ask_for_new(self) -> tuple[Any, dict[str, Any]]:
        """Return an Optuna trial whose options no trial has had, and those options.

        If Optuna suggests options that a trial has had, it is told their score at once.
        """
        for attempt in range(ATTEMPTS):
            if attempt >= ASKED:  # Optuna keeps suggesting the same few: draw at random instead
                self.study.enqueue_trial(encoded(self.space, self.space.draw(self.random, self.known)))
            asked = self.study.ask()
            options = suggest(self.space, self.known, asked)
            same = next((trial for trial in self.record.trials if trial.options == options), None)
            if same is None:
                break
            if attempt + 1 < ATTEMPTS:
                self.tell(asked, same.score)
        return asked, options


def suggest(space: SearchSpace, known: dict[str, Any], asked: Any) -> dict[str, Any]:
    """Return the options that an Optuna trial chooses."""
    chosen: dict[str, Any] = {}
    for parameter in space.parameters:
        if exists(parameter, chosen, known):
            chosen |= zip(parameter.names, _suggest(parameter, asked), strict=True)
    return chosen


def _suggest(parameter: SearchParameter, asked: Any) -> tuple[Any, ...]:
    """Return one value; choices and ranges with a step go by index, as Optuna's categories are plain."""
    if parameter.kind == "choice":
        return parameter.value(asked.suggest_categorical(parameter.label, range(len(parameter.values))))
    if parameter.count is not None and not parameter.log:
        return parameter.value(asked.suggest_int(parameter.label, 0, parameter.count - 1))
    return (
        parameter.number(
            asked.suggest_float(parameter.label, parameter.low, parameter.high, log=parameter.log)
        ),
    )


def encoded(space: SearchSpace, options: dict[str, Any]) -> dict[str, Any]:
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
