#!/usr/bin/env bash
# XGBoost 3.2.0 and CatBoost 1.2.10: `pre@10` and `PrecisionAt:top=10` of groups (sessions, users) that have fewer than ten rows.
#
# Guess: precision@10 is hits by ten, as in the other libraries, so a session of three rows with one click has 0.1 at most.
# Seen:  it is divided by the rows that there are: 0.33, for any model, the right one and the one upside down. Where seven of ten sessions have three
#        rows and the rest thirty, three of them clicked, the perfect model has 0.32 and the one upside down 0.23, by ten 0.16 and 0.07. With
#        nine rows in place of three, the same clicks and more negatives, it is 0.17 for the same perfect model, by ten 0.16.
# So:    the share of short sessions makes most of the number, and no model can change that part: two models look alike, a filter of short
#        sessions looks like a loss. Divide by k, or leave out groups of k rows or fewer.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 catboost==1.2.10 numpy==2.4.6 scipy==1.17.1 pandas==3.0.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import xgboost
from catboost.utils import eval_metric

SESSIONS, K = 1000, 10

print("XGBoost", xgboost.__version__, "CatBoost", version("catboost"))
assert (xgboost.__version__, version("catboost")) == ("3.2.0", "1.2.10")


def precision(sizes, clicks, scores):
    """pre@10, PrecisionAt:top=10 and hits by ten."""
    session = np.repeat(np.arange(len(sizes)), sizes)
    rows = xgboost.DMatrix(np.zeros((len(clicks), 1)), label=clicks, base_margin=scores)
    rows.set_group(sizes)
    model = xgboost.train({"objective": "rank:pairwise", "eval_metric": f"pre@{K}", "nthread": 1}, rows, 0)
    boosted = float(model.eval(rows).split(":")[-1])
    cat = eval_metric(clicks, scores, f"PrecisionAt:top={K}", group_id=session, thread_count=1)[0]
    ends = np.cumsum(sizes)[:-1]
    hits = [part[np.argsort(-own)[:K]].sum() for part, own in zip(np.split(clicks, ends), np.split(scores, ends))]
    return boosted, cat, float(np.mean(hits)) / K


def log(short):
    """Seven of ten sessions are short, with one click, the others have 30 rows with three."""
    random = np.random.default_rng(0)
    sizes = np.where(np.arange(SESSIONS) % 10 < 7, short, 30)
    clicks = np.concatenate([np.arange(size) < (3 if size == 30 else 1) for size in sizes]).astype(float)
    return sizes, clicks, clicks + 0.5 * random.random(len(clicks))


seen = {}
for short in (3, 9, 12):
    sizes, clicks, right = log(short)
    for name, scores in (("perfect", right), ("upside down", -right)):
        seen[short, name] = precision(sizes, clicks, scores)
        print(f"short sessions of {short} rows, a model that is {name}: XGBoost {seen[short, name][0]:.3f}, CatBoost {seen[short, name][1]:.3f}, "
              f"by ten {seen[short, name][2]:.3f}")
for short in (3, 9):
    for name, share in (("perfect", 0.3), ("upside down", 0.0)):
        boosted, cat, _ = seen[short, name]
        assert abs(boosted - (0.7 / short + 0.3 * share)) < 1e-4 and abs(cat - boosted) < 1e-4
assert abs(seen[12, "perfect"][0] - 0.16) < 1e-4 and seen[12, "upside down"][0] < 0.01
assert all(abs(seen[short, "perfect"][2] - 0.16) < 1e-9 for short in (3, 9, 12))
PYTHON_SCRIPT
echo "as written"
