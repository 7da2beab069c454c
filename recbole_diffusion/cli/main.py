"""The command line: ``recbole-diffusion [train|tune|...] --model=TVDiff --dataset=ml-100k --key=value``."""

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from recbole_diffusion import registry
from recbole_diffusion.cli.commands import COMMANDS
from recbole_diffusion.errors import Interrupted, RunError, UsageError, command_line, did_you_mean

USAGE, FAILED, INTERRUPTED = 2, 1, 130
# Errors of a disk that is full, or that does not let us.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return 0, or 2 for a wrong request, 1 for a failed run, 130 for Ctrl-C.

    Args:
        argv: the arguments; None for those of the process, which ends with this call.
    """
    # Before torch is loaded: threads that spin while they wait slow each other down when cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _replace_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    code = _exit_code([one for one in arguments if one != "--debug"], debug)
    if argv is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt
        # Garbage collection at the end of the process would take longer than ranking 10,000 users.
        gc.freeze()
    return code


def _replace_closed_streams() -> None:
    """Open closed standard streams on the null device: else the next file gets a stream's number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _exit_code(argv: list[str], debug: bool) -> int:
    """Run a command line; print an error in one line."""
    try:
        code = dispatch(argv)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _told(error, USAGE, debug)
    except RunError as error:
        return _told(error, FAILED, debug)
    except Interrupted as interrupt:
        command = ["tune"] if argv[:1] == ["tune"] else []
        resume = command_line(*command, f"--resume={interrupt.folder}")
        return _say(f"interrupted; continue with {resume}", INTERRUPTED)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # So that Python's flush at exit is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except MemoryError as error:
        text = f"out of memory: {error}; a smaller eval_batch_size or train_batch_size needs less"
        return _told(RunError(text), FAILED, debug)
    except Exception as error:
        if _caused_by_interrupt(error):
            return _say("interrupted", INTERRUPTED)
        if isinstance(error, OSError) and error.errno in DISK:
            what = "read or write" if error.errno in (errno.EACCES, errno.EPERM) else "write"
            text = f"cannot {what} {error.filename or 'the output'}: {error.strerror}"
            return _told(RunError(text), FAILED, debug)
        if debug:
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno}). Add --debug for the trace"
        return _told(RunError(text), FAILED, debug)


def _told(error: Exception, code: int, debug: bool) -> int:
    """Write an error as one line, after its trace with ``debug``; return the code."""
    if debug:
        traceback.print_exception(error)
    return _say(f"error: {' '.join(str(error).split())}", code)


def _say(line: str, code: int) -> int:
    """Write a line to standard error, unless that is full or gone; return the code."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    return code


def _caused_by_interrupt(error: BaseException | None) -> bool:
    """Return whether an error is what an import made of Ctrl-C."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def dispatch(argv: Sequence[str]) -> int:
    """Pass the arguments to their command; without one, to ``train``.

    Raises:
        UsageError: unknown command.
    """
    name, rest = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else ("train", argv)
    if name not in COMMANDS:
        raise UsageError(
            f"unknown command {name!r}{did_you_mean(name, COMMANDS)}; there are {', '.join(COMMANDS)}"
        )
    path, _ = COMMANDS[name]
    return registry.resolve(path)(rest)
