"""A run that dies at a chosen moment, for ``test_resume``: ``python killed_run.py HOW NUMBER WORDS...``.

HOW is what happens at the given call: ``training`` kills the process in the middle of an epoch, ``saving`` in
the middle of writing a checkpoint, ``full`` makes every later write beyond 2,000 bytes fail, as a full disk
does.
"""

import os
import resource
import signal
import sys

import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.model.rows.tvdiff import TVDiff

how, number, words = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sys.argv = sys.argv[:1]
calls = 0


def at_the_call(original, what):
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


if how == "training":
    TVDiff.calculate_loss = at_the_call(TVDiff.calculate_loss, die)
else:
    torch.save = at_the_call(torch.save, {"saving": die_half_way, "full": fill_the_disk}[how])
sys.exit(cli.main(words))
