"""Search spaces as YAML, read into typed parameters; nothing is evaluated.

::

    learning_rate: {loguniform: [1e-4, 1e-2]}        # bounds are values, not exponents
    dropout_prob: {uniform: [0, 0.8], step: 0.1}     # quantised
    hidden_size: {int: [32, 256], step: 32}          # log: true draws on a logarithmic scale
    temperature: {choice: [0.1, 0.5, 1, 5]}
    gamma: {choice: [0.2, 0.5], when: {negative_sampler: ar_gsp}}
    noise_min, noise_max: {choice: [[5e-4, 5e-3], [1e-3, 1e-2]]}     # chosen together
    steps: 50                                        # fixed

A file may hold the spaces of several models, each below the model's name, as the shipped ones do.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.config import properties_path
from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.tuning.space import SearchParameter, SearchSpace

KINDS = ("choice", "uniform", "loguniform", "int")
EXTRAS = ("step", "log", "when")
FORM = (
    "write {choice: [...]}, {uniform: [low, high]}, {loguniform: [low, high]}, {int: [low, high]} or one "
    "value"
)


def read_space(path: str | Path, model: str | None = None) -> SearchSpace:
    """Read a search space from a YAML file: the model's own part of it, if the file has one.

    Raises:
        UsageError: there is no such file, or it is not a search space; the message says what is allowed.
    """
    content = yaml_io.load_yaml(path, packaged=_shipped() in Path(path).parents)
    own = content.get(model) if model else None
    return (
        parse_space(own, f"{path}, {model}") if isinstance(own, Mapping) else parse_space(content, str(path))
    )


@functools.cache
def shipped_spaces() -> Mapping[str, Path]:
    """Return the model names for which a search space is shipped, each with its file."""
    files = sorted(_shipped().glob("*.yaml"))
    return {name: file for file in files for name in yaml_io.load_yaml(file, packaged=True)}


def _shipped() -> Path:
    return properties_path() / "tune"


def parse_space(content: Mapping[str, Any], source: str) -> SearchSpace:
    """Return the search space that a mapping describes.

    Raises:
        UsageError: the mapping is not a search space.
    """
    if not content:
        raise UsageError(f"{source}: the space is empty; {FORM} for each option to search")
    parameters = [_parameter(str(key), value, source) for key, value in content.items()]
    names = [name for parameter in parameters for name in parameter.names]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{source}: option {name!r} is set twice")
    return SearchSpace(tuple(_ordered(parameters, source)), source, dict(content))


def _parameter(key: str, value: Any, source: str) -> SearchParameter:
    names = tuple(name.strip() for name in key.split(","))
    where = f"{source}: {key}"
    if not all(names):
        raise UsageError(f"{where}: a name is missing next to a comma")
    if not isinstance(value, Mapping):
        return SearchParameter(names, "choice", (_together(names, value, where),))
    kinds = [name for name in value if name in KINDS]
    for name in value:
        if name not in (*KINDS, *EXTRAS):
            known = [*KINDS, *EXTRAS]
            raise UsageError(
                f"{where}: unknown key {name!r}{did_you_mean(str(name), known)}; there are "
                f"{', '.join(known)}; {FORM}"
            )
    if len(kinds) != 1:
        raise UsageError(f"{where}: {' and '.join(kinds) or 'no kind'} given; {FORM}")
    kind, when = kinds[0], _when(value.get("when"), names, where)
    if kind == "choice":
        _refuse(value, ("step", "log"), where, "a choice")
        return SearchParameter(names, kind, _choices(names, value[kind], where), when=when)
    if len(names) > 1:
        raise UsageError(
            f"{where}: options are chosen together by choice only, such as {{choice: [[1, 2], [3, 4]]}}"
        )
    return _range(names, kind, value, when, where)


def _choices(names: tuple[str, ...], values: Any, where: str) -> tuple[tuple[Any, ...], ...]:
    if not isinstance(values, list) or not values:
        raise UsageError(f"{where}: choice is {values!r}; it takes a list with at least one value")
    choices = tuple(_together(names, value, where) for value in values)
    for number, choice in enumerate(choices):
        if choice in choices[:number] and any(
            choice == other and repr(choice) == repr(other) for other in choices[:number]
        ):
            raise UsageError(f"{where}: {values[number]!r} is in the list twice")
    return choices


def _together(names: tuple[str, ...], value: Any, where: str) -> tuple[Any, ...]:
    if len(names) == 1:
        return (value,)
    if not isinstance(value, list) or len(value) != len(names):
        raise UsageError(f"{where}: {value!r} must be a list of {len(names)} values, one for each name")
    return tuple(value)


def _range(
    names: tuple[str, ...], kind: str, value: Mapping[str, Any], when: Mapping, where: str
) -> SearchParameter:
    bounds, step, log = value[kind], value.get("step"), value.get("log", False)
    whole = kind == "int"
    right = (int,) if whole else (int, float)
    numbers = (
        isinstance(bounds, list)
        and len(bounds) == 2
        and all(type(one) in right and math.isfinite(one) for one in bounds)
    )
    if not numbers:
        raise UsageError(
            f"{where}: {kind} is {bounds!r}; it takes two {'whole ' if whole else ''}numbers, [low, high]"
        )
    low, high = bounds
    if low >= high:
        raise UsageError(f"{where}: the lower bound {low} is not below the upper bound {high}")
    if not isinstance(log, bool) or (log and not whole):
        raise UsageError(
            f"{where}: log is {log!r}; it takes true or false, for int only (loguniform is the same for "
            "numbers)"
        )
    log = log or kind == "loguniform"
    if log and low <= 0:
        raise UsageError(
            f"{where}: the lower bound {low} has no logarithm; it must be above 0 (bounds are values, not "
            "exponents)"
        )
    if step is None and whole:
        step = 1
    if step is not None and (type(step) not in right or not 0 < step <= high - low):
        raise UsageError(
            f"{where}: step is {step!r}; it takes a number above 0 and at most {high - low:g}, whole for int"
        )
    return SearchParameter(names, kind, low=low, high=high, step=step, log=log, when=when)


def _when(conditions: Any, names: tuple[str, ...], where: str) -> dict[str, tuple[Any, ...]]:
    if conditions is None:
        return {}
    if not isinstance(conditions, Mapping) or not conditions:
        raise UsageError(
            f"{where}: when is {conditions!r}; it takes {{option: value}} or {{option: [values]}}"
        )
    if set(conditions) & set(names):
        raise UsageError(f"{where}: when depends on the option itself")
    return {
        str(name): tuple(value) if isinstance(value, list) else (value,) for name, value in conditions.items()
    }


def _refuse(value: Mapping[str, Any], words: tuple[str, ...], where: str, what: str) -> None:
    for word in words:
        if word in value:
            raise UsageError(f"{where}: {word} does not fit {what}; leave it out")


def _ordered(parameters: list[SearchParameter], source: str) -> list[SearchParameter]:
    """Return the parameters, each after those it depends on; otherwise in the order of the file."""
    ordered: list[SearchParameter] = []
    waiting = list(parameters)
    while waiting:
        open_names = {name for parameter in waiting for name in parameter.names}
        ready = next((one for one in waiting if not open_names & set(one.when)), None)
        if ready is None:
            raise UsageError(
                f"{source}: {', '.join(one.label for one in waiting)} depend on each other in a circle"
            )
        ordered.append(ready)
        waiting.remove(ready)
    return ordered
