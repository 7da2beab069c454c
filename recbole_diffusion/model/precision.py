"""Functions that stay in single precision where a run trains in mixed precision (``enable_amp``)."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])
HALVES = (torch.bfloat16, torch.float16)


def in_single(function: F) -> F:
    """Return ``function`` outside of autocast, its tensors of 16 bits as float32; elsewhere as it is.

    Under autocast products come in 16 bits and tables in 32. A function with a backward pass of its own, or
    one that hands its numbers to numpy, would mix the two. So do sums over a catalogue, for which 8 bits of
    mantissa are few.
    """

    @functools.wraps(function)
    def inner(*arguments: Any, **named: Any) -> Any:
        values = (*arguments, *named.values())
        device = next((one.device.type for one in values if isinstance(one, Tensor)), "cpu")
        if not torch.is_autocast_enabled(device):
            return function(*arguments, **named)
        with torch.autocast(device, enabled=False):
            return function(
                *map(_single, arguments), **{name: _single(value) for name, value in named.items()}
            )

    return inner  # type: ignore[return-value]


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value
