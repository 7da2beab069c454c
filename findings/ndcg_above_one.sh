#!/usr/bin/env bash
# LightGBM 4.7.0, XGBoost 3.2.0: metric "ndcg" of a ranking whose users have weights.
#
# Guess: it is the weighted mean of the users' NDCG: at most 1, and the same when all weights are ten times as large.
# Seen:  a user without a click counts as 1, and that 1 is not multiplied by the weight, while the divisor is the sum of the weights: where half of the users
#        have a click, a perfect model has 1.00 without weights, 5.50 with all weights 0.1 and 0.55 with all weights 10, random scores 5.16 with 0.1. With
#        weight 0 for users without a click, which is how one would leave them out, it is 2.00 and 1.32. "map" is right with all of these weights.
#        XGBoost has the same sum, so 0.55 with all weights 10 and 0.19 for random scores; what comes out above 1 it refuses.
# So:    with weights the metric tells little of the ranking and much of the weights' scale. Leave users without a click out, and bring weights to a mean of 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import lightgbm
import numpy as np
import xgboost

print("lightgbm", version("lightgbm"), "xgboost", version("xgboost-cpu"))
assert version("lightgbm") == "4.7.0" and version("xgboost-cpu") == "3.2.0"

USERS, ITEMS = 400, 10
rng = np.random.default_rng(0)
scores = rng.random((USERS, ITEMS))
clicked = np.zeros((USERS, ITEMS), dtype=int)
has_click = np.arange(USERS) % 2 == 0
clicked[has_click, rng.integers(0, ITEMS, has_click.sum())] = 1
perfect = clicked + 0.1 * scores


def measured(values, weight):
    """What the library puts out for these scores: given as the start of a training that learns nothing."""
    data = lightgbm.Dataset(
        np.zeros((USERS * ITEMS, 1)),
        clicked.reshape(-1),
        group=[ITEMS] * USERS,
        init_score=values.reshape(-1),
        weight=None if weight is None else np.repeat(weight, ITEMS),
    )
    options = {"objective": "lambdarank", "metric": ["ndcg", "map"], "eval_at": [5], "verbose": -1, "num_threads": 1, "learning_rate": 1e-9}
    options["feature_pre_filter"] = False
    found = {}
    lightgbm.train(options, data, 1, valid_sets=[data], valid_names=["all"], callbacks=[lightgbm.record_evaluation(found)])
    return found["all"]["ndcg@5"][0], found["all"]["map@5"][0]


def measured_by_xgboost(values, weight):
    data = xgboost.DMatrix(np.zeros((USERS * ITEMS, 1)), clicked.reshape(-1), base_margin=values.reshape(-1), qid=np.repeat(np.arange(USERS), ITEMS))
    data.set_weight(weight)
    options = {"objective": "rank:ndcg", "eta": 1e-9, "eval_metric": ["ndcg@5", "map@5"], "nthread": 1}
    found = xgboost.train(options, data, 1).eval(data, "all")
    return [float(part.rsplit(":", 1)[1]) for part in found.split("\t")[1:]]


table = {}
for name, weight in (
    ("no weights", None),
    ("all weights 1", np.ones(USERS)),
    ("all weights 0.1", np.full(USERS, 0.1)),
    ("all weights 10", np.full(USERS, 10.0)),
    ("0 for users without a click", has_click.astype(float)),
):
    table[name] = measured(perfect, weight) + measured(scores, weight)
    print(f"{name}: perfect model ndcg@5 {table[name][0]:.3f} map@5 {table[name][1]:.3f}; random scores ndcg@5 {table[name][2]:.3f} map@5 {table[name][3]:.3f}")
of_xgboost = {}
for scale in (1.0, 10.0):
    of_xgboost[scale] = measured_by_xgboost(perfect, np.full(USERS, scale)) + measured_by_xgboost(scores, np.full(USERS, scale))
    print(f"XGBoost, all weights {scale:g}: perfect model ndcg@5 {of_xgboost[scale][0]:.3f} map@5 {of_xgboost[scale][1]:.3f}; "
          f"random scores ndcg@5 {of_xgboost[scale][2]:.3f} map@5 {of_xgboost[scale][3]:.3f}")
try:
    measured_by_xgboost(perfect, np.full(USERS, 0.1))
    refused = ""
except xgboost.core.XGBoostError as error:
    refused = str(error).splitlines()[0]
print("XGBoost, all weights 0.1:", refused.split("Check failed: ")[-1])
assert of_xgboost[1.0][0] > 0.999 and abs(of_xgboost[10.0][0] - 0.55) < 0.01 and of_xgboost[10.0][2] < 0.25
assert abs(of_xgboost[10.0][1] - 1) < 1e-6 and "Invalid output score" in refused
plain, ones, small, large, without = table.values()
assert np.allclose(plain, ones) and abs(plain[0] - 1) < 1e-6
assert abs(small[0] - 5.5) < 0.01 and abs(large[0] - 0.55) < 0.01 and abs(without[0] - 2) < 0.01
assert small[2] > 5 and large[2] < 0.25 and without[2] > 1.2
for row in (small, large):
    assert np.allclose([row[1], row[3]], [plain[1], plain[3]], atol=1e-6)
assert abs(without[1] - 1) < 1e-6 and 0.2 < without[3] < 0.3  # over the users with a click alone
PYTHON_SCRIPT
echo "as written"
