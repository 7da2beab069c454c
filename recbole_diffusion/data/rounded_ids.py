"""Ids that a spreadsheet has rounded; imports nothing, so that ``convert`` stays quick."""

import re
from collections.abc import Iterable

_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d+")


def rounded_ids(tokens: Iterable[str | None]) -> list[str]:
    """Return the ids in the form that spreadsheets give to long numbers, such as 9.00720E+15.

    Digits are lost in it, so that several ids may have become one.
    """
    return [token for token in tokens if token and _ROUNDED.fullmatch(token.strip())]
