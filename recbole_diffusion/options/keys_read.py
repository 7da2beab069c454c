"""The options that RecBole's classes read beyond those in its YAML files and lists.

DiffRec reads ``config["norm"]``, TailPercentage ``config["tail_ratio"]``, the transform crop_itemseq
``config["eta"]``: none of them is in a YAML file. They are found in the compiled functions, which also works
for a class whose source file is missing or has moved.
"""

import dis
import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from recbole_diffusion.compat import recbole_datasets, recbole_metrics, recbole_transform


def keys_of_classes(model_class: type, with_transform: bool) -> set[str]:
    """Return the options that the code of a run reads: its model, RecBole's data sets, metrics, transforms.

    Args:
        model_class: the model; options that other classes of its module read are included.
        with_transform: whether the run transforms its batches.
    """
    modules = [recbole_datasets, recbole_metrics, sys.modules.get(model_class.__module__)]
    modules += [recbole_transform] if with_transform else []
    in_modules = (keys_read_in(module) for module in modules if module is not None)
    return set(keys_read_by(model_class)).union(*in_modules)


@functools.cache
def keys_read_by(cls: type) -> frozenset[str]:
    """Return the names that a class and its parents read as ``config["name"]``."""
    return frozenset(
        key
        for parent in cls.__mro__
        if _package(parent.__module__) not in ("torch", "builtins")
        for member in vars(parent).values()
        for function in _functions(member)
        for key in _keys_in(function.__code__)
    )


@functools.cache
def keys_read_in(module: ModuleType) -> frozenset[str]:
    """Return what :func:`keys_read_by` finds in the classes of a module, only those of its own package."""
    classes: list[type[Any]] = [cls for _, cls in inspect.getmembers(module, inspect.isclass)]
    own = [cls for cls in classes if _package(cls.__module__) == _package(module.__name__)]
    # mypy takes a class for unhashable: it looks up __hash__ of its instances.
    return frozenset(key for cls in own for key in keys_read_by(cls))  # type: ignore[arg-type]


def _package(module: str) -> str:
    return module.partition(".")[0]


def _functions(member: object) -> Iterator[FunctionType]:
    """Yield the functions behind a member of a class: methods of all kinds, properties, decorated ones."""
    candidates: list[object] = [getattr(member, "__func__", member)]
    if isinstance(member, property):
        candidates = [member.fget, member.fset]
    for one in candidates:
        function = inspect.unwrap(one) if callable(one) else one
        if isinstance(function, FunctionType):
            yield function


def _keys_in(code: CodeType) -> Iterator[str]:
    """Yield the constants that index ``config[...]`` or ``self.config[...]``, also in inner functions."""
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    if any("config" in some for some in names):  # else there is nothing to find, and most functions are such
        before = None
        for instruction in dis.get_instructions(code):
            constant = instruction.argval if instruction.opname == "LOAD_CONST" else None
            if before == "config" and isinstance(constant, str):
                yield constant
            before = instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _keys_in(constant)
