"""The two kinds of failure that a user sees as one line: a wrong request (exit code 2) and a failed run (exit code 1)."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """What was asked for cannot be run: unknown name, wrong type, value out of range, missing data. Exit code 2."""


class RunError(RuntimeError):
    """A run that started could not go on: unreadable checkpoint, full disk, diverged loss. Exit code 1."""


def nothing_asked(help_text: str) -> UsageError:
    """Return the error for a command without a word behind it: the usage that its help begins with."""
    usage = " ".join(help_text.partition("\n\n")[0].split())
    return UsageError(f"nothing is asked for; {usage}; --help lists all options")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the known name nearest to ``name``, or an empty string.

    Where none is near, words in another order count too: ``gpus_per_trial`` is near ``trial_gpus``.
    """
    known = list(known)
    for key in (str.lower, _in_order):
        keyed = {key(word): word for word in known}
        near = difflib.get_close_matches(key(name), keyed, n=1, cutoff=0.6)
        if near:
            return f" (did you mean {keyed[near[0]]!r}?)"
    return ""


def _in_order(name: str) -> str:
    return "_".join(sorted(name.lower().split("_")))
