#!/usr/bin/env bash
# accelerate 1.15.0: a learning rate schedule counted in batches, `gradient_accumulation_steps=4`, `adjust_scheduler=True`, the default ("should be True
# if the used scheduler was not adjusted for gradient accumulation").
#
# Guess: the option does what it says: a schedule of 200 batches has come to its end after 200 batches, with 4 batches a step as with 1.
# Seen:  of four calls of `scheduler.step()` three only count up `_step_count`, which a schedule does not read. The rate is where step 50 of 200 has it,
#        0.75 in place of 0, with the option on or off; a schedule made for 50 steps ends at 0 with both.
# So:    who turns accumulation on for a larger batch trains without the end of the schedule, which is most of what a cosine or a linear one is for.
#        Divide its length by the batches of a step.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 accelerate==1.15.0 numpy==2.4.6
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import GradientAccumulationPlugin

print("accelerate", version("accelerate"), "torch", torch.__version__.split("+")[0])
assert version("accelerate") == "1.15.0"
EPOCHS, BATCHES = 5, 40


def rates(accumulated, adjust, length):
    """The learning rate at the end of each epoch, with a schedule from 1 to 0 over `length` steps."""
    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    plugin = GradientAccumulationPlugin(num_steps=accumulated, adjust_scheduler=adjust)
    accelerator = Accelerator(cpu=True, gradient_accumulation_plugin=plugin)
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=length)
    loader = torch.utils.data.DataLoader(torch.zeros(2 * BATCHES, 1), batch_size=2)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    seen = []
    for _ in range(EPOCHS):
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(batch).sum())
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
        seen.append(round(scheduler.get_last_lr()[0], 3))
    return seen


assert GradientAccumulationPlugin(num_steps=4).adjust_scheduler
for accumulated, adjust, length, end in (
    (1, True, EPOCHS * BATCHES, 0.0),
    (4, True, EPOCHS * BATCHES, 0.75),
    (4, False, EPOCHS * BATCHES, 0.75),
    (4, True, EPOCHS * BATCHES // 4, 0.0),
    (4, False, EPOCHS * BATCHES // 4, 0.0),
):
    seen = rates(accumulated, adjust, length)
    print(f"{accumulated} batch(es) a step, adjust_scheduler={adjust}, a schedule of {length}: rates after each epoch {seen}")
    assert seen[-1] == end
PYTHON_SCRIPT
echo "as written"
