"""Words of a command on one trained run: its own options, and what differs on this machine from the run's own."""

import sys
from collections.abc import Sequence
from typing import Any, TypeVar

from recbole_diffusion.errors import UsageError, did_you_mean, nothing_asked
from recbole_diffusion.options import read_options

T = TypeVar("T")
# The options of load_run, as words of a command line.
LOADING = ("data_path", "shift_test", "use_gpu", "gpu_id")


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
    from recbole_diffusion.cli import parse_options

    given = parse_options(words)
    if not given:
        raise nothing_asked(before)
    if "help" in given:
        from recbole_diffusion.cli_help import option_lines

        machine = f"and what differs on this machine from the run's own: {', '.join(LOADING)}."
        sys.stdout.write(before + "\n".join([*option_lines(cls), "", machine]) + "\n" + after)
        return None
    loading = {name: given.pop(name) for name in LOADING if name in given}
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    names = [*fields, *LOADING]
    for name in given:
        if name not in fields:
            raise UsageError(f"{command} has no option {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}")
    return read_options(cls, {name: field.metadata["default"] for name, field in fields.items()} | given), loading
