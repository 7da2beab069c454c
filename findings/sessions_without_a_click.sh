#!/usr/bin/env bash
# catboost 1.2.10: ranking metrics over sessions of which few have a click, as eval_metric, early stopping and its tables show them.
#
# Guess: a session without a click is left out of all metrics, or counts as 0 in all of them.
# Seen:  it counts as 1 in NDCG and RecallAt and as 0 in PrecisionAt, MAP, MRR and QueryAUC. With clicks in 5 % of the sessions a good model has
#        RecallAt:top=5 of 0.988 where it is 0.760, and a QueryAUC of 0.042 where it is 0.843; the model that has each click last has 0.950 for
#        RecallAt and NDCG.
# So:    one row of a table stands over two meanings, and a "recall of 0.95" may be the share of sessions without a click. Leave such sessions out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check catboost==1.2.10 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from catboost.utils import eval_metric

SESSIONS, ITEMS, K = 1000, 20, 5
METRICS = (f"NDCG:top={K}", f"RecallAt:top={K}", f"PrecisionAt:top={K}", f"MAP:top={K}", "MRR", "QueryAUC")

print("catboost", version("catboost"), f"{SESSIONS:,} sessions of {ITEMS} shown items")
assert version("catboost") == "1.2.10"
random = np.random.default_rng(0)
clicked = np.zeros((SESSIONS, ITEMS))
scores = random.normal(size=(SESSIONS, ITEMS))
clicked[: SESSIONS // 20, 0] = 1  # one click in each of the first 5 % of the sessions
models = {"good": scores + 1.5 * clicked, "random": scores, "upside down": scores - 10 * clicked}
session = np.repeat(np.arange(SESSIONS), ITEMS)
found = {}
for name, given in models.items():
    for part, stop in (("with a click", SESSIONS // 20), ("all", SESSIONS)):
        rows = slice(0, stop * ITEMS)
        for metric in METRICS:
            found[name, part, metric] = eval_metric(clicked.ravel()[rows], given.ravel()[rows], metric, group_id=session[rows])[0]
        print(f"{name}, sessions {part}: " + ", ".join(f"{metric} {found[name, part, metric]:.3f}" for metric in METRICS))
for name in models:
    for metric in METRICS:
        one, every = found[name, "with a click", metric], found[name, "all", metric]
        as_one = metric.startswith(("NDCG", "RecallAt"))
        assert abs(every - (0.05 * one + (0.95 if as_one else 0))) < 1e-6
PYTHON_SCRIPT
echo "as written"
