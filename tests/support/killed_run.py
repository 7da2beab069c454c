"""A run that dies at a chosen moment, for ``test_resume``, in a process of its own.

The process is forked from a server that has loaded this module, torch and the package once: a new interpreter
would spend most of its time on that.
"""

import multiprocessing
import os
import resource
import signal
import sys
from pathlib import Path

import pytest
import torch
import torch._dynamo  # loaded by the first optimizer: here once, not in each process

from recbole_diffusion import quick_start  # noqa: F401  # what a run loads, loaded before the fork
from recbole_diffusion.cli import main as cli
from recbole_diffusion.model.rows.tvdiff import TVDiff

calls = 0


def at_the_call(number, original, what):
    """Return ``original`` that does ``what`` first, at the chosen call."""

    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == number:
            what(*args)
        return original(*args, **kwargs)

    return wrapped


def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)


def die_half_way(state, file):
    file.write(b"PK half of a checkpoint")
    file.flush()
    die()


def fill_the_disk(*args):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _run(how, number, words, threads, errors):
    """What the process does; its standard error goes to the file ``errors``."""
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), sys.stderr.fileno())
    sys.argv = ["pytest"]
    torch.set_num_threads(threads)
    if how == "training":
        TVDiff.calculate_loss = at_the_call(number, TVDiff.calculate_loss, die)
    else:
        torch.save = at_the_call(number, torch.save, {"saving": die_half_way, "full": fill_the_disk}[how])
    sys.exit(cli.main(words))


def killed(how: str, number: int, words: list[str], errors: Path) -> tuple[int, str]:
    """Run a command line that dies, and return its exit code and what it wrote to standard error.

    Args:
        how: what happens at the given call: ``training`` kills the process in the middle of an epoch,
            ``saving`` in the middle of writing a checkpoint, ``full`` makes every later write beyond 2,000
            bytes fail, as a full disk does.
        number: the call, from 1.
        words: the command line.
        errors: a file that does not exist.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    # Equal sums need an equal number of threads.
    process = server.Process(target=_run, args=(how, number, words, torch.get_num_threads(), str(errors)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Python 3.11's server has no other path
        process.start()
    process.join()
    return process.exitcode, errors.read_text()
