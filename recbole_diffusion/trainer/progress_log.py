"""Log lines about the progress of an epoch that has no progress bar."""

import time
from collections.abc import Iterator
from logging import Logger
from typing import Any

SECONDS = 60.0  # between two lines


class Heartbeat:
    """A wrapper of a loader that logs the number of batches so far, at most once a minute.

    Args:
        loader: a training loader; every other attribute is the loader's.
        epoch: number of the epoch, for the line.
        logger: where the line goes.
    """

    def __init__(self, loader: Any, epoch: int, logger: Logger) -> None:
        self.loader, self.epoch, self.logger = loader, epoch, logger

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the loader's batches."""
        last = time.monotonic()
        for number, batch in enumerate(self.loader, start=1):
            yield batch
            if time.monotonic() - last >= SECONDS:
                self.logger.info("epoch %d: %d of %d batches", self.epoch, number, len(self.loader))
                last = time.monotonic()
