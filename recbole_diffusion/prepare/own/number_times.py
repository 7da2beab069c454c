"""What numbers are as times: dates by their digits, or seconds to nanoseconds since 1970 by their size.

Seconds, milliseconds, microseconds and nanoseconds of the years 1973 to 2286 do not meet.
"""

import re
from dataclasses import dataclass

import numpy as np

from recbole_diffusion.data.grouping import distinct

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
FROM, UNTIL = 10**8, 10**10  # seconds since 1970, from 1973 to 2286
FIRST_DAY, LAST_DAY = 19000101, 21991231
DAYS = re.compile(r"(19|20|21)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d*")
# Dates as one number, with what is a day of it: 20240331, and with hours, minutes and seconds behind.
STAMPS = {"%Y%m%d": 1, "%Y%m%d%H": 10**2, "%Y%m%d%H%M": 10**4, "%Y%m%d%H%M%S": 10**6}


@dataclass(frozen=True)
class NumberForm:
    """What numbers are taken for as times.

    Attributes:
        unit: s, ms, us or ns, ``date`` if they are digits of dates, ``none`` if they are no times since 1970.
        seconds: since 1970; the numbers themselves if ``none``.
        others: places of numbers that are not of this form.
        small: how many are before 1973, by their unit.
        words: the form in words.
        one: what a value of this form is, in words.
    """

    unit: str
    seconds: np.ndarray
    others: np.ndarray
    small: int
    words: str
    one: str


def number_form(values: np.ndarray) -> NumberForm:
    """Return what numbers are taken for, by their digits or their size.

    Args:
        values: finite numbers, [n].
    """
    form, wrong = _stamps(values)
    if form and 2 * len(wrong) < len(values):
        import pandas as pd

        example = f"2024033112{'0' * 4}"[: 8 + len(str(STAMPS[form])) - 1]
        moments = pd.to_datetime(pd.Series(values).map("{:.0f}".format), format=form, errors="coerce")
        seconds = moments.astype("datetime64[s]").astype(np.int64).to_numpy().astype(np.float64)
        seconds[wrong] = np.nan
        what, one = ("days", "a day") if STAMPS[form] == 1 else ("dates and times", "a date and time")
        return NumberForm("date", seconds, wrong, 0, f"{what} as {example}", f"{one} such as {example}")
    unit, others = unit_of(values)
    if unit == "none":
        one = "times of one unit (small numbers, as most rows have)"
        return NumberForm(unit, values, others, 0, "numbers that are not times since 1970", one)
    small = int((np.abs(values) < FROM * UNITS[unit]).sum())
    words, one = f"{WORDS[unit]} since 1970", f"times of one unit ({WORDS[unit]})"
    return NumberForm(unit, values / UNITS[unit], others, small, words, one)


def unit_of(values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the unit of most times by their size, and the rows of other ones.

    Args:
        values: finite numbers, [n].

    Returns:
        s, ms, us, ns, or ``none`` for numbers that are no times since 1970 (steps, years, small numbers);
        places of numbers in the range of another unit.
    """
    sizes, place = np.abs(values), np.zeros(len(values), np.int8)  # 0: of no unit
    for number, factor in enumerate(UNITS.values(), start=1):
        place[(sizes >= FROM * factor) & (sizes < UNTIL * factor)] = number
    counts = np.bincount(place, minlength=len(UNITS) + 1)
    if 2 * counts[1:].sum() < len(values):  # a few large ones among small ones
        return "none", np.flatnonzero(place)
    most = 1 + int(np.argmax(counts[1:]))
    unit = list(UNITS)[most - 1] if counts[most] else "none"
    return unit, np.flatnonzero((place != most) & (place != 0))


def _stamps(values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the form of most numbers, as of 20240331 or 202403311230, and the places of those without it.

    The form is that of ``strptime``, empty if few numbers could have one: all places are returned then.

    Args:
        values: finite numbers, [n].
    """
    import pandas as pd

    for form, unit in STAMPS.items():
        could = (values >= FIRST_DAY * unit) & (values < (LAST_DAY + 1) * unit) & (values == np.floor(values))
        if 2 * could.sum() <= len(values):
            continue
        known = distinct(values[could])
        texts = pd.Series(known).map("{:.0f}".format)
        right = texts.str.fullmatch(DAYS) & pd.to_datetime(texts, format=form, errors="coerce").notna()
        return form, np.flatnonzero(~np.isin(values, known[right.to_numpy()]))
    return "", np.arange(len(values))
