"""Lines about a step that takes longer than expected, from a second thread: nothing is silent for long."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

LOADING = "loading PyTorch and RecBole"
FIRST, LATER = 1.5, 2.0  # seconds before the first line, and between two


@contextlib.contextmanager
def told_if_slow(
    step: str, tell: Callable[[str], object] | None = None, first: float = FIRST, later: float = LATER
) -> Iterator[None]:
    """Tell what goes on in the block, and for how long by now, if that takes more than a moment.

    Args:
        step: what the block does, such as "loading the data set".
        tell: gets each line; by default it is written to standard error.
        first: seconds before the first line.
        later: seconds between two lines, more when the block takes long.
    """
    done, start = threading.Event(), time.monotonic()

    def watch() -> None:
        pause = first
        while not done.wait(pause):
            with contextlib.suppress(OSError, ValueError):  # a stream that is closed or full
                (tell or _to_terminal)(f"{step}: {time.monotonic() - start:.0f} s so far")
            pause = max(later, (time.monotonic() - start) / 10)

    watcher = threading.Thread(target=watch, name="told_if_slow", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _to_terminal(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
