"""Do predicted ratings look like ratings? KL divergence, modes, and a test per user (DGRM, section 4.4)."""

from typing import Any

import numpy as np

BINS = 20
CALIBRATION_BINS = 10
COVERED = 0.1  # a mode is covered if its predicted share is at least this fraction of its actual share


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


def same_law_p_values(gaps: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the exact p-values of two-sample Kolmogorov-Smirnov tests with equally many values on each side.

    Of all orders of n + n values, those with a gap of k somewhere are paths that reach k or -k. Reflecting
    them counts P = 2 sum over i >= 1 of (-1)^(i + 1) C(2n, n - ik) / C(2n, n) (Gnedenko and Korolyuk, 1951).
    With ties it is an upper bound, as any p-value of this test is.

    Args:
        gaps: k, the largest difference between the two numbers of values up to a point, [tests].
        rows: n, the number of values on either side, [tests].

    Returns:
        The probability of a gap at least as large between two samples of one law, float64 [tests].
    """
    from scipy.special import gammaln

    total = np.zeros(len(gaps))
    open_tests = np.flatnonzero(gaps > 0)
    turn = 1
    while len(open_tests):
        n, reach = rows[open_tests], turn * gaps[open_tests]
        ratio = np.exp(2 * gammaln(n + 1) - gammaln(n - reach + 1) - gammaln(n + reach + 1))
        total[open_tests] += 2 * ratio if turn % 2 else -2 * ratio
        turn += 1
        # Terms shrink like exp(-(ik)^2 / n): what cannot be seen any more ends a sum, as its last term does.
        open_tests = open_tests[(ratio > 1e-17) & (turn * gaps[open_tests] <= n)]
    return np.where(gaps > 0, np.clip(total, 0, 1), 1.0)


def largest_gaps(
    users: np.ndarray, ratings: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return n times the Kolmogorov-Smirnov statistic of each user, and n, the user's rows, int64 [users]."""
    _, place, rows = np.unique(users, return_inverse=True, return_counts=True)
    values, owner = np.concatenate([predicted, ratings]), np.concatenate([place, place])
    order = np.lexsort((values, owner))  # [2 rows]: by user, then by value
    values, owner = values[order], owner[order]
    # Predicted less actual values so far; each user's add up to 0, so that the next starts there.
    ahead = np.cumsum(np.where(order < len(users), 1, -1))
    # Equal values come at once: only the last of them counts.
    last = np.append((values[1:] != values[:-1]) | (owner[1:] != owner[:-1]), True)
    starts = 2 * np.concatenate([[0], np.cumsum(rows)[:-1]])
    return np.maximum.reduceat(np.where(last, np.abs(ahead), 0), starts), rows


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
        ``users``, the number tested, and ``agree``, the number of users at each level. Those of three rows
        agree at 0.05 whatever they are: no test of so few values rejects.
    """
    p_values = same_law_p_values(*largest_gaps(users, ratings, predicted))
    return {
        "users": len(p_values),
        "agree": {f"{alpha:g}": int((p_values > alpha).sum()) for alpha in alphas},
    }


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
