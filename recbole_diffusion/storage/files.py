"""Outputs that are whole or not there: written beside their name and renamed, never over something unasked."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from recbole_diffusion.errors import RunError, UsageError


def free_place(path: Path, overwrite: bool) -> None:
    """Check that a file can be made, before anything long begins.

    Raises:
        UsageError: it is there already and ``overwrite`` is not given, it is a folder, or its folder is
            missing.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; make it, or name another")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already; replace it with --overwrite, or name another file")


def free_folder(path: Path, overwrite: bool, mark: str) -> None:
    """Check that a folder can be made or replaced; one that this command did not make, by its file ``mark``, is never replaced.

    Raises:
        UsageError: it is a file, or holds something and ``overwrite`` is not given or ``mark`` is not in it.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise UsageError(f"{path} is a file; name a folder")
    if not (path / mark).is_file():
        raise UsageError(f"{path} holds other files (no {mark}) and is not replaced; name another folder")
    if not overwrite:
        raise UsageError(f"{path} is there already; replace it with --overwrite, or name another folder")


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write a file or folder to, renamed to ``path`` at the end; after an error nothing stays.

    Raises:
        RunError: the disk is full or not writable.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        if path.is_dir():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            try:
                draft.rename(path)
            except OSError:
                old.rename(path)
                raise
            shutil.rmtree(old)
        else:
            draft.replace(path)
    except OSError as error:
        kept = f"{path} is as it was" if path.exists() else "nothing was kept"
        raise RunError(
            f"cannot write {path}: {error}; {kept}. Free some space, or name another place"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True) if draft.is_dir() else draft.unlink(missing_ok=True)


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file of lines, whole."""
    with whole(path) as draft:
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
