"""Arguments as values: ``--key=value`` read by the declared type of the option, or as YAML if it has none.

Options that are declared as text stay text, even if YAML would read a number, a list or null: names, paths,
separators, intervals.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from recbole_diffusion import registry
from recbole_diffusion.errors import UsageError
from recbole_diffusion.options.declare import argument
from recbole_diffusion.options.general import GeneralOptions
from recbole_diffusion.options.negatives import NegativeOptions
from recbole_diffusion.options.rating import RatingOptions
from recbole_diffusion.options.recbole_table import RECBOLE_OPTIONS
from recbole_diffusion.options.split import SplitOptions
from recbole_diffusion.storage import yaml_io


@dataclass(frozen=True)
class RunArguments:
    """What ``train`` and ``tune`` take besides the options of a run."""

    model: str | None = argument(None, "name of a model")
    dataset: str | None = argument(None, "name of a data set: a folder in data_path")
    config_files: str = argument("", "YAML files of options, separated by spaces; later ones win")
    resume: str | None = argument(None, "folder of a run to continue from its last finished epoch")
    continue_from: str | None = argument(
        None, "folder of a run whose configuration and best weights a new run begins with, on today's data"
    )


@dataclass(frozen=True)
class WorkerArguments:
    """What ``train`` takes for a run by several workers."""

    train_workers: int = argument(
        1, "processes that train the run together on Ray, each its rows of every batch", low=1
    )
    worker_cpus: int = argument(1, "processor threads of each of them", low=1)
    ray_address: str | None = argument(
        None, "Ray cluster of these workers (auto, HOST:PORT, ray://HOST:PORT); null: this machine"
    )


class Declared(NamedTuple):
    """What is known of an option before its value is read.

    Attributes:
        kind: its type, such as ``str | None``.
        may_be_empty: whether an empty text is a value.
    """

    kind: Any
    may_be_empty: bool = False

    @property
    def kinds(self) -> tuple[Any, ...]:
        """Return the types that the option takes."""
        return typing.get_args(self.kind) if isinstance(self.kind, types.UnionType) else (self.kind,)


def own_first(cls: type) -> list[dataclasses.Field]:
    """Return the fields of a dataclass, those that it inherits last."""
    return sorted(dataclasses.fields(cls), key=lambda field: field.name not in cls.__annotations__)


def declared_by(*classes: type) -> dict[str, Declared]:
    """Return the options of dataclasses by name."""
    fields = [field for cls in classes for field in own_first(cls)]
    return {field.name: Declared(field.type, field.metadata.get("default") == "") for field in fields}


def declared_for_runs(model: str | None, *classes: type) -> dict[str, Declared]:
    """Return the options of a run: RecBole's, the general ones, the model's, and those of ``classes``."""
    cls = None
    drawn: list[type] = []
    if model and model not in registry.MODELS:
        drawn = [NegativeOptions]  # refused later for a model that takes none
    if model and (model in registry.MODELS or registry.outside_class(model) is not None):
        cls = registry.options_class(registry.name_of(model))
    own = [cls] if cls else []
    of_recbole = {name: Declared(known.kind) for name, known in RECBOLE_OPTIONS.items()}
    return of_recbole | declared_by(GeneralOptions, SplitOptions, RatingOptions, *drawn, *own, *classes)


def help_asked(argv: Sequence[str]) -> str | None:
    """Return ``"short"`` for ``--help`` or ``-h``, ``"all"`` for ``--help=all``, and None without them.

    Raises:
        UsageError: help on something else.
    """
    for place, given in enumerate(argv):
        name, equals, text = given.partition("=")
        if given == "-h" or name == "--help":
            if equals and text != "all":
                raise UsageError(
                    f"option 'help' is {text!r}; write --help, or --help=all for RecBole's options too"
                )
            return "all" if "all" in (text, *argv[place + 1 : place + 2]) else "short"
    return None


def option_pairs(argv: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return name and text of ``--key=value``, ``--key value`` and ``--flag``; the text of a flag is None.

    Raises:
        UsageError: an argument is not an option.
    """
    pairs: list[tuple[str, str | None]] = []
    rest = list(argv)
    while rest:
        given = rest.pop(0)
        if not given.startswith("--") or len(given) == 2:
            raise UsageError(f"unexpected argument {given!r}; options are written --name=value")
        name, equals, text = given[2:].partition("=")
        follows = not equals and rest and not rest[0].startswith("--")
        pairs.append((name, text if equals else rest.pop(0) if follows else None))
    return pairs


def parse_options(argv: Sequence[str], *classes: type) -> dict[str, Any]:
    """Return the options of a run and of ``classes`` by name; values are parsed, never evaluated.

    Raises:
        UsageError: an argument is not an option, or an option has no value, or two different ones.
    """
    pairs = option_pairs(argv)
    declared = declared_for_runs(dict(pairs).get("model"), RunArguments, *classes)
    return once((name, read_value(name, text, declared.get(name))) for name, text in pairs)


def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the values by name.

    Raises:
        UsageError: a name has two different values.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if found.setdefault(name, value) != value:
            raise UsageError(f"option {name!r} is given twice, as {found[name]!r} and {value!r}")
    return found


def read_value(name: str, text: str | None, declared: Declared | None) -> Any:
    """Return the value of an option's text; whether it is allowed is checked elsewhere.

    Args:
        name: the option's name.
        text: the text after the name; None if there is none.
        declared: what is known of the option; None for one that only RecBole's model knows.

    Raises:
        UsageError: the option needs a value and has none.
    """
    kinds = declared.kinds if declared else (bool, type(None))
    missing = UsageError(f"option {name!r} is given without a value; write --{name}=VALUE, or leave it out")
    if text is None:
        if bool in kinds:
            return True
        raise missing
    if set(kinds) - {str, type(None)}:
        if not text and type(None) not in kinds:
            raise missing
        return yaml_io.parse_value(text)
    if text in ("null", "~") and type(None) in kinds:
        return None
    text = str(yaml_io.parse_value(text)) if text.startswith(("'", '"')) else text
    if not text and not (declared and declared.may_be_empty):
        raise missing
    return text


def config_files_of(options: dict[str, Any]) -> list[str]:
    """Remove the names of configuration files from ``options`` and return them.

    They are separated by blanks, which may be in a name too: of several readings, that of the longest name of
    a file that is there counts.
    """
    words, files = options.pop("config_files", "").split(), []
    while words:
        ends = range(len(words), 0, -1)
        end = next((end for end in ends if Path(" ".join(words[:end])).expanduser().is_file()), 1)
        files.append(" ".join(words[:end]))
        words = words[end:]
    return files


def defaults_of(cls: type) -> Mapping[str, Any]:
    """Return the defaults of a command's dataclass of arguments by name."""
    return {field.name: field.metadata["default"] for field in dataclasses.fields(cls)}
