"""Intervals of RecBole's filters: ``[3,inf)``, or several with ``;`` between them."""

import math
import re
from typing import Any, NamedTuple

import numpy as np

_NUMBER = r"\s*[-+]?(?:inf|[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?)\s*"
_INTERVAL = re.compile(rf"[\[(]{_NUMBER},{_NUMBER}[\])]")


class Interval(NamedTuple):
    """One interval.

    Attributes:
        text: as it is given.
        low: its lower end.
        high: its upper end.
        has_low: whether the lower end belongs to it.
        has_high: whether the upper end does.
    """

    text: str
    low: float
    high: float
    has_low: bool
    has_high: bool

    @property
    def is_empty(self) -> bool:
        """Return whether no number lies in it."""
        point = self.has_low and self.has_high and math.isfinite(self.low)
        return self.low > self.high or (self.low == self.high and not point)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return which values lie in it, bool [values]; NaN does not."""
        above = values >= self.low if self.has_low else values > self.low
        below = values <= self.high if self.has_high else values < self.high
        return above & below


def is_interval(value: Any) -> bool:
    """Return whether a value is the text of one interval or several."""
    return isinstance(value, str) and all(_INTERVAL.fullmatch(one.strip()) for one in value.split(";"))


def intervals_of(text: str) -> list[Interval]:
    """Return the intervals of a text for which :func:`is_interval` is true."""
    found = []
    for one in map(str.strip, text.split(";")):
        low, high = (float(end) for end in one[1:-1].split(","))
        found.append(Interval(one, low, high, one[0] == "[", one[-1] == "]"))
    return found
