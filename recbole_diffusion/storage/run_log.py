"""Logging of one run, to its folder and to the terminal; the handlers are removed when the run ends."""

import contextlib
import logging
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

COLOURS = re.compile(r"\x1B(?:[@-Z\\-_]|\[[0-?]*[ -/]*[@-~])")

SHOWN = "shown_before"  # mark of records for the file alone


class _Plain(logging.Formatter):
    """A formatter that removes the colour codes of RecBole's messages."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without colours."""
        return COLOURS.sub("", super().format(record))


class _File(logging.FileHandler):
    """A log file that cannot stop the run.

    On a full disk its lines are lost, and the next checkpoint reports the error.
    """

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error."""

    def close(self) -> None:
        """Close the file, even if its last lines cannot be written."""
        with contextlib.suppress(OSError):
            super().close()


class _Keeping(logging.Handler):
    """Keeps the texts of warnings; shows them too where no other handler would."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of a record."""
        self.texts.append(record.getMessage())
        if logging.getLogger().handlers == [self] and logging.lastResort is not None:
            logging.lastResort.handle(record)


@contextlib.contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Yield a list of the warnings that are logged while the block runs, for the logs of other runs."""
    root, keeping = logging.getLogger(), _Keeping()
    root.addHandler(keeping)
    try:
        yield keeping.texts
    finally:
        root.removeHandler(keeping)


def log_again(texts: Iterable[str]) -> None:
    """Write warnings into the run's log, and not to the terminal, which has shown them before."""
    for text in texts:
        logging.getLogger().warning("%s", text, extra={SHOWN: True})


@contextlib.contextmanager
def logging_to(file: Path, level: str = "INFO") -> Iterator[logging.Logger]:
    """Send the root logger, which RecBole uses, to ``file`` and to standard error while the block runs.

    The trace of an error goes to ``file`` only. RecBole's ``init_logger`` is not used: it calls
    ``logging.basicConfig``, so that a second run in one process would log to the file of the first.
    """
    root = logging.getLogger()
    before = root.level
    text = "%(asctime)s %(levelname)-7s %(message)s"
    to_file, to_terminal = _File(file, encoding="utf-8"), logging.StreamHandler(sys.stderr)
    to_file.setFormatter(_Plain(text, "%Y-%m-%d %H:%M:%S"))
    to_terminal.setFormatter((logging.Formatter if sys.stderr.isatty() else _Plain)(text, "%H:%M:%S"))
    to_terminal.addFilter(lambda record: not hasattr(record, SHOWN))
    root.addHandler(to_file)
    root.addHandler(to_terminal)
    root.setLevel(level)
    try:
        yield root
    except BaseException:
        # The caller informs the user; the trace is for a bug report.
        to_file.handle(
            root.makeRecord(root.name, logging.ERROR, __file__, 0, "the run stopped", (), sys.exc_info())
        )
        raise
    finally:
        for handler in (to_file, to_terminal):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(before)
