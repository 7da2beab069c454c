"""Do predicted ratings look like ratings? KL divergence, modes, and a test per user (DGRM, section 4.4)."""

from typing import Any

import numpy as np

BINS = 20
CALIBRATION_BINS = 10
COVERED = 0.1  # a mode is covered if its predicted share is at least this fraction of its actual share
MOST_USERS = 10_000  # that are tested


def edges(low: float, high: float) -> np.ndarray:
    """Return the edges of the bins of predicted ratings, [BINS + 1].

    They cover the scale, and a quarter of its length below it.
    """
    return np.linspace(low - (high - low) / 4, high, BINS + 1)


def histogram(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the number of values in each bin, int64 [BINS]; values beyond the edges count in the nearest."""
    bounds = edges(low, high)
    return np.histogram(np.clip(values, bounds[0], bounds[-1]), bounds)[0]


def nearest_modes(values: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Return the index of the nearest mode of each value, the upper one at the midpoint, int64 [values].

    Args:
        values: predicted ratings.
        modes: the ratings that occur, ascending.
    """
    return np.searchsorted((modes[1:] + modes[:-1]) / 2, values, side="right")


def calibration(ratings: np.ndarray, predicted: np.ndarray, low: float, high: float) -> dict[str, list]:
    """Return what rows with similar predictions are rated on average.

    Args:
        ratings: actual ratings, [rows].
        predicted: predicted ratings, [rows].
        low: lowest rating of the scale.
        high: highest rating of the scale.

    Returns:
        ``edges``: of CALIBRATION_BINS bins of equal width over the scale, [bins + 1]; a prediction beyond the
        scale is in the nearest bin. By bin, [bins] each: ``rows``, the mean ``predicted`` and ``actual``
        rating, and ``error``, the standard error of the latter; 0 without rows.
    """
    bounds = np.linspace(low, high, CALIBRATION_BINS + 1)
    place = np.digitize(np.clip(predicted, low, high), bounds[1:-1])
    rows = np.bincount(place, minlength=CALIBRATION_BINS)
    divisor = np.maximum(rows, 1)

    def means(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, minlength=CALIBRATION_BINS) / divisor

    actual = means(ratings)
    variance = means((ratings - actual[place]) ** 2) * divisor / np.maximum(rows - 1, 1)
    found = {"predicted": means(predicted), "actual": actual, "error": np.sqrt(variance / divisor)}
    by_bin = {name: values.round(6).tolist() for name, values in found.items()}
    return {"edges": bounds.round(6).tolist(), "rows": rows.tolist(), **by_bin}


def kl_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Return KL(p || q) of two vectors of counts; half a count is added to each cell to keep it finite."""
    p, q = (np.asarray(counts, np.float64) + 0.5 for counts in (p, q))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def agreeing_users(
    users: np.ndarray, ratings: np.ndarray, predicted: np.ndarray, alphas: tuple[float, ...]
) -> dict[str, Any]:
    """Count the users whose predicted and actual ratings a Kolmogorov-Smirnov test cannot tell apart.

    Args:
        users: user of each row, [rows].
        ratings: actual ratings, [rows].
        predicted: predicted ratings, [rows].
        alphas: significance levels.

    Returns:
        ``users``, the number tested (every n-th of more than MOST_USERS), and ``agree``, the number of users
        at each level.
    """
    from scipy.stats import ks_2samp  # slow to import

    # Rows of each user side by side, one array of positions for each.
    order = np.argsort(users, kind="stable")
    distinct, starts = np.unique(users[order], return_index=True)
    groups = np.split(order, starts[1:])[:: -(-len(distinct) // MOST_USERS)]
    with np.errstate(divide="ignore"):  # a user with a single rating
        p_values = np.array(
            [ks_2samp(predicted[group], ratings[group], method="asymp").pvalue for group in groups]
        )
    return {"users": len(groups), "agree": {f"{alpha:g}": int((p_values > alpha).sum()) for alpha in alphas}}


def compare(
    users: np.ndarray, ratings: np.ndarray, predicted: np.ndarray, low: float, high: float
) -> dict[str, Any]:
    """Return how the distributions of predicted and actual ratings differ, on the same rows.

    Predicted ratings are clipped to the scale and then, for ``kl``, ``modes_covered`` and ``ks_rounded``,
    rounded to the nearest mode.

    Args:
        users: user of each row, [rows].
        ratings: actual ratings, [rows].
        predicted: predicted ratings, [rows].
        low: lowest rating of the scale.
        high: highest rating of the scale.

    Returns:
        ``kl``: KL(predicted || actual) over modes, the direction of the paper's Eq. 26. ``kl_reverse``:
        KL(actual || predicted). ``kl_bins``: KL(predicted || actual) over the fine bins. ``modes``,
        ``actual`` and ``predicted``: ratings that occur and their shares. ``modes_covered``: share of modes
        that are covered. ``ks`` and ``ks_rounded``: see :func:`agreeing_users`.
    """
    predicted = np.clip(predicted, low, high)
    modes = np.unique(ratings)
    # The mode that each predicted rating is nearest to, [rows].
    nearest = nearest_modes(predicted, modes)
    # Counts of the modes, [modes]: among actual and among predicted ratings.
    actual = np.bincount(np.searchsorted(modes, ratings), minlength=len(modes))
    found = np.bincount(nearest, minlength=len(modes))
    share, of_found = actual / actual.sum(), found / found.sum()
    alphas = (0.01, 0.05, 0.1)
    return {
        "kl": kl_distance(found, actual),
        "kl_reverse": kl_distance(actual, found),
        "kl_bins": kl_distance(histogram(predicted, low, high), histogram(ratings, low, high)),
        "modes": modes.tolist(),
        "actual": share.round(4).tolist(),
        "predicted": of_found.round(4).tolist(),
        "modes_covered": float((of_found >= COVERED * share).mean()),
        "ks": agreeing_users(users, ratings, predicted, alphas),
        "ks_rounded": agreeing_users(users, ratings, modes[nearest], alphas),
    }
