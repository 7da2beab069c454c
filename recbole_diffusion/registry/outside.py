"""Models from outside: ``package.module:Class`` or an entry point, imported only if the user has named them.

A run folder may come from elsewhere, so the ``model`` in its ``config.yaml`` alone never makes a process
import a module. A class counts as named after :func:`remember`, which is called when a user gives
``--model``, an argument ``model``, or the class; classes that installed packages register as entry points
count as named too.
"""

import dataclasses
import functools
import importlib
import os
import sys
import typing
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean

GROUP = "recbole_diffusion.models"
# The classes that were named in this process, by canonical name.
_named: dict[str, type] = {}


def remember(cls: type, given: str) -> str:
    """Let a class count as named; return its canonical name, ``module:Class`` of the module that defines it.

    Args:
        cls: the class.
        given: the name that was given; it is kept if the defining module does not lead to the class.
    """
    path = f"{cls.__module__}:{cls.__qualname__}"
    try:
        leads_here = _attribute(sys.modules[cls.__module__], cls.__qualname__) is cls
    except (KeyError, AttributeError):
        leads_here = False
    path = path if leads_here else given
    _named[path] = cls
    return path


@functools.cache
def registered() -> dict[str, list[str]]:
    """Return ``package.module:Class`` of the entry points of installed packages, by name."""
    from importlib import metadata

    found: dict[str, list[str]] = {}
    for point in metadata.entry_points(group=GROUP):
        if point.value not in found.setdefault(point.name, []):
            found[point.name].append(point.value)
    return found


def entry_point(name: str) -> str | None:
    """Return ``package.module:Class`` of the entry point of a name, None if there is none.

    Raises:
        UsageError: two packages have one with this name.
    """
    found = sorted(registered().get(name, []))
    if len(found) > 1:
        raise UsageError(
            f"two packages have a model {name!r}: {' and '.join(found)}; give one of them as "
            f"--model={found[0]}"
        )
    return found[0] if found else None


def class_of(path: str) -> type:
    """Return the class of a canonical name, which must have been named.

    Raises:
        UsageError: it has not.
    """
    if path not in _named:
        attribute = path.partition(":")[2]
        for values in registered().values():
            for value in values:
                if value == path or value.partition(":")[2] == attribute:
                    remember(imported(value), value)
    if path not in _named:
        raise UsageError(
            f"the model {path!r} is from outside this package, and its code runs only if you name it: give "
            f"--model={path} (in Python model=...), or install a package that has it as an entry point of "
            f"{GROUP}"
        )
    return _named[path]


def imported(path: str) -> type:
    """Import the class of ``package.module:Class``; modules in the current folder are found too.

    Raises:
        UsageError: it cannot be imported, or is not a model.
    """
    if path in _named:
        return _named[path]
    module_name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *attribute.split("."))):
        raise UsageError(f"model {path!r} does not name a class; write package.module:Class")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        why = f"importing {module_name} failed: {type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
            why = f"no module {error.name!r} is found; install its package, or put its folder into PYTHONPATH"
        raise UsageError(f"model {path!r}: {why}") from error
    try:
        return checked(_attribute(module, attribute), path)
    except AttributeError as error:
        raise UsageError(
            f"model {path!r}: {module_name} has no {attribute!r}{did_you_mean(attribute, vars(module))}"
        ) from error


def checked(found: Any, path: str) -> type:
    """Return ``found`` if it is a model class.

    Raises:
        UsageError: it is not.
    """
    from recbole_diffusion.compat import AbstractRecommender

    if not isinstance(found, type) or not issubclass(found, AbstractRecommender):
        raise UsageError(
            f"model {path!r} is {found!r}; it must be a class that inherits "
            "recbole_diffusion.model.base.Recommender or a model of RecBole"
        )
    return found


@functools.cache
def checked_options(cls: type) -> type:
    """Return a dataclass of options, its types resolved if ``from __future__`` has turned them into texts.

    Raises:
        UsageError: it is not a dataclass whose fields are ``option()``.
    """
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else []
    wrong = [field.name for field in fields if "help" not in field.metadata]
    if not fields or wrong:
        what = f"its field {wrong[0]!r} is not one" if wrong else "it is not such a class"
        raise UsageError(
            f"{cls.__module__}:{cls.__qualname__} must be a frozen dataclass whose fields are "
            f"recbole_diffusion.options.declare.option(...); {what}"
        )
    kinds = typing.get_type_hints(cls)
    for field in fields:
        field.type = kinds[field.name]
    return cls


def _attribute(module: Any, dotted: str) -> Any:
    return functools.reduce(getattr, dotted.split("."), module)
