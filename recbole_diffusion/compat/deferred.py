"""Imports that RecBole and torch make and most runs never use: they wait for the first use.

RecBole's metrics import scikit-learn for AUC, MAE and RMSE; its utilities import TensorBoard; torch's
optimizers import ``torch._dynamo``, the compiler, for a note to it that eager code does not need. Together
these take longer than all else before the first batch of a small run. What is deferred still works when it
is called; nothing of it stays in ``sys.modules``, so that other code imports the real packages.
"""

import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

# Names of torch's wrappers that import the compiler, in its optim/optimizer.py and _compile.py.
STEP_WRAPPER, DISABLING_WRAPPER = "_use_grad", "inner"


@contextlib.contextmanager
def imported_on_call(names: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """While the block runs, let ``from MODULE import NAME`` give a stand-in that imports MODULE when used.

    A stand-in can be called; one whose name ends in ``Warning`` is a category of warnings. A module that is
    loaded already, or that is not installed, is left to Python. Only modules that import nothing else of the
    packages that are named may be imported in the block.

    Args:
        names: functions, classes that are only called, and categories of warnings, by module.
    """
    stand_ins = {}
    for module, wanted in names.items():
        installed = importlib.util.find_spec(module.partition(".")[0]) is not None
        if module not in sys.modules and installed:
            stand_ins[module] = ModuleType(module)
            vars(stand_ins[module]).update({name: _stand_in(module, name) for name in wanted})
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for module in stand_ins:
            del sys.modules[module]


def _stand_in(module: str, name: str) -> Any:
    def real() -> Any:
        return getattr(importlib.import_module(module), name)

    class Category(type):
        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, real())

    def call(*arguments: Any, **options: Any) -> Any:
        return real()(*arguments, **options)

    if name.endswith("Warning"):
        return Category(name, (Warning,), {})
    call.__name__ = call.__qualname__ = name
    return call


def optimizers_without_compiler() -> None:
    """Let torch's optimizers work without ``torch._dynamo`` until somebody imports it.

    ``Optimizer.step`` tells the compiler to break its graph, and four other methods tell it to keep out; each
    imports the compiler to say so. In a process that has not loaded it, nothing is compiled and the methods
    do the same without it; once it is loaded, torch's own methods run. Wrappers that this function does not
    know, of another torch, are left as they are.
    """
    import torch

    classes = [one for one in vars(torch.optim).values() if inspect.isclass(one)]
    for cls in dict.fromkeys([torch.optim.Optimizer, *classes]):
        if not issubclass(cls, torch.optim.Optimizer):  # type: ignore[arg-type]
            continue
        for name, method in list(vars(cls).items()):
            kind = getattr(getattr(method, "__code__", None), "co_name", None)
            plain = getattr(method, "__wrapped__", None)
            if plain is not None and name == "step" and kind == STEP_WRAPPER:
                setattr(cls, name, _unless_compiling(method, _with_grad_mode(plain)))
            elif plain is not None and kind == DISABLING_WRAPPER and method.__module__ == plain.__module__:
                setattr(cls, name, _unless_compiling(method, plain))


def _with_grad_mode(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return an optimizer's step in the mode that torch's wrapper sets: without gradients, as a rule."""
    import torch

    def step(self: Any, *arguments: Any, **options: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return plain(self, *arguments, **options)

    return step


def _unless_compiling(method: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        return (method if "torch._dynamo" in sys.modules else plain)(*arguments, **options)

    return call
