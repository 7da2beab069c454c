"""One progress bar for everything that takes long: on a terminal only, so that a log file gets no thousand lines."""

import sys

from tqdm import tqdm


def byte_bar(title: str, total: int | None, done: int = 0) -> tqdm:
    """Return a bar that counts bytes, silent where standard error is no terminal.

    Args:
        title: what is read or fetched.
        total: bytes at the end, or None where nobody knows.
        done: bytes that an earlier attempt has left.
    """
    shown = sys.stderr.isatty()
    return tqdm(
        desc=title, total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024, disable=not shown
    )
