"""Whole numbers that are given as text, in a request or a list on the command line."""

import re

_DIGITS = re.compile(r"[+-]?[0-9]{1,300}")


def whole_number(text: str) -> int | None:
    """Return the whole number that a text is, None if it is none.

    Python's ``int`` also takes ``1_0`` for 10, blanks around, and digits of other scripts.
    """
    return int(text) if _DIGITS.fullmatch(text) else None
