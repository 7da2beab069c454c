"""Sequences of tokens that are written otherwise than ``seq_separator`` has it, and padding in them."""

import itertools
import logging
from collections.abc import Iterable, Sequence

import numpy as np

from recbole_diffusion.errors import counted

SEEN = 10_000  # rows of a column that are looked at
MARKS = "|,;"  # other separators of values
PADDINGS = {"0", "-1", "0.0", "-1.0", "PAD", "pad", "<PAD>", "<pad>", "<unk>", "null", "None", "nan", "NaN"}

logger = logging.getLogger(__name__)


def tell_sequences(place: str, name: str, cells: Iterable[Sequence[str]], separator: str) -> bool:
    """Warn of texts that are lists of another form, and of padding that counts as a value.

    Args:
        place: the file, for the warning.
        name: the column.
        cells: the tokens of each row, as ``separator`` divides them.
        separator: ``seq_separator``.

    Returns:
        Whether there was something to tell.
    """
    # Values of tables may be empty texts, as those of atomic files are not.
    values = ([value for value in map(str, cell) if value] for cell in cells)
    rows = list(itertools.islice(filter(None, values), SEEN))
    why = rows and (_as_lists(rows) or _by_another(rows, separator))
    padding = None if why else _padding(rows)
    if why:
        logger.warning(
            "%s: the column %r of sequences is divided at %r (seq_separator), but %s, so that one value of "
            "its first row is %r; write the values with nothing but seq_separator between them, or name "
            "theirs with seq_separator",
            *(place, name, separator, why, rows[0][0]),
        )
    if padding:
        logger.warning(
            "%s: %s of the column %r begin or end with %r several times, which looks like padding and counts "
            "as a value like others; leave it out, sequences of any length are read",
            *(place, counted(padding[1], "sequence"), name, padding[0]),
        )
    return bool(why or padding)


def _as_lists(rows: list[list[str]]) -> str:
    """Return what says that the texts are lists of a programming language, or nothing."""
    ends = sum(row[0][0] + row[-1][-1] in ("[]", "()", "{}") for row in rows)
    return "its texts are lists in brackets" if ends >= 0.9 * len(rows) else ""


def _by_another(rows: list[list[str]], separator: str) -> str:
    """Return what says that the values are divided by another mark, or nothing.

    Either no row is divided and many have the mark, or nearly each value but the last ends with it, as in
    ``a, b, c``; words of a title do so now and then.
    """
    marks = [mark for mark in MARKS if mark not in separator]
    if np.mean([len(row) == 1 for row in rows]) >= 0.9:
        for mark in marks:
            if np.mean([mark in row[0].strip(mark) for row in rows]) >= 0.3:
                return f"its texts have {mark!r} between values"
    before = [value[-1] for row in rows for value in row[:-1]]
    for mark in marks if before else ():
        if before.count(mark) >= 0.8 * len(before):
            return f"its values end with {mark!r}"
    return ""


def _padding(rows: list[list[str]]) -> tuple[str, int] | None:
    """Return the token that stands in for nothing at the ends of many rows, and in how many."""
    ends = [
        row[edge]
        for row in rows
        for edge, next_to in ((0, 1), (-1, -2))
        if len(row) > 1 and row[edge] == row[next_to] and row[edge] in PADDINGS
    ]
    for token in sorted(set(ends)):
        if (count := ends.count(token)) >= 0.3 * len(rows):
            return token, min(count, len(rows))
    return None
