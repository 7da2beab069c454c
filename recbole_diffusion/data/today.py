"""Times after today, such as 2147483647 for no time."""

import time

import numpy as np

from recbole_diffusion.errors import counted

A_DAY = 86_400  # seconds


def after_today(seconds: np.ndarray) -> np.ndarray:
    """Return which times are after today, bool [n]; none if all are, since then the machine's clock is wrong.

    Args:
        seconds: since 1970, [n], NaN where missing.
    """
    later = seconds > time.time() + A_DAY
    return later & (later.sum() < (~np.isnan(seconds)).sum())


def told_after_today(seconds: np.ndarray) -> str:
    """Return what is said of times after today, see :func:`after_today`; empty without any."""
    later = after_today(seconds)
    return f"{counted(int(later.sum()), 'row')} after today" if later.any() else ""
