"""Times of a table as seconds since 1970: dates, texts of dates, numbers of a unit.

A text is read by ISO 8601 or by a given format, never by trying: 03/04 is March or April. The unit of numbers
follows from their size, since seconds, milliseconds, microseconds and nanoseconds of the years 1973 to 2286
do not meet; a column with two of them is refused. What was decided is told.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_diffusion.data.grouping import distinct
from recbole_diffusion.errors import UsageError, counted
from recbole_diffusion.prepare.own.columns import (
    Place,
    are_numbers,
    distinct_texts,
    first_row,
    is_text,
    kind_of,
    numbers_of,
)

DAY = 86_400  # seconds
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
FROM, UNTIL = 10**8, 10**10  # seconds since 1970, from 1973 to 2286
ISO = r"^\d{4}[-/]\d{1,2}"  # pandas takes "now" for a time, too
ZONE = r":.*(?:Z|[+-]\d\d:?(?:\d\d)?)$"
FIRST_DAY, LAST_DAY = 19000101, 21991231
DAYS = re.compile(r"(19|20|21)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d*")
# Dates as one number, with what is a day of it: 20240331, and with hours, minutes and seconds behind.
STAMPS = {"%Y%m%d": 1, "%Y%m%d%H": 10**2, "%Y%m%d%H%M": 10**4, "%Y%m%d%H%M%S": 10**6}


@dataclass(frozen=True)
class Times:
    """The times of a table.

    Attributes:
        values: seconds since 1970 (UTC), or numbers of no known unit, float64 [rows], NaN where missing.
        unit: s, ms, us or ns if they were numbers, ``date`` if they were dates, ``none`` if the numbers are
            no times since 1970.
        told: what they were taken for.
    """

    values: np.ndarray
    unit: str
    told: str

    @property
    def range_text(self) -> str:
        """Return from when to when they are, for a line about them."""
        known = self.values[~np.isnan(self.values)]
        if not len(known):
            return "; none is given"
        if self.unit == "none":
            return f", from {known.min():g} to {known.max():g}"
        first, last = (date_text(one) for one in (known.min(), known.max()))
        return f", from {first} to {last}"


def times_of(column: Any, place: Place, unit: str = "auto", form: str | None = None) -> Times:
    """Return times as seconds since 1970.

    Args:
        column: dates and times, numbers, or texts of either.
        place: the column.
        unit: of numbers; ``auto``: by their size.
        form: format of texts, as for ``strptime``; None: ISO 8601.

    Raises:
        UsageError: a value is none, or numbers of several units.
    """
    import pyarrow as pa

    kind = kind_of(column)
    column = column.cast(kind)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _from_dates(column, place)
    texts = is_text(kind)
    if texts and (form is not None or not are_numbers(column)):
        return _from_texts(column, place, form)
    if form is not None:
        raise place.fault(None, f"values of type {kind}", f"texts of the format {form!r}", "leave it out")
    if pa.types.is_boolean(kind):
        raise place.fault(None, "truth values", "times", "name another column")
    return _from_numbers(numbers_of(column, place), place, unit)


def _from_dates(column: Any, place: Place) -> Times:
    import pyarrow as pa

    if pa.types.is_date(column.type):
        column = column.cast(pa.date32()).cast(pa.timestamp("s"))
    zone = column.type.tz
    values = column.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy() / UNITS[column.type.unit]
    told = f"{place.name}: dates " + (f"of the zone {zone}" if zone else "without a zone, taken as UTC")
    return Times(np.array(values, np.float64), "date", told)


def _from_texts(column: Any, place: Place, form: str | None) -> Times:
    """Return the seconds of texts; without a format, those of ISO 8601 alone: 03/04 is March or April."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    texts, codes = distinct_texts(column)
    there = texts.is_valid().to_numpy(zero_copy_only=False)
    bare = texts
    if form is None:
        dates = pc.if_else(pc.match_substring_regex(texts, ISO), texts, pa.scalar(None, texts.type))
        bare = pc.replace_substring_regex(dates, r"\s?UTC$", "Z")
    try:
        moments = pd.to_datetime(bare.to_pandas(), format=form or "ISO8601", utc=True, errors="coerce")
    except ValueError as error:
        raise UsageError(f"time_format is {form!r}: {error}; it takes one as '%d/%m/%Y %H:%M'") from error
    wrong = moments.isna().to_numpy() & there
    if wrong.any():
        row, count = first_row(codes, wrong)
        expected = f"the format {form}" if form else "ISO 8601, as 2024-03-31 or 2024-03-31T12:00:00+02:00"
        remedy = f"correct it, or give --time_format, such as %d/%m/%Y ({counted(count, 'such row')})"
        raise place.fault(row, f"{texts[int(codes[row])].as_py()!r:.60}", expected, remedy)
    values = moments.dt.tz_localize(None).astype("datetime64[us]").astype(np.int64).to_numpy() / 1e6
    values = np.where(there, values, np.nan)[codes]
    told = f"{place.name}: " + (f"dates of the format {form}" if form else "ISO dates")
    if form:
        zoned = there if re.search("%[zZ]", form) else ~there
    else:
        zoned = pc.match_substring_regex(bare, ZONE).fill_null(False).to_numpy(zero_copy_only=False)
    if not zoned[there].all():
        told += f"{', some' if zoned[there].any() else ''} without a zone, taken as UTC"
    return Times(values, "date", told)


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


def _from_numbers(values: np.ndarray, place: Place, unit: str) -> Times:
    if unit != "auto":
        return Times(values / UNITS[unit], unit, f"{place.name}: {WORDS[unit]} since 1970")
    known = np.flatnonzero(~np.isnan(values))
    form = number_form(values[known])
    if len(form.others):
        row, count = int(known[form.others[0]]), counted(len(form.others), "such row")
        if form.unit == "date":
            expected, remedy = f"{form.one}, as most rows have", f"correct it ({count})"
            raise place.fault(row, f"{values[row]:.14g}", expected, remedy)
        remedy = "correct it, or give --time_unit (s, ms, us or ns)"
        raise place.fault(row, f"{values[row]:.0f}", form.one, remedy)
    told = f"{place.name}: {form.words}"
    if form.unit == "date":
        told += ", taken as UTC"
    elif form.unit == "none":
        told += ", kept: they order rows"
    elif form.small:
        told += f"; {counted(form.small, 'row')} before 1973, such as {np.min(values[known]):.0f}"
    seconds = np.full(len(values), np.nan)
    seconds[known] = form.seconds
    return Times(seconds, form.unit, told)


def date_text(seconds: float) -> str:
    """Return a time as text, a day where it is midnight."""
    moment = np.datetime64(int(seconds // 1), "s")
    return str(moment).replace("T", " ") if seconds % DAY else str(moment.astype("datetime64[D]"))
