#!/usr/bin/env bash
# torch 2.13.0: `CosineAnnealingLR` of a run that is resumed for more epochs than it was begun with.
#
# Guess: the scheduler is made anew with T_max=40, and the state tells it only that 20 epochs are over: the rate falls on to 0 at epoch 40.
# Seen:  the state holds T_max too, and load_state_dict puts the 20 back: the rate climbs from 0 to 1 through all the epochs that were added, and
#        the model is saved at its highest. With T_max set to 40 after loading it is 0 in each of them, as it is computed from the last one.
#        LinearLR stays at its end factor.
# So:    "20 epochs more make it worse" is about the rate. Choose the length before the first epoch; else make a new scheduler for the rest,
#        without the old state, and set the rate in the optimizer (its state has the old one).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

FIRST, MORE = 20, 20

print("torch", version("torch"), f"{FIRST} epochs, then {MORE} more from the saved state")
assert version("torch").split("+")[0] == "2.13.0"


def cosine(optimizer, epochs):
    return CosineAnnealingLR(optimizer, T_max=epochs)


def linear(optimizer, epochs):
    return LinearLR(optimizer, start_factor=1.0, end_factor=0.01, total_iters=epochs)


def pair(kind, epochs):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return optimizer, kind(optimizer, epochs)


def rates(optimizer, scheduler, epochs):
    """The learning rate of each epoch."""
    found = []
    for _ in range(epochs):
        found.append(round(optimizer.param_groups[0]["lr"], 3))
        optimizer.step()
        scheduler.step()
    return found


for kind, length in ((cosine, "T_max"), (linear, "total_iters")):
    first, scheduler = pair(kind, FIRST)
    rates(first, scheduler, FIRST)
    saved = first.state_dict(), scheduler.state_dict()
    whole = rates(*pair(kind, FIRST + MORE), FIRST + MORE)[FIRST:]
    found = {}
    for by_hand in (False, True):
        optimizer, scheduler = pair(kind, FIRST + MORE)
        optimizer.load_state_dict(saved[0])
        scheduler.load_state_dict(saved[1])
        assert getattr(scheduler, length) == FIRST
        if by_hand:
            setattr(scheduler, length, FIRST + MORE)
        found[by_hand] = rates(optimizer, scheduler, MORE)
    print(f"{kind.__name__}: a run of {FIRST + MORE} has {whole[::4]} from epoch {FIRST} on, the resumed one {found[False][::4]}, "
          f"with {length} set again {found[True][::4]}")
    assert whole == sorted(whole, reverse=True) and 0.45 < whole[0] < 0.55
    if kind is cosine:
        assert found[False] == sorted(found[False]) and found[False][0] == 0 and found[False][-1] > 0.99
        assert set(found[True]) == {0.0}
    else:
        assert set(found[False]) == {0.01} and max(found[True]) <= 0.01
PYTHON_SCRIPT
echo "as written"
