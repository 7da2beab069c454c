#!/usr/bin/env bash
# torch 2.13.0: Adam and an embedding row (a rare item) that gets one gradient.
#
# Guess: a step of Adam is about lr, so one gradient moves the row by about lr in all: its momentum goes on for ten steps or so, and sums to
#        what one plain step would be. A gradient ten thousand times smaller moves less.
# Seen:  the row goes on moving for as long as it gets no other gradient, and what it moves depends on when the gradient comes: 6 lr if in
#        step 1, 10 lr in step 100, 32 lr in step 5,000, since the average of squares has forgotten less than the momentum, and the start
#        correction is gone. The gradient's size makes no difference. SparseAdam stops after the step: 3.2 lr, a tenth.
# So:    an item with one row an epoch jumps by thirty learning rates where an item in each batch moves by one a step, whether its pair was
#        wrong or nearly right: tail items are the noisiest of the table, later batches count more, and smaller batches (more steps between two
#        rows) move the tail further. A switch from Adam to SparseAdam for speed is another model in the tail.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import math

import torch

LR, AFTER, BETAS, EPS = 0.001, 400, (0.9, 0.999), 1e-8


def moved(kind, step, size):
    """How far, in learning rates, the rare row is after its gradient of this size in this step, and after AFTER steps more."""
    table = torch.nn.Embedding(2, 1, sparse=kind is torch.optim.SparseAdam, dtype=torch.float64)
    torch.nn.init.zeros_(table.weight)
    optimizer = kind(table.parameters(), lr=LR, betas=BETAS, eps=EPS)
    at_once = 0.0
    for now in range(1, step + AFTER + 1):
        optimizer.zero_grad()
        rows = torch.tensor([0, 1] if now == step else [0])  # row 0 is in every batch, row 1 in one
        (size * table(rows)).sum().backward()
        optimizer.step()
        if now == step:
            at_once = -float(table.weight.detach()[1]) / LR
    return at_once, -float(table.weight.detach()[1]) / LR


def by_hand(step, size):
    """Adam's own formulas for one number whose gradient is `size` in one step and 0 in all others."""
    mean = square = place = 0.0
    for now in range(1, step + AFTER + 1):
        gradient = size if now == step else 0.0
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
        place += (mean / (1 - BETAS[0] ** now)) / (math.sqrt(square / (1 - BETAS[1] ** now)) + EPS)
    return place


print("torch", torch.__version__.split("+")[0], "moved in learning rates: in the step itself, and in all")
assert torch.__version__.split("+")[0] == "2.13.0"
total = {}
for kind in (torch.optim.Adam, torch.optim.SparseAdam):
    for step in (1, 100, 5000):
        for size in (1.0, 1e-4):
            at_once, total[kind, step, size] = moved(kind, step, size)
            print(f"{kind.__name__:10} gradient {size:6g} in step {step:4}: {at_once:6.2f} {total[kind, step, size]:6.2f}")
            if kind is torch.optim.Adam:
                assert abs(total[kind, step, size] - by_hand(step, size)) < 1e-6
            else:
                assert total[kind, step, size] == at_once
for size in (1.0, 1e-4):
    assert [round(total[torch.optim.Adam, step, size]) for step in (1, 100, 5000)] == [6, 10, 32]
    assert [round(total[torch.optim.SparseAdam, step, size]) for step in (1, 100, 5000)] == [1, 1, 3]
PYTHON_SCRIPT
echo "as written"
