"""State that a model keeps outside its parameters and buffers, such as MultiVAE's count of updates."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


class PlainState:
    """The plain attributes of a model that are numbers, tensors or arrays of numbers and change in training.

    Names that begin with an underscore are caches and left out. What has not changed since the start is a
    constant (sizes, adjacency matrices) and left out too: a tensor has a version number, which counts changes
    in place; of an array, as LINE's shuffled users are, it is a sum over its bytes.

    Args:
        model: the model, before training.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._at_start = {path: (value, _version(value)) for path, value in self._attributes()}

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.model.named_modules():
            for name, value in vars(module).items():
                if not name.startswith("_") and name != "training" and _holds_numbers(value):
                    yield f"{prefix}.{name}", value

    def values(self) -> dict[str, Any]:
        """Return the tensors, arrays and numbers that have changed, by path."""
        return {path: value for path, value in self._attributes() if not self._is_as_at_start(path, value)}

    def _is_as_at_start(self, path: str, value: Any) -> bool:
        before, version = self._at_start.get(path, (None, None))
        if isinstance(value, torch.Tensor | np.ndarray):
            return before is value and version == _version(value)
        return type(before) is type(value) and before == value

    def restore(self, values: dict[str, Any]) -> None:
        """Set what :meth:`values` returned.

        Raises:
            ValueError: a number of a checkpoint stands where the model has another kind of number.
        """
        for path, value in values.items():
            prefix, _, name = path.rpartition(".")
            module = self.model.get_submodule(prefix)
            now = getattr(module, name, None)
            # A tensor may follow on a number: RaCT begins with 0 and then counts by user.
            if isinstance(now, int) and type(value) not in (type(now), torch.Tensor):
                raise ValueError(f"{path} is {value!r} where the model has {now!r}")
            if isinstance(now, np.ndarray) and not isinstance(value, np.ndarray):
                raise ValueError(f"{path} is {value!r} where the model has an array")
            setattr(module, name, value.to(now.device) if isinstance(now, torch.Tensor) else value)


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"  # not objects, as sets of ids
    return isinstance(value, torch.Tensor | int | float)


def _version(value: Any) -> int | None:
    if isinstance(value, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(value).view(np.uint8).data) if value.size else 0
    return value._version if isinstance(value, torch.Tensor) else None
