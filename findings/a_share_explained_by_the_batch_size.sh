#!/usr/bin/env bash
# torchmetrics 1.9.0: `R2Score`, `ExplainedVariance` and `RelativeSquaredError` of targets far from 0: years, days, seconds.
#
# Guess: the share of the variance that is explained does not change when a constant is taken from targets and predictions, nor with the batch size.
# Seen:  for days from their mean all three are right, R2 0.755. For the same days since 1970 R2 is 0.97 in batches of 64, 0.81 in batches of 1,000 and 0.74
#        at once, for hours 1.22, 0.89 and 0.86, for seconds 0.33 and 0.66. A relative squared error of 0.245 is 0.03 in days, and 2e15 in hours, in batches
#        of 64. The predictions themselves are right to 7 digits, and `PearsonCorrCoef` of the module has 0.898 for all of them.
# So:    the variance is the difference of two sums of squares in float32. Take the mean of the training part from both before, or use scikit-learn.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4 torchmetrics==1.9.0
ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torchmetrics import ExplainedVariance, PearsonCorrCoef, R2Score, RelativeSquaredError

print("torchmetrics", version("torchmetrics"), "torch", torch.__version__.split("+")[0])
assert version("torchmetrics") == "1.9.0"

ROWS = 20_000
generator = torch.Generator().manual_seed(0)
noise, error = torch.randn(ROWS, generator=generator, dtype=torch.float64), torch.randn(ROWS, generator=generator, dtype=torch.float64)


def by_batches(metric, predicted, target, rows):
    for start in range(0, len(target), rows):
        metric.update(predicted[start : start + rows], target[start : start + rows])
    return float(metric.compute())


found = {}
for name, mean, spread in (
    ("days from the mean", 0, 9),
    ("days since 1970", 20_000, 9),
    ("hours since 1970", 480_000, 216),
    ("seconds since 1970", 1_728_000_000, 777_600),
):
    target = (mean + spread * noise).float()
    predicted = (mean + spread * (noise + 0.5 * error)).float()
    left = ((target.double() - predicted.double()) ** 2).sum() / ((target.double() - target.double().mean()) ** 2).sum()
    row = {kind.__name__: [by_batches(kind(), predicted, target, rows) for rows in (64, 1_000, ROWS)]
           for kind in (R2Score, ExplainedVariance, RelativeSquaredError, PearsonCorrCoef)}
    found[name] = (1 - float(left), row)
    print(f"{name}: R2 is {1 - float(left):.3f}; in batches of 64, 1,000 and all: " + "; ".join(
        f"{kind} " + ", ".join(f"{value:.3f}" for value in values) for kind, values in row.items()))
near = lambda right, values: all(abs(value - right) < 0.002 for value in values)
for name, (right, row) in found.items():
    assert near(0.898, row["PearsonCorrCoef"]) and abs(right - 0.755) < 0.002
    centred = name == "days from the mean"
    assert near(right, row["R2Score"]) == near(right, row["ExplainedVariance"]) == near(1 - right, row["RelativeSquaredError"]) == centred
    assert centred or max(abs(value - right) for value in row["R2Score"]) > 0.15
assert max(found["hours since 1970"][1]["R2Score"]) > 1 and found["hours since 1970"][1]["RelativeSquaredError"][0] > 1e6
PYTHON_SCRIPT
echo "as written"
