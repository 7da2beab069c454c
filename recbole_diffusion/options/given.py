"""What callers from Python give, paths and numbers of numpy too, as the plain values that options take."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError


def plain_options(overrides: Any) -> dict[str, Any]:
    """Return options as plain values.

    Args:
        overrides: option values by name, or None for none.

    Raises:
        UsageError: it is no mapping, or a name is no text.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        raise UsageError(
            f"overrides are {overrides!r}, of type {type(overrides).__name__}; they take option values by "
            "name, such as {'epochs': 5}"
        )
    return {plain(name): plain(value) for name, value in overrides.items()}


def plain(value: Any) -> Any:
    """Return a path as text, a number or array of numpy (or torch) as Python's; other values as they are."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if callable(getattr(value, "tolist", None)):  # of the scalars too
        return value.tolist()
    if isinstance(value, Mapping):
        return {plain(name): plain(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(inner) for inner in value)
    return value


def files_given(config_files: Iterable[str | Path] | str | Path | None) -> list[str | Path]:
    """Return the configuration files that a caller names; a single one needs no list."""
    if config_files is None:
        return []
    return [config_files] if isinstance(config_files, str | os.PathLike) else list(config_files)
