#!/usr/bin/env bash
# torch 2.13.0: weight_decay of Adam, and embedding rows (items) that are in no batch for a while.
#
# Guess: weight_decay adds wd * weight to the gradient, so a row without a row in the batches shrinks by lr * wd a step: with 1e-3 and 1e-6 not
#        at all; and a decay ten thousand times stronger shrinks it ten thousand times faster.
# Seen:  the decay is all that the row's gradient has, and Adam divides a gradient by its own size: the row shrinks by about lr a step, whatever
#        wd is. From 0.1 it is at 0.022 after 100 steps and at 0.000 after 400, with 1e-2, 1e-4 and 1e-6; an item in each batch stays. Only where
#        wd * weight is near eps, at 1e-8, does it last. AdamW keeps 0.1.
# So:    L2 of any size in Adam, common in recommenders' configurations, wipes out the rows of items that come once in some hundred batches, and a
#        search over weight_decay finds no difference from 1e-6 up, in the tail. Use AdamW, or a penalty of the rows in the batch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import torch

LR, START, STEPS = 1e-3, 0.1, (100, 400)


def rows_after(kind, decay):
    """The weights of an item in each batch and of one in none, after each number of steps; the gradient's sign changes from batch to batch."""
    table = torch.nn.Embedding(2, 1, dtype=torch.float64)
    torch.nn.init.constant_(table.weight, START)
    optimizer = kind(table.parameters(), lr=LR, weight_decay=decay)
    found = {}
    for step in range(1, max(STEPS) + 1):
        optimizer.zero_grad()
        ((-1) ** step * table(torch.tensor([0]))).sum().backward()
        optimizer.step()
        if step in STEPS:
            found[step] = table.weight.detach().flatten().tolist()
    return found


def by_hand(decay, steps, eps=1e-8):
    """Adam's own formulas for one number whose gradient is decay * itself."""
    place, mean, square = START, 0.0, 0.0
    for step in range(1, steps + 1):
        gradient = decay * place
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        place -= LR * mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)) ** 0.5 + eps)
    return place


print("torch", torch.__version__.split("+")[0], f"lr {LR}, all rows {START} at first")
assert torch.__version__.split("+")[0] == "2.13.0"
for kind in (torch.optim.Adam, torch.optim.AdamW):
    for decay in (1e-2, 1e-4, 1e-6, 1e-8):
        found = rows_after(kind, decay)
        print(f"{kind.__name__:5} weight_decay {decay:g}: " + ", ".join(
            f"after {step} steps {row[0]:.3f} in each batch, {row[1]:.3f} in none" for step, row in found.items()))
        for step in STEPS:
            assert abs(found[step][0] - START) < 0.005
            if kind is torch.optim.Adam:
                assert abs(found[step][1] - by_hand(decay, step)) < 1e-9
            else:
                assert abs(found[step][1] - START * (1 - LR * decay) ** step) < 1e-9
        if kind is torch.optim.Adam and decay >= 1e-6:
            assert 0.02 < found[100][1] < 0.03 and abs(found[400][1]) < 1e-3
        else:
            assert found[400][1] > 0.06
PYTHON_SCRIPT
echo "as written"
