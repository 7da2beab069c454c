"""The division of shared users into test, validation and training users, and of a cold user's records.

Pure: arrays and seeds in, arrays out.
"""

import numpy as np

from recbole_diffusion.errors import UsageError


def divide_users(
    shared: np.ndarray, cold_user_ratio: float, valid_share: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Divide the shared users (DiffCDR, section 4.1: a ratio beta of them is for the test).

    Args:
        shared: tokens or ids of the shared users, [n]; the order does not matter.
        cold_user_ratio: beta, share of test users.
        valid_share: share of validation users among the others.
        seed: of the draw.

    Returns:
        Positions in ``shared`` of test, validation and training users, ascending.

    Raises:
        UsageError: one of the three would be empty.
    """
    order = np.random.default_rng(seed).permutation(len(shared))
    order = np.argsort(shared, kind="stable")[order]  # the same users are drawn, whatever their order
    n_test = round(cold_user_ratio * len(shared))
    n_valid = max(1, round(valid_share * (len(shared) - n_test)))
    test, valid, train = np.split(order, [n_test, n_test + n_valid])
    if not len(test) or not len(train):
        raise UsageError(
            f"of {len(shared)} shared users, cold_user_ratio {cold_user_ratio:g} makes {len(test)} test "
            f"users and valid_user_ratio {valid_share:g} leaves {len(train)} training users; each needs at "
            "least one: give another cold_user_ratio or more data"
        )
    return np.sort(test), np.sort(valid), np.sort(train)


def first_records(users: np.ndarray, time: np.ndarray | None, share: float, seed: int) -> np.ndarray:
    """Return which rows are the first ``share`` of their user's, rounded down, bool [rows].

    Args:
        users: user of each row, [rows].
        time: of each row, [rows]; None takes a random order.
        share: of a user's rows.
        seed: of the random order, which also decides among equal times.
    """
    draw = np.random.default_rng(seed).random(len(users))
    order = np.lexsort((draw, users) if time is None else (draw, time, users))
    _, starts, counts = np.unique(users[order], return_index=True, return_counts=True)
    place = np.arange(len(users)) - np.repeat(starts, counts)
    chosen = np.zeros(len(users), bool)
    chosen[order] = place < np.repeat(np.floor(share * counts + 1e-9), counts)
    return chosen


def users_cut_within_a_time(users: np.ndarray, time: np.ndarray, first: np.ndarray) -> int:
    """Return how many users have rows of one time on both sides of the division into first and later rows.

    Args:
        users: user of each row, [rows].
        time: of each row, [rows].
        first: whether a row is among its user's first, bool [rows].
    """
    _, codes = np.unique(users, return_inverse=True)
    latest, earliest = np.full(codes.max(initial=-1) + 1, -np.inf), np.full(codes.max(initial=-1) + 1, np.inf)
    np.maximum.at(latest, codes[first], time[first])
    np.minimum.at(earliest, codes[~first], time[~first])
    return int((latest == earliest).sum())
