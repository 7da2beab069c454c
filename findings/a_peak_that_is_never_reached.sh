#!/usr/bin/env bash
# timm 1.0.31: `CosineLRScheduler` with warmup, and `create_scheduler_v2(sched="cosine", warmup_epochs=...)`.
#
# Guess: the rate climbs to the optimizer's `lr` in the epochs of the warmup and falls from there along a cosine, as with SequentialLR in torch.
# Seen:  the cosine runs from epoch 0 on, and the warmup hides its beginning: of 20 epochs the greatest rate is 0.85 of `lr` with 5 epochs of warmup, and
#        with 10 the rate climbs to 0.90 and is 0.50 one epoch later. "poly" and "tanh" do the same; "step" starts where the warmup ends. With
#        `warmup_prefix=True`, the default of the "step" and "multistep" classes, the peak is `lr`, and the warmup comes on top of the 20 epochs.
# So:    a search over the number of warmup epochs is one over the greatest rate too. Give `warmup_prefix=True` and take the warmup from the epochs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4
# Without its dependencies: the package's first lines ask for torchvision, whose build of the index does not fit this torch; the schedules do without.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps timm==1.0.31
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import importlib.util
import sys
import types
from importlib.metadata import version

import torch

bare = types.ModuleType("timm")
bare.__path__ = list(importlib.util.find_spec("timm").submodule_search_locations)
sys.modules["timm"] = bare
from timm.scheduler import create_scheduler_v2

print("timm", version("timm"), "torch", torch.__version__.split("+")[0])
assert version("timm") == "1.0.31"


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def rates(kind, warmup, **options):
    """The rate in each epoch, as a training loop has it that steps after each one."""
    updated = optimizer()
    scheduler, epochs = create_scheduler_v2(updated, sched=kind, num_epochs=20, warmup_epochs=warmup, **options)
    row = []
    for epoch in range(epochs):
        row.append(updated.param_groups[0]["lr"])
        scheduler.step(epoch + 1)
    return row


def in_torch(warmup):
    updated = optimizer()
    scheduler = torch.optim.lr_scheduler.SequentialLR(updated, [
        torch.optim.lr_scheduler.LinearLR(updated, 1e-6, 1.0, warmup),
        torch.optim.lr_scheduler.CosineAnnealingLR(updated, 20 - warmup),
    ], [warmup])
    row = []
    for _ in range(20):
        row.append(updated.param_groups[0]["lr"])
        updated.step()
        scheduler.step()
    return row


written = lambda row: " ".join(f"{rate:.2f}" for rate in row)
peaks = {}
for warmup in (1, 5, 10):
    for kind in ("cosine", "poly", "tanh", "step"):
        peaks[kind, warmup] = max(rates(kind, warmup))
    peaks["torch", warmup] = max(in_torch(warmup))
    row = rates("cosine", warmup)
    print(f"{warmup} epochs of warmup, cosine: {written(row)}")
    print("  greatest rate: " + ", ".join(f"{kind} {peak:.2f}" for (kind, of), peak in peaks.items() if of == warmup))
prefixed = rates("cosine", 5, warmup_prefix=True)
print(f"warmup_prefix=True, 5 epochs of warmup, {len(prefixed)} epochs: {written(prefixed)}")
row = rates("cosine", 10)
assert 0.84 < peaks["cosine", 5] < 0.86 and row[9] == max(row) and abs(row[10] - 0.5) < 1e-6 and row[9] > 0.89
assert all(abs(peaks[kind, warmup] - 1) < 1e-6 for kind in ("torch", "step") for warmup in (1, 5, 10))
assert max(prefixed) == 1 and len(prefixed) == 25
PYTHON_SCRIPT
echo "as written"
