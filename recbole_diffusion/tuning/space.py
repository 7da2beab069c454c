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
        low: smallest value of a range.
        high: largest value of a range.
        step: distance between two values of a range, from ``low`` on; None: a continuous range.
        log: values of a range are drawn uniformly on a logarithmic scale.
        when: values of other options for which this parameter exists, by option.
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
        return None if self.step is None else self._steps(self.step) + 1

    def _steps(self, step: float) -> int:
        """Return the number of whole steps between both ends of a range."""
        return math.floor((self.high - self.low) / step + 1e-9)

    def value(self, number: int) -> tuple[Any, ...]:
        """Return the value of the given number, from 0.

        Raises:
            ValueError: the range is continuous.
        """
        if self.kind == "choice":
            return self.values[number]
        if self.step is None:
            raise ValueError(f"{self.label} is a continuous range; its values have no numbers")
        return (self.number(self.low + number * self.step),)

    def all_values(self) -> Iterator[tuple[Any, ...]]:
        """Yield every value once; a continuous range has none to enumerate."""
        yield from map(self.value, range(self.count or 0))

    def number(self, value: float) -> float | int:
        """Return ``value`` rounded to a multiple of ``step``, of the right type; 0.1 + 0.2 becomes 0.3."""
        if self.step is not None:
            value = self.low + self.step * round((value - self.low) / self.step)
            value = min(value, self.low + self.step * self._steps(self.step))
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
        """Yield the values to check against the model: every choice, or both ends of a range."""
        if self.kind == "choice":
            yield from self.values
        else:
            yield from ((self.number(self.low),), (self.number(self.high),))


@dataclass(frozen=True)
class SearchSpace:
    """A search space: its parameters, each after those that its ``when`` names.

    Attributes:
        parameters: the parameters.
        source: where they were read from, for messages.
        content: the content of the file, which is stored with the sweep.
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
        at_least = 1
        for parameter in self.parameters:
            if parameter.count is None:
                return None
            at_least *= 1 if parameter.when else parameter.count
        if at_least > LARGEST_GRID:
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
                    "enumerate; give it a step, make it a choice, or use --search=random"
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
        for value in parameter.all_values():
            values = dict(zip(parameter.names, value, strict=True))
            yield from self._combinations(chosen | values, position + 1, known)

    def never_set(self, known: Mapping[str, Any]) -> list[SearchParameter]:
        """Return the parameters whose conditions hold in no combination; ``known`` as in :meth:`grid`."""
        found: list[SearchParameter] = []
        for parameter in self.parameters:  # after those that it depends on
            absent = {name for one in found for name in one.names}
            if any(
                name in absent or (name in known and known[name] not in values)
                for name, values in parameter.when.items()
            ):
                found.append(parameter)
        return found

    def draw(self, random: Random, known: Mapping[str, Any]) -> dict[str, Any]:
        """Return one random combination; ``known`` as in :meth:`grid`."""
        chosen: dict[str, Any] = {}
        for parameter in self.parameters:
            if exists(parameter, chosen, known):
                chosen |= zip(parameter.names, parameter.draw(random), strict=True)
        return chosen


def exists(parameter: SearchParameter, chosen: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Return whether a parameter's conditions hold; one on an absent option never does."""
    both = {**known, **chosen}
    return all(name in both and both[name] in values for name, values in parameter.when.items())
