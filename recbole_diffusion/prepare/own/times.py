"""Times of a table as seconds since 1970: dates, texts of dates, numbers of a unit.

A text is read by ISO 8601 or by a given format, never by trying: 03/04 is March or April. The unit of numbers
follows from their size (:mod:`number_times`); a column with two of them is refused. What was decided is told.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_diffusion.data.today import told_after_today
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
from recbole_diffusion.prepare.own.number_times import UNITS, WORDS, number_form

DAY = 86_400  # seconds
ISO = r"^\d{4}[-/]\d{1,2}"  # pandas takes "now" for a time, too
ZONE = r":.*(?:Z|[+-]\d\d:?(?:\d\d)?)$"


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
        later = told_after_today(known)
        return f", from {first} to {last}{f'; {later}' if later else ''}"


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
