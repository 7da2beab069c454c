"""Where TensorBoard events go: RecBole's trainers write to the working directory, ours into the run folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import recbole.trainer.trainer as recbole_trainer


@contextlib.contextmanager
def tensorboard_in(folder: Path) -> Iterator[None]:
    """Send the event files of a trainer that is built inside to ``folder``; RecBole writes to the working directory."""
    original = recbole_trainer.get_tensorboard
    recbole_trainer.get_tensorboard = lambda logger: _writer(folder)  # noqa: ARG005
    try:
        yield
    finally:
        recbole_trainer.get_tensorboard = original


def _writer(folder: Path) -> Any:
    """Return a TensorBoard writer that writes to ``folder``."""
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))
