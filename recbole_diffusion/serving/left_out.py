"""Rows of histories that the run's ``val_interval`` has left out of its data: they would count as liked."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from recbole_diffusion.errors import UsageError, agreeing, counted
from recbole_diffusion.options.intervals import intervals_of
from recbole_diffusion.serving.served_run import ServedRun


def refuse_outside(name: str, interval: str, values: pd.Series, place: Callable[[int], str]) -> None:
    """Refuse rows of histories that the run's ``val_interval`` would have left out of its data.

    Args:
        name: the column.
        interval: of ``val_interval``, such as ``[4,inf)``, or several with ``;``.
        values: of the column, float [rows]; rows without one are not judged.
        place: words for the place of a row.

    Raises:
        UsageError: there is one: it would count like the rows that training has kept.
    """
    numbers = values.to_numpy(float)
    kept = np.isnan(numbers)
    for one in intervals_of(interval):
        kept |= one.holds(numbers)
    outside = np.flatnonzero(~kept)
    if len(outside):
        raise UsageError(
            f"{place(int(outside[0]))}: {counted(len(outside), 'row')} of {len(values)} "
            f"{agreeing(len(outside), 'have')} a {name} outside {interval}, the val_interval of the run, "
            f"first {values.iloc[outside[0]]:g}; such rows were left out of its data and would count here "
            "like the others: remove them"
        )


def refuse_outside_ratings(frame: pd.DataFrame, run: ServedRun) -> None:
    """Refuse ratings of histories, of the recommended items themselves, that are outside ``val_interval``.

    Args:
        frame: columns user, item and, if there are ratings, rating; NaN for none.
        run: the run.

    Raises:
        UsageError: there is one.
    """
    name = run.config["RATING_FIELD"]
    interval = (run.config["val_interval"] or {}).get(name)
    if run.fold_in_items is not run.items or not isinstance(interval, str) or "rating" not in frame:
        return

    def place(row: int) -> str:
        return f"the histories, user {frame['user'].iloc[row]}, item {frame['item'].iloc[row]}"

    refuse_outside(name, interval, frame["rating"].astype(float), place)
