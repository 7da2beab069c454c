"""Optuna's sampler (TPE) over our spaces, with a memory of the trials that a resume finds."""

from random import Random
from typing import Any

from recbole_diffusion.tuning.record import ENDED, SweepRecord, Trial
from recbole_diffusion.tuning.space import SearchParameter, SearchSpace, exists

ASKED = 10  # times that Optuna alone is asked for options that no trial has had
ATTEMPTS = 200  # times that such options are looked for at all


class OptunaStudy:
    """An Optuna study over one of our spaces.

    Args:
        space: the search space.
        known: options that the space's conditions may ask for.
        record: the sweep; the study learns of its ended trials.
    """

    def __init__(self, space: SearchSpace, known: dict[str, Any], record: SweepRecord) -> None:
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
                self.tell(self.enqueue(trial), trial.score)

    def enqueue(self, trial: Trial) -> Any:
        """Return an Optuna trial that has the options of a trial of the record."""
        self.study.enqueue_trial(encoded(self.space, trial.options))
        asked = self.study.ask()
        suggest(self.space, self.known, asked)
        return asked

    def tell(self, asked: Any, score: float | None) -> None:
        """Tell what an Optuna trial has reached, None if nothing."""
        self.study.tell(asked, score, state=self.failed if score is None else None)

    def ask_for_new(self) -> tuple[Any, dict[str, Any]]:
        """Return an Optuna trial whose options no trial has had, and those options.

        If Optuna suggests options that a trial has had, it is told their score at once.
        """
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


def suggest(space: SearchSpace, known: dict[str, Any], asked: Any) -> dict[str, Any]:
    """Return the options that an Optuna trial chooses."""
    chosen: dict[str, Any] = {}
    for parameter in space.parameters:
        if exists(parameter, chosen, known):
            chosen |= zip(parameter.names, _suggest(parameter, asked), strict=True)
    return chosen


def _suggest(parameter: SearchParameter, asked: Any) -> tuple[Any, ...]:
    """Return one value; choices and numbers with a step go by index: Optuna's categories are plain."""
    if parameter.kind == "choice":
        return parameter.value(asked.suggest_categorical(parameter.label, range(parameter.count)))
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
