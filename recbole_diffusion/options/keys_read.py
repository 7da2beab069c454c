"""The options that RecBole's classes read beyond those in its YAML files and lists.

DiffRec reads ``config["norm"]``, TailPercentage ``config["tail_ratio"]``, the transform crop_itemseq
``config["eta"]``: none of them stands in a YAML file. They are taken from the compiled functions, so that a
class without a source file, or one whose file has moved, is read as well.
"""

import dis
import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

from recbole_diffusion.compat import recbole_datasets, recbole_metrics, recbole_transform


def keys_of_classes(model_class: type, with_transform: bool) -> set[str]:
    """Return the options that a run reads through its model, RecBole's data sets, metrics, transforms.

    Args:
        model_class: the model; what other classes of its module read counts too.
        with_transform: whether a transform of batches is asked for.
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
    """Return what :func:`keys_read_by` finds in the classes of a module, those of its own package alone."""
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass)]
    own = [cls for cls in classes if _package(cls.__module__) == _package(module.__name__)]
    return frozenset().union(*map(keys_read_by, own))


def _package(module: str) -> str:
    return module.partition(".")[0]


def _functions(member: object) -> Iterator[FunctionType]:
    """Yield the functions behind a member of a class: methods of all kinds, properties, decorated ones."""
    if isinstance(member, property):
        candidates = [member.fget, member.fset]
    else:
        candidates = [getattr(member, "__func__", member)]
    for one in candidates:
        function = inspect.unwrap(one) if callable(one) else one
        if isinstance(function, FunctionType):
            yield function


def _keys_in(code: CodeType) -> Iterator[str]:
    """Yield the constants that ``config[...]`` or ``self.config[...]`` is indexed by, inner functions too."""
    before = None
    for instruction in dis.get_instructions(code):
        if before == "config" and instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, str):
            yield instruction.argval
        before = instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _keys_in(constant)
