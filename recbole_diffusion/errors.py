"""Failures that a user sees as one line, and what hints need: near names, the command that was called.

A wrong request ends with exit code 2, a failed run with 1, Ctrl-C with 130.
"""

import difflib
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class UsageError(ValueError):
    """What was asked for cannot be run: unknown name, wrong type, value out of range, missing data."""


class RunError(RuntimeError):
    """A run that started could not go on: unreadable checkpoint, full disk, diverged loss. Exit code 1."""


def shown_name(model: Any) -> str:
    """Return the name of a model for a message: its class's, or what a class that an option chooses says."""
    name: str = vars(type(model)).get("shown_name", type(model).__name__)
    return name


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run or a sweep that can be continued.

    Attributes:
        folder: folder of the run or of the sweep, for ``--resume``.

    Args:
        folder: that folder.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(str(folder))
        self.folder = Path(folder)


def refuse_address(name: str, given: Any) -> None:
    """Refuse an address such as s3://bucket for a folder or file: it would become a folder named ``s3:``.

    Raises:
        UsageError: it is one.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", str(given or "")):
        raise UsageError(
            f"{name} is {given!r}, an address; it takes a folder, so mount an object store as a file system"
        )


def program() -> str:
    """Return how this process was called, for usage lines and hints; from Python, the installed command."""
    called = Path(sys.argv[0] if sys.argv else "")
    if called.name == "run_recbole_diff.py":
        return "python run_recbole_diff.py"
    if called.name == "__main__.py" and called.parent.name == "recbole_diffusion":
        return "python -m recbole_diffusion"
    return "recbole-diffusion"


def command_line(*argv: str) -> str:
    """Return the command that gives these arguments to this program, quoted for a shell."""
    return f"{program()} {shlex.join(argv)}".strip()


def no_arguments(*usages: str) -> UsageError:
    """Return the error for a command without arguments, which is called in one of the ways of ``usages``."""
    return UsageError(f"no arguments given; usage: {' or '.join(usages)}; --help lists all options")


def counted(number: int, what: str, verb: str = "") -> str:
    """Return a number with what it counts, and perhaps a verb: ``1 row is``, ``2 rows are``."""
    text = f"{number:,} {what}{'' if number == 1 else 's'}"
    return f"{text} {agreeing(number, verb)}" if verb else text


def agreeing(number: int, verb: str) -> str:
    """Return a verb, given in the plural, in the form that goes with a number: ``is`` for 1 and ``are``."""
    return verb if number != 1 else {"are": "is", "have": "has"}.get(verb, f"{verb}s")


def nearest(name: str, known: Iterable[str], least: float = 0.6) -> str:
    """Return the known name nearest to ``name``, or an empty string where none is alike enough.

    Words in another order count too: ``gpus_per_trial`` is near ``trial_gpus``.

    Args:
        name: the name.
        known: the names to look among.
        least: share of letters in common, 0 to 1, that a name must have more than.
    """
    best = least, ""
    for word in known:
        for key in (str.lower, _in_order):
            best = max(best, (difflib.SequenceMatcher(None, key(word), key(name)).ratio(), word))
    return best[1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the :func:`nearest` known name, or an empty string."""
    word = nearest(name, known)
    return f" (did you mean {word!r}?)" if word else ""


def _in_order(name: str) -> str:
    return "_".join(sorted(name.lower().split("_")))
