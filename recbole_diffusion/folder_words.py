"""Words of a command line that name folders beside its options: ``compare runs/a runs/b --format=csv``."""

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from recbole_diffusion.errors import UsageError, did_you_mean, nothing_asked
from recbole_diffusion.options import read_options

T = TypeVar("T")


def read_folder_words(words: Sequence[str], cls: type[T], before: str) -> tuple[list[str], T] | None:
    """Return the folders and the options of a command, options with their defaults; None after ``--help``, which is printed.

    An option's value stands behind ``=`` or is the next word; a flag, which is an option that takes true or false, has none.

    Args:
        words: the words behind the command's name.
        cls: dataclass of the command's options.
        before: the help in front of the options; it begins with the usage.

    Raises:
        UsageError: no word at all, an option that the command has not, or one with a wrong value.
    """
    from recbole_diffusion.cli import parse_options

    if not words:
        raise nothing_asked(before)
    if "--help" in words or "-h" in words:
        from recbole_diffusion.cli_help import option_lines

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
        raise UsageError(f"unknown option {unknown[0]!r}{did_you_mean(unknown[0], fields)}; there are {', '.join(fields)}")
    defaults = {name: field.metadata["default"] for name, field in fields.items()}
    return folders, read_options(cls, defaults | given)
