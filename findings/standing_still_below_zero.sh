#!/usr/bin/env bash
# torch 2.13.0: `ReduceLROnPlateau`, with a loss or a metric below zero.
#
# Guess: with `patience` 5 the learning rate falls after six epochs that are no better than the best, be it of 0.3 or of -0.3.
# Seen:  by default "better" is below best * (1 - 0.0001), and for a best of -0.3 that is -0.29997, above it: the same value is better each time,
#        and a slightly worse one too, which then is the best. A loss that stands at -0.3 for 40 epochs never lowers the rate, one that climbs
#        from -0.3 to -0.29922 neither; with 1 added to all values the rate is lowered 6 times. mode="max" does the same with values below zero:
#        log-likelihoods. threshold_mode="abs" is right for both.
# So:    whoever passes -ndcg in place of mode="max", or a diffusion model's bound, density or energy, trains with one rate to the end, and the
#        schedule of a table's row is not the one that it names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

EPOCHS = 40


def lowered(values, **options):
    """How often the rate fell, and what counts as the best at the end."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=5, **options)
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return sum(after < before for before, after in zip([1.0, *rates], rates)), scheduler.best


print("torch", torch.__version__)
assert torch.__version__.startswith("2.13.0")
cases = {
    "stands still": [-0.3] * EPOCHS,
    "gets worse by 0.00002 an epoch": [-0.3 + 0.00002 * epoch for epoch in range(EPOCHS)],
}
for name, values in cases.items():
    below, best = lowered(values)
    above, _ = lowered([value + 1 for value in values])
    absolute, kept = lowered(values, threshold_mode="abs")
    upwards, _ = lowered([-value for value in values], mode="max")
    likelihood, _ = lowered([-value - 2 for value in values], mode="max")
    print(f"a loss that {name}, from {values[0]} to {values[-1]:.5f}: lowered {below} times, its best is {best:.5f}; with 1 added {above} times; "
          f"threshold_mode='abs' {absolute} times, best {kept}")
    print(f"    mode='max': the metric, its negative, {upwards} times; the metric less 2 {likelihood} times")
    assert below == likelihood == 0
    assert above == absolute == upwards == 6
    assert best == values[-1] and kept == values[0]
PYTHON_SCRIPT
echo "as written"
