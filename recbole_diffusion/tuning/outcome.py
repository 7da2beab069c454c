"""Caveats to what a sweep has found: a best value at an end of its list, and seeds that change nothing."""

import math
from typing import Any

from recbole_diffusion.errors import counted
from recbole_diffusion.tuning.record import FINISHED, SweepRecord
from recbole_diffusion.tuning.space_yaml import parse_space

LEAST = 4  # values with a score: of two or three the best is mostly an end
NATURAL = (0, 1)  # ends beyond which most options have no value, as of a dropout or a number of layers


def notes_on_outcome(record: SweepRecord) -> list[str]:
    """Return lines about a sweep that has ended.

    Args:
        record: the sweep, its winner's runs included.
    """
    return [*_at_the_ends(record), *_equal_runs(record)]


def _at_the_ends(record: SweepRecord) -> list[str]:
    """Return a line on each option whose best value is the smallest or largest of its list."""
    best = record.best()
    if best is None or not record.space:
        return []
    notes = []
    for parameter in parse_space(record.space, record.space_source).parameters:
        name = parameter.label
        if len(parameter.names) > 1 or parameter.count is None or name not in best.options:
            continue
        values = [value for (value,) in parameter.all_values()]
        if not all(map(_is_number, values)):
            continue
        # The best score of each value that was tried.
        scores: dict[Any, float] = {}
        for trial in record.trials:
            if name in trial.options and trial.score is not None and math.isfinite(trial.score):
                score = trial.score if record.bigger else -trial.score
                scores[trial.options[name]] = max(score, scores.get(trial.options[name], -math.inf))
        chosen = best.options[name]
        alone = sum(score == scores[chosen] for score in scores.values()) == 1
        ends = {min(values): ("smallest", "smaller"), max(values): ("largest", "larger")}
        if len(scores) < LEAST or not alone or chosen not in ends or chosen in NATURAL:
            continue
        end, further = ends[chosen]
        notes.append(
            f"{name}: the best trial has {chosen}, the {end} of the {counted(len(values), 'value')} of the "
            f"space; a {further} one may be better"
        )
    return notes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal_runs(record: SweepRecord) -> list[str]:
    """Return a line where the runs of all final seeds have the same numbers."""
    done = [trial.metrics for trial in record.final if trial.state == FINISHED]
    if len(done) < 2 or not done[0] or any(one != done[0] for one in done):
        return []
    return [
        f"the {len(done)} final runs have the same numbers: the seed changes nothing of {record.model} here, "
        "and a deviation of 0 is not one over seeds; --resplit draws another split with each"
    ]
