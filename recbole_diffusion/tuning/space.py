"""Search spaces: typed parameters, the combinations of a grid, and random draws."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from recbole_diffusion.errors import UsageError

LARGEST_GRID = 10_000  # combinations that are counted or enumerated


@dataclass(frozen=True)
class SearchParameter:
    """One line of a space.

    Attributes:
        names: the options that it sets, several for values that are chosen together.
        kind: ``choice``, ``uniform``, ``loguniform`` or ``int``.
        values: the choices, each a tuple with a value for each name; empty for the other kinds.
        low: smallest value of a number.
        high: largest value of a number.
        step: distance between two values of a number, from ``low`` on; None: any value between.
        log: numbers are drawn uniformly by their logarithm.
        when: option -> values of it for which this parameter exists.
    """

    names: tuple[str, ...]
    kind: str
    values: tuple[tuple[Any, ...], ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return the key of the file: the names, joined by commas."""
        return ", ".join(self.names)

    @property
    def count(self) -> int | None:
        """Return the number of different values; None for a continuous range."""
        if self.kind == "choice":
            return len(self.values)
        return None if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def value(self, number: int) -> tuple[Any, ...]:
        """Return the value of the given number, from 0; only for parameters with a ``count``."""
        return self.values[number] if self.kind == "choice" else (self.number(self.low + number * self.step),)

    def number(self, value: float) -> float | int:
        """Return ``value`` on the grid of ``step``, of the right type; 0.1 + 0.2 becomes 0.3."""
        if self.step is not None:
            value = self.low + self.step * round((value - self.low) / self.step)
            value = min(value, self.low + self.step * (self.count - 1))
        return round(value) if self.kind == "int" else float(f"{value:.12g}")

    def has(self, value: float) -> bool:
        """Return whether a range can draw exactly this value: only a range with a step can."""
        return (
            self.step is not None
            and self.low <= value <= self.high
            and math.isclose(self.number(value), value)
        )

    def draw(self, random: Random) -> tuple[Any, ...]:
        """Return one random value."""
        if self.count is not None and not self.log:
            return self.value(random.randrange(self.count))
        if self.log:
            return (self.number(math.exp(random.uniform(math.log(self.low), math.log(self.high)))),)
        return (self.number(random.uniform(self.low, self.high)),)

    def extremes(self) -> Iterator[tuple[Any, ...]]:
        """Yield the values that a check against the model must see: every choice, or both ends of a range."""
        if self.kind == "choice":
            yield from self.values
        else:
            yield from ((self.number(self.low),), (self.number(self.high),))


@dataclass(frozen=True)
class SearchSpace:
    """A search space: parameters in an order in which each comes after those that its ``when`` names.

    Attributes:
        parameters: the parameters.
        source: where they were read, for messages.
        content: what the file held, to be kept with the sweep.
    """

    parameters: tuple[SearchParameter, ...]
    source: str
    content: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Return the options that the space sets."""
        return [name for parameter in self.parameters for name in parameter.names]

    def count(self, known: Mapping[str, Any]) -> int | None:
        """Return the number of combinations; None if a range is continuous or they exceed LARGEST_GRID."""
        if any(parameter.count is None for parameter in self.parameters):
            return None
        if math.prod(parameter.count for parameter in self.parameters if not parameter.when) > LARGEST_GRID:
            return None
        found = sum(1 for _ in itertools.islice(self.grid(known), LARGEST_GRID + 1))
        return found if found <= LARGEST_GRID else None

    def grid(self, known: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield every combination once; ``known`` are the options that the space does not set.

        Raises:
            UsageError: a parameter is a continuous range.
        """
        for parameter in self.parameters:
            if parameter.count is None:
                raise UsageError(
                    f"{self.source}: {parameter.label} is a continuous {parameter.kind}, which a grid cannot "
                    "run through; give "
                    "it a step, make it a choice, or use --search=random"
                )
        yield from self._combinations({}, 0, known)

    def _combinations(
        self, chosen: dict[str, Any], position: int, known: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if position == len(self.parameters):
            yield dict(chosen)
            return
        parameter = self.parameters[position]
        if not exists(parameter, chosen, known):
            yield from self._combinations(chosen, position + 1, known)
            return
        for number in range(parameter.count):
            values = dict(zip(parameter.names, parameter.value(number), strict=True))
            yield from self._combinations(chosen | values, position + 1, known)

    def draw(self, random: Random, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return one random combination; ``known`` as in :meth:`grid`."""
        chosen: dict[str, Any] = {}
        for parameter in self.parameters:
            if exists(parameter, chosen, known):
                chosen |= zip(parameter.names, parameter.draw(random), strict=True)
        return chosen


def exists(parameter: SearchParameter, chosen: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether a parameter's conditions hold; one on a parameter that is absent never does."""
    both = {**known, **chosen}
    return all(name in both and both[name] in values for name, values in parameter.when.items())
