#!/usr/bin/env bash
# wandb 0.31.0, offline: `define_metric("ndcg", summary="max")` and a validation whose NDCG is NaN once.
#
# Guess: the summary is the greatest of the values that are numbers, as in pandas, or at least is one again from the next epoch on.
# Seen:  one NaN, be it in the first epoch, in the middle or in the last one, makes "max", "min" and "mean" NaN for good: of 0.1, 0.4, NaN, 0.3 the best
#        is gone. "last" is 0.3. Infinity does no such harm: "max" of 0.4, -inf, 0.1 is 0.4.
# So:    one epoch without a user to test, or one that overflowed, leaves a run without a best value to be found by. Log what is finite alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check wandb==0.31.0
cd "$work"
WANDB_MODE=offline WANDB_SILENT=true WANDB_DIR="$work" "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import math
from importlib.metadata import version

import wandb

print("wandb", version("wandb"))
assert version("wandb") == "0.31.0"


def summary(values):
    run = wandb.init(project="ranking", mode="offline")
    run.define_metric("ndcg", summary="min,max,mean,last")
    for value in values:
        run.log({"ndcg": value})
    found = dict(run.summary["ndcg"])
    run.finish()
    return found


for values in ([0.1, 0.4, 0.2, 0.3], [math.nan, 0.1, 0.4, 0.3], [0.1, 0.4, math.nan, 0.3], [0.4, -math.inf, 0.1]):
    found = summary(values)
    print(values, {name: round(found[name], 3) for name in ("min", "max", "mean", "last")})
    if any(math.isnan(value) for value in values):
        assert all(math.isnan(found[name]) for name in ("min", "max", "mean")) and found["last"] == 0.3
    else:
        assert found["max"] == 0.4 and found["last"] == values[-1]
PYTHON_SCRIPT
echo "as written"
