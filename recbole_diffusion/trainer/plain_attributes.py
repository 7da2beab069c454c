"""State that a model keeps outside its parameters and buffers, such as MultiVAE's count of updates."""

from collections.abc import Iterator
from typing import Any

import torch


class PlainState:
    """The plain attributes of a model that are numbers or tensors and change in training.

    Names that begin with an underscore are caches and left out. Tensors that have not changed since the start
    are constants (adjacency matrices) and left out too: a tensor has a version number, which counts changes
    in place.

    Args:
        model: the model, before training.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self._at_start = {
            path: (value, value._version)
            for path, value in self._attributes()
            if isinstance(value, torch.Tensor)
        }

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.model.named_modules():
            for name, value in vars(module).items():
                if (
                    not name.startswith("_")
                    and name != "training"
                    and isinstance(value, torch.Tensor | int | float)
                ):
                    yield f"{prefix}.{name}", value

    def values(self) -> dict[str, Any]:
        """Return the tensors that have changed, and all numbers, by path."""
        start = self._at_start
        return {
            path: value
            for path, value in self._attributes()
            if not isinstance(value, torch.Tensor)
            or path not in start
            or start[path][0] is not value
            or start[path][1] != value._version
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Set what :meth:`values` returned."""
        for path, value in values.items():
            prefix, _, name = path.rpartition(".")
            module = self.model.get_submodule(prefix)
            now = getattr(module, name, None)
            setattr(module, name, value.to(now.device) if isinstance(now, torch.Tensor) else value)
