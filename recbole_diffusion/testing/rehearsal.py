"""A device made in Python, to rehearse a GPU where there is none.

A tensor of this device says that it lives on ``rehearsal:0``, holds its values on the processor, and refuses
to be mixed with a tensor of the processor, as CUDA does: only tensors without dimensions and indices of a
device table may be. So every ``.to(device)`` that is missing shows, on a machine without a GPU::

    from recbole_diffusion.testing.rehearsal import on_the_device

    with on_the_device():
        run("TVDiff", "ml-100k", overrides={"epochs": 2})

It says nothing about times, memory or kernels. torch registers the device once in a process, for good and
before the first backward pass: use a process of its own. It needs torch 2.13, whose interface for devices in
Python is new.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from recbole_diffusion.config import Config

NAME = "rehearsal"
# Operators whose further arguments are indices, which CUDA takes from the processor too.
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
COPIES = {"copy_", "_to_copy"}  # between devices
MAKES_TENSORS = (torch.tensor, torch.as_tensor, torch.asarray)


class _Module:
    """What torch asks a device's module for."""

    is_available = is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    _is_in_bad_fork = staticmethod(lambda: False)
    manual_seed = manual_seed_all = staticmethod(lambda seed: None)  # noqa: ARG005
    synchronize = staticmethod(lambda *_: None)
    get_rng_state = staticmethod(lambda *_: torch.get_rng_state())
    set_rng_state = staticmethod(lambda *_: None)  # the processor's is set by itself
    get_amp_supported_dtype = staticmethod(lambda: [torch.bfloat16])


class DeviceTensor(torch.Tensor):
    """A tensor of the device.

    Attributes:
        held: its values, a tensor of the processor.
    """

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Self:
        """Return a tensor with the shape and type of ``held``."""
        strides = held.stride() if held.layout == torch.strided else None
        one = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=strides, dtype=held.dtype, layout=held.layout, device=device()
        )
        one.held = held
        return one

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        """Return the values and the device."""
        return f"{NAME}({self.held!r})"

    def tolist(self) -> Any:
        """Return the values as lists; torch's own method refuses tensors of a class of their own."""
        return self.held.tolist()

    def new_tensor(self, data: Any, dtype: Any = None, *_arguments: Any, **_options: Any) -> torch.Tensor:
        """Return a tensor of this device with other values; torch's own method would look for its memory."""
        return torch.tensor(data, dtype=dtype or self.dtype).to(device())

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Save the values, as torch saves those of a GPU; :func:`_load` brings them back to the device."""
        return self.held.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operator: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Compute an operator on the processor."""
        return _computed(operator, args, dict(kwargs or {}))


class _Dispatch(TorchDispatchMode):
    """Operators that make tensors on a device: they have no tensor of ours to be called by."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and torch's guard against it would load its compiler: seconds."""
        return False

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _computed(operator, args, dict(kwargs or {}))


class _Making(TorchFunctionMode):
    """``torch.tensor(values, device=...)``, which torch fills before any operator is called."""

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if function in MAKES_TENSORS and _is_ours(options.get("device")):
            place = options.pop("device")
            made = args[0] if isinstance(args[0], torch.Tensor) else function(*args, **options)
            return made.to(place)
        return function(*args, **options)


@functools.cache
def device() -> torch.device:
    """Return the device."""
    return torch.device(NAME, 0)


def _is_ours(place: Any) -> bool:
    return place is not None and torch.device(place).type == NAME


def _computed(operator: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Return what an operator gives, on the device if its tensors are, or if it is asked for."""
    name, place = operator._schema.name.split("::")[1], kwargs.get("device")
    tensors: list[torch.Tensor] = []

    def held(one: Any) -> Any:
        if isinstance(one, torch.Tensor):
            tensors.append(one)
            return one.held if isinstance(one, DeviceTensor) else one
        return one

    if place is not None:
        kwargs["device"] = torch.device("cpu")
    on_cpu = _each(held, args), {key: _each(held, one) for key, one in kwargs.items()}
    ours = [one for one in tensors if isinstance(one, DeviceTensor)]
    if ours and name not in COPIES:
        _refuse_mixed(operator, name, args, tensors)
    if name == "copy_":
        stays = isinstance(args[0], DeviceTensor)
    else:
        stays = _is_ours(place) if place is not None else bool(ours)
    found = operator(*on_cpu[0], **on_cpu[1])
    if not stays:
        return found
    same = {id(one.held): one for one in ours}  # what an operator in place gives back is its argument

    def placed(one: Any) -> Any:
        if not isinstance(one, torch.Tensor) or isinstance(one, DeviceTensor):
            return one
        return same[id(one)] if id(one) in same else DeviceTensor(one)

    return _each(placed, found)


def _each(change: Callable[[Any], Any], found: Any) -> Any:
    """Change the values in lists and tuples: torch's own trees take several times as long."""
    if isinstance(found, list | tuple):
        return [_each(change, one) for one in found]
    return change(found)


def _refuse_mixed(operator: Any, name: str, args: Sequence[Any], tensors: list[torch.Tensor]) -> None:
    """Refuse a tensor of the processor beside one of the device.

    Raises:
        RuntimeError: as CUDA does.
    """
    plain = [one for one in tensors if not isinstance(one, DeviceTensor) and one.dim() > 0]
    if name in INDEXING and isinstance(args[0], DeviceTensor):
        plain = [one for one in args[2:3] if one.dim() > 0 and not isinstance(one, DeviceTensor)]
    if plain:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {operator} found {NAME}:0 and cpu"
        )


def _load(load: Any) -> Any:
    """Return ``torch.load`` for which ``map_location`` may be the device."""

    def loaded(file: Any, map_location: Any = None, **options: Any) -> Any:
        found = load(file, map_location="cpu", **options)
        if not _is_ours(map_location):
            return found
        return pytree.tree_map(
            lambda one: one.to(map_location) if isinstance(one, torch.Tensor) else one, found
        )

    return loaded


class _Generator(torch.Generator):
    """``torch.Generator`` for the device too, with the processor's random numbers."""

    def __new__(cls, place: Any = "cpu") -> Any:
        return super().__new__(cls, "cpu" if _is_ours(place) else place)  # type: ignore[call-arg]


@contextlib.contextmanager
def on_the_device() -> Iterator[torch.device]:
    """Let each configuration that is made meanwhile have the device, as one with a GPU has that."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    choose = Config._init_device

    def chosen(config: Config) -> None:
        choose(config)
        config.final_config_dict["device"] = device()

    with (
        mock.patch.object(Config, "_init_device", chosen),
        mock.patch.object(torch, "load", _load(torch.load)),
        mock.patch.object(torch, "Generator", _Generator),
        _Making(),
        _Dispatch(),
    ):
        yield device()
