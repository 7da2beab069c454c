"""Forms of stored contents: what is wrong with a value, by its place; None if it has the form."""

import math
from collections.abc import Callable, Sequence
from typing import Any

LARGEST = 2**63  # whole numbers below it are ours
# A form takes a value and its place, and returns what is wrong with it, None for nothing.
Form = Callable[[Any, str], str | None]


def kind(*types: type, low: float = -math.inf) -> Form:
    """Return the form of a value of one of some types, not below ``low``; true and false are no numbers."""

    def check(value: Any, place: str) -> str | None:
        right = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
        right = right and not (low > -math.inf and not low <= value < math.inf)
        return None if right else f"{place} is {shown(value)}"

    return check


def each(form: Form) -> Form:
    """Return the form of a mapping whose values have a form."""

    def check(value: Any, place: str) -> str | None:
        if not isinstance(value, dict):
            return f"{place} is {shown(value)}"
        return next((found for name, one in value.items() if (found := form(one, f"{place}.{name}"))), None)

    return check


def listed(form: Form) -> Form:
    """Return the form of a list whose values have a form."""

    def check(value: Any, place: str) -> str | None:
        if not isinstance(value, list):
            return f"{place} is {shown(value)}"
        return next((found for k, one in enumerate(value) if (found := form(one, f"{place}[{k}]"))), None)

    return check


def fields(needed: Sequence[str] = (), **forms: Form) -> Form:
    """Return the form of a mapping with these names, of which it may lack all but the needed, and others."""

    def check(value: Any, place: str) -> str | None:
        if not isinstance(value, dict):
            return f"{place} is {shown(value)}"
        prefix = f"{place}." if place else ""
        if missing := [name for name in needed if name not in value]:
            return f"{prefix}{missing[0]} is missing"
        known = (name for name in forms if name in value)
        return next((found for name in known if (found := forms[name](value[name], prefix + name))), None)

    return check


def or_none(form: Form) -> Form:
    """Return a form that also takes None."""
    return lambda value, place: None if value is None else form(value, place)


def shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < LARGEST else "a number of many digits"
    return text if len(text) <= 40 else text[:37] + "..."


TEXT, NUMBER = kind(str), kind(int, float)
COUNT, WHOLE, AMOUNT = kind(int, low=0), kind(int), kind(int, float, low=0)
