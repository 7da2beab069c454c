"""Options with the defaults of ``properties/``, for tests that need a part of a configuration alone."""

from typing import Any, TypeVar

from recbole_diffusion.options.declare import read_options
from recbole_diffusion.storage.properties import default_values

T = TypeVar("T")


def options_of(cls: type[T], model: str | None = None, **given: Any) -> T:
    """Return the options of a dataclass, ``given`` over the defaults of a model, or of every run."""
    return read_options(cls, {**default_values(model), **given})
