"""A lock with which a process keeps others out of a folder; it ends with its process, even a killed one."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def locked(file: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock ``file`` while the block runs.

    On a file system without locks it warns, and the block runs.

    Args:
        file: the file to lock; it is created, and stays.
        patience: seconds to wait for another process to end.

    Raises:
        TimeoutError: another process still holds the lock after ``patience`` seconds.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience, poll_interval=0.2)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        logging.getLogger(__name__).warning(
            "%s cannot be locked (%s): make sure that no other process works in this folder", file, error
        )
    try:
        yield
    finally:
        lock.release()
