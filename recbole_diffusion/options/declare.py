"""Options as a frozen dataclass: declared once with meaning and range, checked before any data loads.

The default of an option of a run stands in one place, the YAML files of ``properties/`` (RecBole's
convention); that of an argument of a command, which no YAML holds, stands in its declaration.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from recbole_diffusion.errors import UsageError

T = TypeVar("T")


def option(
    help: str,
    *,
    choices: tuple[Any, ...] | None = None,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    open_high: bool = False,
    words: tuple[str, ...] = (),
    earlier: Mapping[str, Any] | None = None,
) -> Any:
    """Declare one option of a run; its default stands in ``properties/``.

    Args:
        help: what it means, shown by ``--help``.
        choices: the allowed values.
        low: smallest allowed number; with ``open_low`` it is itself not allowed.
        high: largest allowed number; with ``open_high`` it is itself not allowed.
        open_low: the lower bound is exclusive.
        open_high: the upper bound is exclusive.
        words: texts that an option of numbers takes too; its type is then ``int | str`` or the like.
        earlier: those of the arguments above that earlier versions had otherwise, where they took more; a run
            of theirs is still read.
    """
    allowed: dict[str, Any] = {
        "choices": choices,
        "low": low,
        "high": high,
        "open_low": open_low,
        "open_high": open_high,
    }
    allowed |= {"words": words, "earlier": earlier or {}}
    return dataclasses.field(metadata={"help": help, **allowed})


def argument(default: Any, help: str, **allowed: Any) -> Any:
    """Declare one argument of a command with its default; ``help`` and ``allowed`` as in :func:`option`."""
    metadata = {**option(help, **allowed).metadata, "default": default}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def refusal(name: str, value: Any, allowed: str) -> UsageError:
    """Return the error that tells an option's value and what it takes instead."""
    return UsageError(f"option {name!r} is {value!r}; it takes {allowed}")


def allowed_text(field: dataclasses.Field) -> str:
    """Return what a field allows, for messages and help: ``a | b`` or ``(0, 1]``."""
    meta = field.metadata
    if meta.get("choices"):
        return " | ".join(map(str, meta["choices"]))
    low, high, words = meta.get("low"), meta.get("high"), meta.get("words", ())
    if low is None and high is None:
        return type_text(field.type)
    left = "(-inf" if low is None else f"{'(' if meta['open_low'] else '['}{low}"
    right = "inf)" if high is None else f"{high}{')' if meta['open_high'] else ']'}"
    numbers = f"{type_text(field.type, (str,) if words else ())} in {left}, {right}"
    return " or ".join([numbers, *words])


def type_text(kind: Any, without: tuple[type, ...] = ()) -> str:
    """Return a readable name of a field's type, ``float`` or ``int or null``, some of its parts left out."""
    parts = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return " or ".join(
        "null" if part is type(None) else part.__name__ for part in parts if part not in without
    )


def read_options(cls: type[T], values: Mapping[str, Any], earlier: bool = False) -> T:
    """Build ``cls`` from a configuration, checking presence, type and range of each field.

    Args:
        cls: a dataclass of options.
        values: the configuration.
        earlier: also take what earlier versions took.

    Raises:
        UsageError: a field is missing, has the wrong type or is out of range; the message names it and what
            is allowed.
    """
    read = {}
    # T is a dataclass, for which typing has no bound.
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name not in values:
            raise UsageError(
                f"option {field.name!r} is missing; it takes {allowed_text(field)}: {field.metadata['help']}"
            )
        read[field.name] = checked(field, values[field.name], earlier)
    return cls(**read)


def unread(options: Any) -> dict[str, str]:
    """Return the options without effect beside the others' values, each with the reason.

    A class of options says them by a method ``unread``; those of its bases count too.

    Args:
        options: an instance of a class of options.
    """
    reasons: dict[str, str] = {}
    for cls in type(options).__mro__:
        if "unread" in vars(cls):
            reasons = vars(cls)["unread"](options) | reasons
    return reasons


def unread_text(reasons: Mapping[str, str], given: Iterable[str]) -> str | None:
    """Return a line that names the given ones of :func:`unread`'s options by reason, None if none is."""
    names: dict[str, list[str]] = {}
    for name in given:
        if name in reasons:
            names.setdefault(reasons[name], []).append(name)
    parts = [f"{', '.join(some)} ({reason})" for reason, some in names.items()]
    return f"no effect of {', '.join(parts)}" if parts else None


def checked(field: dataclasses.Field, value: Any, earlier: bool = False) -> Any:
    """Return ``value`` converted to the field's type, or raise UsageError; ``earlier`` as above."""
    kinds = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    if value is None and type(None) in kinds:
        return None
    if float in kinds and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        value = float(value)
    meta = {**field.metadata, **(field.metadata.get("earlier", {}) if earlier else {})}
    if meta.get("words") and isinstance(value, str):
        kinds = (str,) if value in meta["words"] else ()
    right_type = any(kind is not type(None) and type(value) is kind for kind in kinds)
    in_choices = not meta.get("choices") or value in meta["choices"]
    if not right_type or not in_choices or not _in_range(meta, value) or value in (math.inf, -math.inf):
        raise UsageError(
            f"option {field.name!r} is {value!r}; it takes {allowed_text(field)}: {meta['help']}"
        )
    return value


def _in_range(meta: Mapping[str, Any], value: Any) -> bool:
    if value in meta.get("words", ()):
        return True
    low, high = meta.get("low"), meta.get("high")
    if low is not None and not (value > low if meta["open_low"] else value >= low):
        return False
    return high is None or (value < high if meta["open_high"] else value <= high)
