"""TensorBoard's file of a run: a disk that is full ends neither the run nor its thread with a trace.

TensorBoard writes in a thread of its own. There an error prints its trace, and is raised once more in the
training loop by the next call.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class EventFile:
    """The methods of a ``SummaryWriter`` that RecBole's trainer calls.

    After the first record that cannot be written, a warning says so and the rest is left out, as in the log.

    Args:
        folder: the folder of the event files, created if missing.

    Raises:
        OSError: the file cannot be begun: the first checkpoint would not fit either.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._errors = folder, list[OSError]()
        with self._noting_errors():
            self._writer = SummaryWriter(str(folder))
        if self._errors:
            self._writer.close()
            error = self._errors[0]
            raise OSError(error.errno, error.strerror, str(folder)) from error

    def add_scalar(self, *arguments: Any) -> None:
        """Write a value of an epoch."""
        self._call("add_scalar", *arguments)

    def add_hparams(self, *arguments: Any) -> None:
        """Write options and result, in a file of their own."""
        self._call("add_hparams", *arguments)

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._call("close")

    def _call(self, name: str, *arguments: Any) -> None:
        lost = bool(self._errors)
        if lost and name != "close":
            return
        with self._noting_errors():
            try:
                getattr(self._writer, name)(*arguments)
            except OSError as error:
                self._errors.append(error)
        if self._errors and not lost:
            logging.getLogger().warning(
                "%s cannot be written (%s): the rest is left out", self._folder, self._errors[0].strerror
            )

    @contextlib.contextmanager
    def _noting_errors(self) -> Iterator[None]:
        """Let files that are opened in the block note errors, and write nothing after one."""
        from tensorboard.summary.writer import event_file_writer

        original, errors = event_file_writer.RecordWriter, self._errors

        def noted(method: Any) -> Any:
            def call(*arguments: Any) -> None:
                try:
                    if not errors:
                        method(*arguments)
                except OSError as error:
                    errors.append(error)

            return call

        def guarded(file: Any) -> Any:
            records = original(file)
            for name in ("write", "flush", "close"):
                setattr(records, name, noted(getattr(records, name)))
            return records

        event_file_writer.RecordWriter = guarded
        try:
            yield
        finally:
            event_file_writer.RecordWriter = original
