"""Lines about a step that takes longer than expected, from a second thread: nothing is silent for long."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LOADING = "loading PyTorch and RecBole"
FIRST, LATER = 1.5, 2.0  # seconds before the first line, and between two


@dataclass
class Progress:
    """How far a step is; without a total its lines have the time alone.

    Args:
        total: number of units.
        unit: what is counted, such as "users".
        done: units so far, raised by the step itself.
    """

    total: int = 0
    unit: str = ""
    done: int = 0

    def __str__(self) -> str:
        """Return the words of a line, with a comma at their end; empty without a total."""
        return f"{self.done:,} of {self.total:,} {self.unit}, " if self.total else ""


@contextlib.contextmanager
def told_if_slow(
    step: str,
    tell: Callable[[str], object] | None = None,
    first: float = FIRST,
    later: float = LATER,
    total: int = 0,
    unit: str = "",
) -> Iterator[Progress]:
    """Tell what goes on in the block, and for how long by now, if that takes more than a moment.

    Args:
        step: what the block does, such as "loading the data set".
        tell: gets each line; by default it is written to standard error.
        first: seconds before the first line.
        later: seconds between two lines, more when the block takes long.
        total: number of units in the block, for lines that say how far it is.
        unit: what is counted.

    Yields:
        The count, which the block raises.
    """
    done, start = threading.Event(), time.monotonic()
    progress = Progress(total, unit)

    def watch() -> None:
        pause = first
        while not done.wait(pause):
            with contextlib.suppress(OSError, ValueError):  # a stream that is closed or full
                (tell or _to_terminal)(f"{step}: {progress}{time.monotonic() - start:.0f} s so far")
            pause = max(later, (time.monotonic() - start) / 10)

    watcher = threading.Thread(target=watch, name="told_if_slow", daemon=True)
    watcher.start()
    try:
        yield progress
    finally:
        done.set()
        watcher.join()


def _to_terminal(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
