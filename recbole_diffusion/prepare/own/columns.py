"""What the columns of a table mean: ids as they are, and numbers; times are in ``times``.

Nothing is guessed that could be wrong in silence: what cannot be read is an error with the first row, and
what is decided is told. Rows are counted from 1 below the header.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from recbole_diffusion.data.rounded_ids import rounded_ids
from recbole_diffusion.errors import UsageError, agreeing, counted

FEW = 100  # rows that are looked at first
EXACT = 2.0**53  # from here on, two whole numbers can be one float
PADDING = "[PAD]"  # RecBole's token of id 0
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none", "NaT", "<NA>")  # where a number is
LOOK_MISSING = ("nan", "NaN", "None", "null", "NULL", "NA", "<NA>", "NaT")


def kind_of(column: Any) -> Any:
    """Return the type of a column's values, also where they stand in a dictionary."""
    import pyarrow as pa

    return column.type.value_type if pa.types.is_dictionary(column.type) else column.type


def is_text(kind: Any) -> bool:
    """Return whether values of an Arrow type are texts."""
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


@dataclass(frozen=True)
class Place:
    """A column, for messages.

    Attributes:
        where: the table.
        name: the column.
    """

    where: str
    name: str

    def fault(self, row: int | None, found: str, expected: str, remedy: str) -> UsageError:
        """Return the error that describes a fault in a row, counted from 0; None: in the whole column."""
        place = self.where if row is None else f"{self.where}, row {row + 1}"
        return UsageError(
            f"{place}: found {found} in the column {self.name!r}, expected {expected}; {remedy}"
        )


@dataclass(frozen=True)
class Ids:
    """Users or items.

    Attributes:
        codes: number of the id of each row, int64 [rows], -1 where it is missing.
        texts: the ids, an Arrow array of texts.
        notes: what a user should know of them.
    """

    codes: np.ndarray
    texts: Any
    notes: list[str]


def ids_of(column: Any, place: Place) -> Ids:
    """Return ids as they are: texts unchanged, whole numbers as texts.

    A missing value or an empty text is a missing id. Whole numbers that pandas holds as floats, since others
    are missing, become whole again.

    Raises:
        UsageError: values that are no ids, an id of blanks, or RecBole's own ``[PAD]``.
    """
    import pyarrow as pa

    notes: list[str] = []
    kind = kind_of(column)
    if pa.types.is_floating(kind):
        column = _whole(column, place)
        notes.append(f"the ids of {place.name} are floats in the table, and are written without .0")
    elif pa.types.is_null(kind):
        raise place.fault(None, "no value", "ids", "name another column")
    elif not (pa.types.is_integer(kind) or is_text(kind)):
        raise place.fault(None, f"values of type {kind}", "texts or whole numbers", "convert the column")
    # A whole number becomes a text once, in the dictionary.
    whole = _encoded(column if pa.types.is_integer(kind) else column.cast(pa.large_string()))
    codes = whole.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    texts = whole.dictionary.cast(pa.large_string())
    known = texts.to_pylist()
    # The dictionary of a category may hold a missing value or an empty text of its own.
    gone = np.array([text is None or text == "" for text in known] + [False])
    codes = np.where(gone[codes], -1, codes)
    _check_texts(known, codes, place, notes)
    return Ids(codes, texts, notes)


