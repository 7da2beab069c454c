"""Files and folders that appear whole or not at all: written beside their name, synced, renamed.

A kill or a full disk leaves what was there before. A rename is atomic within one file system, hence the draft
is beside its target; the content is synced first, so that a power failure cannot leave the new name on empty
blocks. Two folders change places in one step where the system can do that.
"""

import contextlib
import ctypes
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from recbole_diffusion.errors import RunError, UsageError, refuse_address

logger = logging.getLogger(__name__)

ADVICE = "Free some space, or name another place"
HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux

# What a run folder holds beside its config.yaml, which no other command replaces.
OF_RUN = {
    *("config.yaml", "log.txt", "metrics.jsonl", "result.json", "user_metrics.npz"),
    *("best.pt", "checkpoint.pt"),
}


def output_file(given: Any, overwrite: bool) -> Path:
    """Return the file that a command is to write, checked before any long work.

    Raises:
        UsageError: it exists and ``overwrite`` is not given, it is a folder, its folder is missing, or it is
            a file that a run has made.
    """
    refuse_address("output", given)
    path = Path(str(given)).expanduser()
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; make it, or name another")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already; replace it with --overwrite, or name another file")
    if path.name in OF_RUN and (path.parent / "config.yaml").is_file():
        raise UsageError(f"{path} is a file of the run in {path.parent}, which is kept; name another file")
    _remove_left(path)
    return path


def output_folder(given: Any, overwrite: bool, mark: str) -> Path:
    """Return the folder that a command is to write; only a folder made by the same command is ever replaced.

    Args:
        given: the folder.
        overwrite: whether an earlier one may be replaced.
        mark: name of the file that marks a folder made by the command.

    Raises:
        UsageError: it is a file, is not empty and lacks ``mark``, or ``overwrite`` is not given.
    """
    refuse_address("output", given)
    path = Path(str(given)).expanduser()
    _remove_left(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return path
    if not path.is_dir():
        raise UsageError(f"{path} is a file; name a folder")
    if not (path / mark).is_file():
        raise UsageError(f"{path} holds other files (no {mark}) and is not replaced; name another folder")
    if not overwrite:
        raise UsageError(f"{path} is there already; replace it with --overwrite, or name another folder")
    return path


@contextlib.contextmanager
def whole(path: Path, advice: str = ADVICE) -> Iterator[Path]:
    """Yield a path beside ``path`` to write a file or folder to; it becomes ``path`` when the block ends.

    After an error nothing of it is left.

    Args:
        path: the file or folder to write; an earlier one is replaced.
        advice: the last sentence of the error message.

    Raises:
        RunError: the disk is full or not writable; the message says what is still there.
    """
    path = path.resolve() if path.is_dir() else path  # what a link to a folder leads to
    draft = _beside(path, "part")
    try:
        yield draft
        _sync(draft)
        _rename(draft, path)
    except OSError as error:
        kept = "the version before it is untouched" if path.exists() else "nothing was kept"
        raise RunError(f"cannot write {path}: {error}; {kept}. {advice}") from error
    finally:
        _remove(draft)


def write_whole(path: Path, write: Callable[[BinaryIO], Any], advice: str = ADVICE) -> None:
    """Write a file with a function of an open binary file; see :func:`whole`."""
    with whole(path, advice) as draft, draft.open("wb") as file:
        try:
            write(file)
        except RunError:
            raise
        except RuntimeError as error:  # by which torch.save reports a full disk, in words of its archive
            why = "a part could not be written, as on a full disk" if "pos" in str(error) else str(error)
            raise OSError(why) from error


def write_text(path: Path, text: str, advice: str = ADVICE) -> None:
    """Write a text file in UTF-8; see :func:`whole`."""
    write_whole(path, lambda file: file.write(text.encode()), advice)


@contextlib.contextmanager
def whole_set(folder: Path, advice: str = ADVICE, obsolete: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a folder for files that are those of ``folder`` when the block ends: all of them or none.

    Other files in ``folder`` stay: they are linked (copied where the file system has no links) into the new
    folder, which then takes its place as a whole. A set of files that were renamed one by one would be a
    mixture of two sets after a kill.

    Args:
        folder: the folder; created if missing.
        advice: the last sentence of the error message.
        obsolete: patterns of files in ``folder`` that belong to an earlier set, and go with it.

    Raises:
        RunError: the disk is full or not writable.
    """
    _remove_left(folder)
    with whole(folder, advice) as draft:
        draft.mkdir(parents=True)
        yield draft
        if folder.is_dir():
            shutil.copymode(folder, draft)
            gone = {old for pattern in obsolete for old in folder.glob(pattern)}
            for old in folder.iterdir():
                if old in gone or (draft / old.name).exists():
                    continue
                if old.is_dir() and not old.is_symlink():
                    shutil.copytree(old, draft / old.name, symlinks=True, copy_function=_link)
                else:
                    _link(old, draft / old.name)


def _link(old: Any, new: Any) -> None:
    """Give a file a second name, or copy it where that is not possible."""
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def _sync(draft: Path) -> None:
    """Write a file, or the new files of a folder, through to the disk."""
    files = [one for one in draft.rglob("*") if one.is_file()] if draft.is_dir() else [draft]
    for file in files:
        if file.stat().st_nlink > 1:  # linked from an earlier folder, see whole_set
            continue
        with file.open("rb" if os.name == "posix" else "r+b") as stream:
            os.fsync(stream.fileno())


def _rename(draft: Path, path: Path) -> None:
    """Give the draft its name; a folder there before is removed.

    Where two folders cannot change places in one step, a kill between two renames leaves no folder of that
    name, and the one before it beside, as ``.NAME.PID.old``.
    """
    if not path.is_dir() or path.is_symlink():
        draft.replace(path)
        return
    if _exchange(draft, path):
        shutil.rmtree(draft)
        return
    old = _beside(path, "old")
    path.rename(old)
    try:
        draft.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change their names in one step; return whether the system can do that."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, TypeError, AttributeError):  # not Linux
        return False
    return rename(HERE, os.fsencode(one), HERE, os.fsencode(other), EXCHANGE) == 0


def _remove_left(path: Path) -> None:
    """Remove what a killed process has left beside the output of a command.

    Not part of :func:`whole`: a file that several machines write, such as a stage in a cache, may have the
    draft of a process that is alive on another one.
    """
    path = path.resolve() if path.is_dir() else path  # as in :func:`whole`
    prefix, ending = f".{path.name}.", ".part"
    if os.name != "posix" or not os.access(path.parent, os.R_OK | os.X_OK):  # elsewhere 0 is a signal
        return
    for draft in list(path.parent.iterdir()):
        number = draft.name.removeprefix(prefix).removesuffix(ending)
        if draft.name != f"{prefix}{number}{ending}" or not (number.isascii() and number.isdigit()):
            continue
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            logger.warning("%s is removed, which a process that was killed has left", draft)
            _remove(draft)
        except (OSError, OverflowError):  # another user's, or no number of a process
            continue


def _remove(draft: Path) -> None:
    """Remove a draft, if it is still there and its folder lets us."""
    with contextlib.suppress(OSError):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
