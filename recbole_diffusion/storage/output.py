"""Where a command writes: refused where something is already, and whole or not at all."""

from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage.run_folder import write_whole


def output_file(given: Any, overwrite: bool) -> Path:
    """Return the file to write.

    Raises:
        UsageError: it is there already, or its folder is not.
    """
    path = Path(str(given)).expanduser()
    if path.is_dir():
        raise UsageError(f"--output={path} is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already; name another --output, or add --overwrite")
    if not path.parent.is_dir():
        raise UsageError(
            f"no folder {path.parent} to write {path.name} in; make it, or name another --output"
        )
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        RunError: the disk is full or not writable.
    """
    try:
        write_whole(path, lambda file: file.write(text.encode()))
    except RunError as error:
        raise RunError(
            f"cannot write {path}: {error.__cause__}; nothing was kept. Free some space or name another file"
        ) from error
