"""Models by name: this package's, RecBole's, and models from outside.

A model of this package has a line in ``registry.models``. Where its files are follows from family and name,
and what it needs besides (trainer, data set, loader, protocol) is declared by its class, see
``ModelInterface`` in ``model/base.py``. RecBole's models declare the same by ``model/recbole_models.py``. A
model from outside is named ``package.module:Class``, see ``registry.outside``.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import UsageError, did_you_mean
from recbole_diffusion.registry import outside
from recbole_diffusion.registry.models import BASELINES, MODELS, PARTS, ModelSpec, module_of, resolve

__all__ = [
    "BASELINES",
    "MODELS",
    "ModelSpec",
    "file_beside",
    "fold_in_models",
    "is_outside",
    "model_class",
    "name_of",
    "names_where",
    "options_class",
    "outside_class",
    "part",
    "resolve",
    "summary_of",
    "unknown_model",
]


def name_of(model: str | type) -> str:
    """Return the canonical name of a model that a user names, and remember that it was named.

    This is the class name of a model of this package or of RecBole, else ``package.module:Class``.

    Raises:
        UsageError: it is from outside and cannot be imported, or is not a model.
    """
    if isinstance(model, type):
        return _canonical(
            outside.checked(model, model.__qualname__), f"{model.__module__}:{model.__qualname__}"
        )
    if not isinstance(model, str):
        return model  # refused with the configuration
    if ":" in model:
        return _canonical(outside.imported(model), model)
    point = outside.entry_point(model) if model not in MODELS and _of_recbole(model) is None else None
    return model if point is None else _canonical(outside.imported(point), point)


def _canonical(cls: type, given: str) -> str:
    name = cls.__name__
    known = _own(name) or _of_recbole(name)
    return name if known is not None and cls in (known, _adapted(known)) else outside.remember(cls, given)


def model_class(name: str) -> type[Any]:
    """Return the class of a model; it has everything of ``ModelInterface``, whether it inherits it or not.

    Args:
        name: a canonical name, from :func:`name_of` or from a configuration.

    Raises:
        UsageError: there is no such model, two have this name, or it is from outside and nobody has named it.
    """
    if is_outside(name):
        return _adapted(outside.class_of(name))
    point, known = outside.entry_point(name), _own(name) or _of_recbole(name)
    if known is not None and point is not None:
        raise UsageError(
            f"two models have the name {name!r}: the one of {known.__module__} and the entry point {point}; "
            f"give --model={point} or --model={known.__module__}:{name}"
        )
    if point is not None:
        return _adapted(outside.imported(point))
    if known is None:
        raise unknown_model(name)
    return _adapted(known)


def _own(name: str) -> type | None:
    return resolve(f"{module_of(name)}:{name}") if name in MODELS else None


@functools.cache
def _of_recbole(name: str) -> type | None:
    """Return RecBole's class of a name, None if there is none.

    RecBole's lookup raises three different errors for an unknown name: ValueError, ModuleNotFoundError
    (lightgbm), AttributeError (a wrong case).
    """
    import torch

    from recbole_diffusion.compat import get_model

    searching = torch.is_anomaly_enabled()
    try:
        return get_model(name)
    except (ValueError, ModuleNotFoundError, AttributeError):
        return None
    finally:
        # RecBole's SINE, read with every sequential model, makes autograd search each step for NaN.
        torch.autograd.set_detect_anomaly(searching)


def _adapted(cls: type) -> type:
    return resolve("model.recbole_models:adapted")(cls)


def unknown_model(name: str) -> UsageError:
    """Return the error for an unknown model, with the models that there are."""
    others = list(outside.registered())
    return UsageError(
        f"unknown model {name!r}{did_you_mean(name, [*MODELS, *BASELINES, *others])}; this package has "
        f"{', '.join(sorted([*MODELS, *others]))}; "
        f"of RecBole's general models, these are tested here: {', '.join(BASELINES)}; a model from elsewhere "
        "is named package.module:Class"
    )


# What a model declares.


def part(model_class: type, attribute: str) -> Any:
    """Return the class that a model declares as its trainer, data set or loader; None: RecBole chooses.

    Args:
        model_class: from :func:`model_class`.
        attribute: ``trainer_class``, ``dataset_class`` or ``loader_class``.

    Raises:
        UsageError: the model declares an unknown word.
    """
    declared = getattr(model_class, attribute)
    if declared is None or isinstance(declared, type):
        return declared
    if declared not in PARTS[attribute]:
        words = ", ".join(PARTS[attribute])
        raise UsageError(
            f"{model_class.__name__}.{attribute} is {declared!r}; it takes {words}, a class or None"
        )
    return resolve(PARTS[attribute][declared])


def names_where(test: Callable[[type[Any]], bool]) -> list[str]:
    """Return the names of models whose class passes a test: this package's, and adapted ones of RecBole."""
    return [name for name in (*MODELS, *resolve("model.recbole_models:ADAPTERS")) if test(model_class(name))]


def fold_in_models() -> tuple[str, str]:
    """Return the names of the models that fold users in: by items of the run, and of a source domain."""
    own = names_where(lambda cls: cls.takes_histories and cls.fold_in_domain is None)
    return ", ".join(own), ", ".join(names_where(lambda cls: cls.fold_in_domain == "source"))


def options_class(name: str) -> type[Any] | None:
    """Return the frozen dataclass of a model's options; None if it has none.

    For a model of this package this is ``<Name>Options`` in its own ``<name>_options.py`` or else in its
    family's ``options.py``, which is read without loading torch; another model names it as its
    ``options_class``.
    """
    if name not in MODELS:
        found = model_class(name).options_class
        return found if found is None else outside.checked_options(found)
    family = f"recbole_diffusion.model.{MODELS[name].family}"
    own = f"{family}.{name.lower()}_options"
    module = own if importlib.util.find_spec(own) else f"{family}.options"
    return getattr(importlib.import_module(module), f"{name}Options")


# Models from outside.


def is_outside(name: str) -> bool:
    """Return whether a canonical name belongs to a model from outside."""
    return ":" in name


def outside_class(name: str) -> type[Any] | None:
    """Return the class that a user names if it is from outside, else None."""
    if name in MODELS or not (is_outside(name) or name in outside.registered()):
        return None
    canonical = name_of(name)
    return model_class(canonical) if is_outside(canonical) else None


def file_beside(model_class: type, ending: str) -> Path:
    """Return the path of a YAML file of a model from outside: beside its module, named after the class."""
    file = getattr(sys.modules.get(model_class.__module__), "__file__", None) or "in_a_notebook"
    return Path(file).with_name(f"{model_class.__name__}{ending}")


def summary_of(model_class: type) -> str:
    """Return the first line of the docstring of a model from outside."""
    return ((model_class.__doc__ or "").strip().splitlines() or [model_class.__name__])[0]
