#!/usr/bin/env bash
# POT 0.9.7.post1: `ot.solve_sample(real, generated, method="lowrank")`, the low-rank solver for many rows, as a distance between two sets of vectors.
#
# Guess: the value is a bound from above of the exact one (squared distances), closer to it with a larger rank, and 100 times as large for vectors ten times as
#        long, as those of the exact solver and of "gaussian" are.
# Seen:  costs are divided by the largest factors of the call's own rows first, and neither value nor `value_linear` is put back: where the exact distance is
#        3.9 and the plan that comes with it costs 8.6, 0.378 is reported, and for vectors ten times as long 0.378 again. One vector of 200 that lies far away
#        raises the exact distance to 37.6 and lowers the reported one to 0.131.
# So:    two models cannot be compared by it, and the one with an outlier looks better than the good one. Add up the plan (`lazy_plan`) times the costs. (With
#        `rescale_cost=False`, an option of `ot.lowrank_sinkhorn`, the plan of these rows costs 15.8.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check POT==0.9.7.post1 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import ot

print("POT", version("POT"))
assert version("POT") == "0.9.7.post1"

ROWS, WIDTH, RANK = 200, 8, 20
rng = np.random.default_rng(0)
real, good = rng.normal(size=(ROWS, WIDTH)), rng.normal(size=(ROWS, WIDTH))
outlier = good.copy()
outlier[0] = 30 * np.sign(good[0])
found = {}
for name, first, second in (
    ("a good model", real, good),
    ("the same, vectors ten times as long", 10 * real, 10 * good),
    ("the same, one vector far away", real, outlier),
    ("twice the spread", real, 2 * good),
):
    low = ot.solve_sample(first, second, method="lowrank", rank=RANK)
    plan_costs = float((low.lazy_plan[:] * ot.dist(first, second)).sum())
    exact, gaussian = (float(ot.solve_sample(first, second, method=method).value) for method in (None, "gaussian"))
    found[name] = exact, float(low.value), plan_costs, gaussian
    assert low.value == low.value_linear
    print(f"{name}: exact {exact:.2f}, low rank {low.value:.3f}, its plan costs {plan_costs:.2f}, gaussian {gaussian:.2f}")
(exact, low, costs, gaussian), (long_exact, long_low, long_costs, long_gaussian), (far_exact, far_low, far_costs, _), _ = found.values()
assert all(plan_costs >= value for value, _, plan_costs, _ in found.values())  # the plans themselves are sound
assert abs(long_exact / exact - 100) < 1e-3 and abs(long_costs / costs - 100) < 1 and abs(long_gaussian / gaussian - 100) < 1
assert abs(long_low - low) < 1e-3 and low < 0.2 * exact
assert far_exact > 5 * exact and far_costs > 4 * costs and far_low < 0.6 * low
PYTHON_SCRIPT
echo "as written"
