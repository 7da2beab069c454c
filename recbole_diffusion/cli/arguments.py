"""Arguments of the commands, read from ``--key=value`` words."""

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from recbole_diffusion.errors import UsageError, did_you_mean, nothing_asked
from recbole_diffusion.options.declare import read_options
from recbole_diffusion.storage import yaml_io

T = TypeVar("T")
# The options of load_run, as arguments of a command line.
LOADING = ("data_path", "shift_test", "use_gpu", "gpu_id")
# Read as text even where YAML would see a number, a list or nothing: names, paths, separators, intervals.
TEXT_OPTIONS = frozenset(
    {"model", "dataset", "config_files", "resume", "run_dir", "runs_path", "data_path", "load_checkpoint"}
    | {"source", "output", "name", "shift_test"}
    | {"space", "storage", "sweep_dir", "ray_address"}
    | {"glob", "pictures", "reference"}
    | {"run", "users", "histories", "unknown"}
    | {"field_separator", "seq_separator", "user_inter_num_interval", "item_inter_num_interval"}
)


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Return ``--key=value``, ``--key value`` and ``--flag`` as a dictionary; values are parsed as YAML, never evaluated.

    Raises:
        UsageError: a word that is no option, or an option given twice with different values.
    """
    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            options["help"] = True
            continue
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"unexpected word {word!r}; options are written --name=value")
        key, equals, text = word[2:].partition("=")
        if not equals:
            text = rest.pop(0) if rest and not rest[0].startswith("--") else None
        value = _value(key, text)
        if key in options and options[key] != value:
            raise UsageError(f"option {key!r} is given twice, as {options[key]!r} and {value!r}")
        options[key] = value
    return options


def _value(key: str, text: str | None) -> Any:
    """Return the value of one option; None is a flag."""
    if key not in TEXT_OPTIONS:
        return True if text is None else yaml_io.parse_value(text)
    if text and text[0] in "'\"":
        text = str(yaml_io.parse_value(text))
    if not text and key != "config_files":
        raise UsageError(f"option {key!r} is given without a value; write --{key}=VALUE, or leave it out")
    return text or ""


def read_folder_words(words: Sequence[str], cls: type[T], before: str) -> tuple[list[str], T] | None:
    """Return the folders and the options of a command, options with their defaults; None after ``--help``, which is printed.

    An option's value stands behind ``=`` or is the next word; a flag, which is an option that takes true or
    false, has none.

    Args:
        words: the words behind the command's name.
        cls: dataclass of the command's options.
        before: the help in front of the options; it begins with the usage.

    Raises:
        UsageError: no word at all, an option that the command has not, or one with a wrong value.
    """
    if not words:
        raise nothing_asked(before)
    if "--help" in words or "-h" in words:
        from recbole_diffusion.cli.help import option_lines

        sys.stdout.write(before + "\n".join(option_lines(cls)) + "\n")
        return None
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    folders, of_options, rest = [], [], list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            folders.append(word)
            continue
        of_options.append(word)
        name = word.removeprefix("--")
        takes_next = "=" not in word and name in fields and fields[name].type is not bool
        if takes_next and rest and not rest[0].startswith("--"):
            of_options.append(rest.pop(0))
    given = parse_options(of_options)
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise UsageError(
            f"unknown option {unknown[0]!r}{did_you_mean(unknown[0], fields)}; there are {', '.join(fields)}"
        )
    defaults = {name: field.metadata["default"] for name, field in fields.items()}
    return folders, read_options(cls, defaults | given)


def read_run_words(
    words: Sequence[str], cls: type[T], command: str, before: str, after: str = ""
) -> tuple[T, dict[str, Any]] | None:
    """Return the options of a command and those of ``load_run``; None after ``--help``, which is printed.

    Args:
        words: the words behind the command's name.
        cls: dataclass of the command's options.
        command: its name.
        before: the help in front of the options; it begins with the usage.
        after: the help behind them.

    Raises:
        UsageError: no word at all, or an option that is unknown, of the wrong type or out of range.
    """
    given = parse_options(words)
    if not given:
        raise nothing_asked(before)
    if "help" in given:
        from recbole_diffusion.cli.help import option_lines

        machine = f"and what differs on this machine from the run's own: {', '.join(LOADING)}."
        sys.stdout.write(before + "\n".join([*option_lines(cls), "", machine]) + "\n" + after)
        return None
    loading = {name: given.pop(name) for name in LOADING if name in given}
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    names = [*fields, *LOADING]
    for name in given:
        if name not in fields:
            raise UsageError(
                f"{command} has no option {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}"
            )
    return read_options(
        cls, {name: field.metadata["default"] for name, field in fields.items()} | given
    ), loading