def _encoded(column: Any) -> Any:
    """Return a column as one dictionary array; to unify those of many chunks takes minutes."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks).dictionary_encode()


def _whole(column: Any, place: Place) -> Any:
    """Return floats that are whole numbers as whole numbers."""
    import pyarrow as pa

    values = column.cast(pa.float64()).to_numpy()
    there = ~np.isnan(values)
    exact = {16: 2.0**11, 32: 2.0**24}.get(column.type.bit_width, EXACT)
    wrong = np.flatnonzero(there & ((values != np.floor(values)) | (np.abs(values) >= exact)))
    if len(wrong):
        what = f"texts or whole numbers (below {exact:.0f}, where floats are exact)"
        raise place.fault(int(wrong[0]), f"{values[wrong[0]]:g}", what, "convert the column")
    return pa.chunked_array([pa.array(np.where(there, values, 0).astype(np.int64), mask=~there)])


def _check_texts(known: list[Any], codes: np.ndarray, place: Place, notes: list[str]) -> None:
    """Refuse ids that cannot be, and tell of those that look like something else."""
    for number, text in enumerate(known):
        if text and (not text.strip() or text.strip() == PADDING or "\0" in text):
            row = np.flatnonzero(codes == number)
            if len(row):
                raise place.fault(int(row[0]), f"{text!r:.60}", "an id", "write one, or remove the row")
    there = set(known)
    look = [text for text in LOOK_MISSING if text in there]
    if look:
        rows = int(np.isin(codes, [known.index(text) for text in look]).sum())
        notes.append(
            f"{counted(rows, 'row')} with {' or '.join(map(repr, look))} in {place.name}, an id like others: "
            "remove them if it stands for a missing one"
        )
    blank = sum(bool(text) and text != text.strip() for text in known)
    if blank:
        notes.append(
            f"{counted(blank, 'id')} of {place.name} with a blank at an end, which is part of the id"
        )
    if rounded := rounded_ids(known):
        notes.append(
            f"{counted(len(rounded), 'id')} of {place.name} {agreeing(len(rounded), 'have')} the form that a "
            f"spreadsheet gives to long numbers, such as {rounded[0]!r}: several may have become one; "
            "export the column as text"
        )
    broken = sum(bool(text) and ("\n" in text or "\r" in text) for text in known)
    if broken:
        notes.append(
            f"{counted(broken, 'id')} of {place.name} with a line end inside; is a quote missing in the file?"
        )


def numbers_of(column: Any, place: Place) -> np.ndarray:
    """Return numbers as float64 [rows], NaN where none is given.

    Raises:
        UsageError: a value is no finite number.
    """
    import pyarrow as pa

    kind = kind_of(column)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if is_text(kind):
        values = _parsed(column, place)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.cast(kind).cast(pa.float64(), safe=False).to_numpy()
    elif pa.types.is_decimal(kind) or pa.types.is_boolean(kind):
        values = column.cast(pa.float64()).to_numpy()
    else:
        raise place.fault(None, f"values of type {kind}", "numbers", "name another column")
    wrong = np.flatnonzero(np.isinf(values))
    if len(wrong):
        raise place.fault(int(wrong[0]), f"{values[wrong[0]]}", "a finite number", "correct it")
    return np.array(values, np.float64)


def distinct_texts(column: Any) -> tuple[Any, np.ndarray]:
    """Return the texts of a column, each once, and the code of each row.

    The texts are an Arrow array, without blanks around them; a word for a missing one is null, and so is the
    last. Codes are int64 [rows].
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = _encoded(column.cast(pa.large_string()))
    known = whole.dictionary
    texts = pc.utf8_trim_whitespace(pa.concat_arrays([known, pa.array([None], known.type)]))
    codes = whole.indices.cast(pa.int64()).fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
    word = pc.is_in(texts, pa.array(MISSING, texts.type))
    return pc.if_else(word, pa.scalar(None, texts.type), texts), codes


def first_row(codes: np.ndarray, wrong: np.ndarray) -> tuple[int, int]:
    """Return the first row with one of some codes, and the number of such rows."""
    rows = np.flatnonzero(np.isin(codes, np.flatnonzero(wrong)))
    return int(rows[0]), len(rows)


def _numbers(texts: Any) -> np.ndarray:
    """Return the numbers of texts, NaN where a text is none or missing."""
    import pandas as pd
    import pyarrow as pa

    try:
        return texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # pandas knows all that are numbers, and takes its time for those that are not
        return pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy(np.float64)


def _parsed(column: Any, place: Place) -> np.ndarray:
    """Return the numbers of texts."""
    texts, codes = distinct_texts(column)
    values = _numbers(texts)
    wrong = np.isnan(values) & texts.is_valid().to_numpy(zero_copy_only=False)
    if wrong.any():
        row, count = first_row(codes, wrong)
        text = texts[int(codes[row])].as_py()
        comma = re.fullmatch(r"-?\d+,\d+", text)
        remedy = "write a decimal point" if comma else f"correct it ({counted(count, 'such row')})"
        raise place.fault(row, f"{text!r:.60}", "a number", remedy)
    return values[codes]


def are_numbers(column: Any) -> bool:
    """Return whether a column of texts holds numbers alone, none with a leading zero, as codes have."""
    import pyarrow.compute as pc

    first = distinct_texts(column.slice(0, FEW))[0].drop_null()
    if not np.isfinite(_numbers(first)).all():
        return False
    texts = distinct_texts(column)[0].drop_null()
    return (
        bool(len(texts))
        and bool(np.isfinite(_numbers(texts)).all())
        and not pc.any(pc.match_substring_regex(texts, r"^[+-]?0\d")).as_py()
    )
