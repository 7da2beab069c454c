"""Log lines about the progress of an epoch: how long one takes, and how far it is."""

import sys
import time
from collections.abc import Iterator
from logging import Logger
from typing import Any

from tqdm import tqdm

SECONDS = 5.0  # between two lines; a tenth of the time so far where that is longer
WARM, LONG = 3.0, 20.0  # seconds of batches that an estimate is made from; an epoch that is worth one


class Heartbeat:
    """A wrapper of a loader that logs, in an epoch that takes long, how long it takes and how far it is.

    Args:
        loader: a training loader; every other attribute is the loader's.
        epoch: number of the epoch, for the line.
        logger: where the line goes.
        counts: log the number of batches so far, every few seconds; a progress bar shows it too.
        estimates: log once how long the epoch will take, from its first batches.
    """

    def __init__(
        self, loader: Any, epoch: int, logger: Logger, counts: bool = True, estimates: bool = False
    ) -> None:
        self.loader, self.epoch, self.logger = loader, epoch, logger
        self.counts, self.estimates = counts, estimates

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the loader's batches."""
        last = start = begin = time.monotonic()
        for number, batch in enumerate(self.loader, start=1):
            yield batch
            now = time.monotonic()
            if number == 1:
                start, first = now, now - start  # the first batch also warms up
            elif self.estimates and now - start >= WARM:
                self.estimates = False
                self._tell_estimate(first + (now - start) / (number - 1) * (len(self.loader) - 1))
            if self.counts and now - last >= max(SECONDS, (now - begin) / 10):
                self.logger.info("epoch %d: %d of %d batches", self.epoch, number, len(self.loader))
                last = now

    def _tell_estimate(self, seconds: float) -> None:
        if seconds < LONG:
            return
        with tqdm.external_write_mode(sys.stderr):  # off the line of a progress bar
            self.logger.info(
                "epoch %d: about %s (%s batches)", self.epoch, duration(seconds), f"{len(self):,}"
            )


def duration(seconds: float) -> str:
    """Return a rough length of time in the unit that a person would take: ``40 s``, ``3 min``, ``2.5 h``."""
    for unit, size, most in (("s", 1.0, 90.0), ("min", 60.0, 90 * 60.0), ("h", 3600.0, 48 * 3600.0)):
        if seconds < most:
            number = seconds / size
            return f"{number:.0f} {unit}" if number >= 10 or unit == "s" else f"{number:.1f} {unit}"
    return f"{seconds / 86400:.1f} days"
