"""How much each option of a sweep matters for the score: permutation importance in random forests.

A forest predicts the rank of a trial's score from its options. The importance of an option is by how much the
squared error of trials that the forest has not seen grows when the option's values are shuffled among them,
over the variance of the ranks (Breiman, *Random Forests*, 2001): 0 where it tells nothing, about 2 where it
decides alone. Ranks, since one diverged trial would be all of the variance of the scores. Many samples of the
trials, drawn with replacement, say how far the number depends on the trials that happen to be there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_diffusion.errors import counted
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries
from recbole_diffusion.report.sweep import is_number
from recbole_diffusion.storage import yaml_io

SAMPLES, TREES, SHUFFLES = 25, 30, 8
LEAST, LEAST_BY_OPTION = 12, 4  # trials, in all and for each option that varies


@dataclass(frozen=True)
class Importance:
    """Importance of the options of a sweep.

    Attributes:
        options: names, the most important first.
        mean: importance of each, [options].
        deviation: standard deviation over samples of the trials, [options].
        trials: number of trials with a score.
        explained: share of the variance of ranks that the forests predict in trials they have not seen, the
            mean over samples; 0 or less where the options tell nothing.
    """

    options: list[str]
    mean: list[float]
    deviation: list[float]
    trials: int
    explained: float


def trials_needed(options: int) -> int:
    """Return how many trials an estimate for a number of options takes."""
    return max(LEAST, LEAST_BY_OPTION * options)


def importance(trials: Sequence[Mapping[str, Any]], names: Sequence[str], seed: int = 0) -> Importance:
    """Return the importance of options.

    Args:
        trials: those with a score, :func:`trials_needed` at least.
        names: the options that vary.
        seed: of samples, forests and shuffles.
    """
    from sklearn.ensemble import RandomForestRegressor  # slow to import

    columns = [_encoded([trial["options"].get(name) for trial in trials]) for name in names]
    table = np.hstack(columns)  # [trials, columns]
    owner = np.repeat(np.arange(len(names)), [column.shape[1] for column in columns])
    ranks = _ranks(np.array([trial["score"] for trial in trials], float))
    draw = np.random.default_rng(seed)
    found, explained = [], []
    for sample in range(SAMPLES):
        rows = draw.integers(len(trials), size=len(trials))
        unseen = np.setdiff1d(np.arange(len(trials)), rows)
        if len(unseen) < 2:
            continue
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=seed + sample, n_jobs=1)
        forest.fit(table[rows], ranks[rows])
        truth, variance = ranks[unseen], max(ranks.var(), 1e-12)
        error = ((forest.predict(table[unseen]) - truth) ** 2).mean()
        explained.append(1 - error / variance)
        found.append(
            [
                _growth(forest, table[unseen], owner == k, truth, error, draw) / variance
                for k in range(len(names))
            ]
        )
    values = np.array(found)  # [samples, options]
    order = np.argsort(-values.mean(0), kind="stable")
    mean, deviation = values.mean(0)[order], values.std(0, ddof=1)[order]
    return Importance(
        [names[k] for k in order], mean.tolist(), deviation.tolist(), len(trials), float(np.mean(explained))
    )


def _growth(
    forest: Any,
    rows: np.ndarray,
    columns: np.ndarray,
    truth: np.ndarray,
    error: float,
    draw: np.random.Generator,
) -> float:
    """Return by how much the squared error grows when some columns are shuffled together."""
    shuffled = np.tile(rows, (SHUFFLES, 1, 1))  # [shuffles, rows, columns]
    for one in shuffled:
        one[:, columns] = rows[draw.permutation(len(rows))][:, columns]
    predicted = forest.predict(shuffled.reshape(-1, rows.shape[1])).reshape(SHUFFLES, -1)
    return float(((predicted - truth) ** 2).mean() - error)


def _encoded(values: Sequence[Any]) -> np.ndarray:
    """Return an option's values as columns, [trials, 1 or kinds]: numbers by rank, others by kind."""
    if all(is_number(value) for value in values):
        return np.unique(np.array(values, float), return_inverse=True)[1].reshape(-1, 1).astype(float)
    kinds = np.unique([yaml_io.dump_value(value) for value in values], return_inverse=True)[1]
    return np.eye(kinds.max() + 1)[kinds]


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return the ranks of scores from 0 to 1, equal scores with their mean rank."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + last - 1) / 2)[place] / max(len(scores) - 1, 1)


def importance_figure(
    trials: Sequence[Mapping[str, Any]], names: Sequence[str], metric: str
) -> tuple[Figure | None, str | None]:
    """Return the figure of importance, or None and why there is none; None twice where nothing varies.

    Args:
        trials: those with a score.
        names: the options that vary.
        metric: what the trials were compared by.
    """
    if not names:
        return None, None
    needed = trials_needed(len(names))
    if len(trials) < needed:
        return None, (
            f"The importance of {counted(len(names), 'option')} takes {needed} trials with a score; there "
            f"{'is' if len(trials) == 1 else 'are'} {len(trials)}."
        )
    found = importance(trials, names)
    explained = f"The options explain {max(found.explained, 0):.0%} of the variance of the ranks"
    trust = (
        f"{explained} of trials left out."
        if found.explained > 0.1
        else f"{explained} of trials left out: nearly nothing, so that these numbers say little."
    )
    note = (
        f"By how much worse a random forest predicts the rank of a trial's {metric} when the values of one "
        "option are shuffled: 0 if it tells nothing; two options that vary together share it. Bars: standard "
        f"deviation over {SAMPLES} samples of the {found.trials} trials. {trust} Trials that were stopped "
        "early count with the score that they had."
    )
    panel = Panel("", "option", "growth of the error, in variances of the rank")
    panel.series.append(
        PlotSeries("importance", found.options, found.mean, kind="bars", error=found.deviation)
    )
    return Figure("importance", f"Importance of the options for {metric}", [panel], note), None
