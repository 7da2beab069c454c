#!/usr/bin/env bash
# XGBoost 3.2.0: early stopping on a metric of one's own, `custom_metric` of `train` or a function as `eval_metric` of its sklearn classes.
#
# Guess: the direction has to be said (`maximize`), or it is taken to be greater is better, or less is better, for any metric.
# Seen:  it depends on the name that the function gives it: what begins with auc, pre, map or ndcg (but is not "mape") is maximized, the rest is
#        minimized, without a word. One and the same AUC is best in round 22 as "ndcg@10", "precision@10" or "auc_by_user", and in round 0, stopped
#        after 11 rounds, as "recall@10", "hit_rate@10", "mrr" or "gauc", and where sklearn's `roc_auc_score` itself is passed.
# So:    a ranker that is stopped by its recall is the worst of its rounds, one tree, and predicts with that. Pass `EarlyStopping(rounds=...,
#        maximize=True)` as a callback.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.8.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import xgboost
from sklearn.metrics import roc_auc_score

ROWS = 2000
print("XGBoost", xgboost.__version__)
assert xgboost.__version__ == "3.2.0" and version("xgboost-cpu") == "3.2.0"
random = np.random.default_rng(0)
features = random.standard_normal((2 * ROWS, 5))
clicked = (features[:, 0] + features[:, 1] + random.standard_normal(2 * ROWS) > 2).astype(int)
train = xgboost.DMatrix(features[:ROWS], label=clicked[:ROWS])
valid = xgboost.DMatrix(features[ROWS:], label=clicked[ROWS:])
given = {"objective": "binary:logistic", "max_depth": 3, "disable_default_eval_metric": 1, "nthread": 1}


def stopped(name, **options):
    """Train with the AUC under this name: the best round, its AUC, and the AUC of each round."""
    seen = {}
    model = xgboost.train(given, train, 200, evals=[(valid, "valid")], evals_result=seen, verbose_eval=False,
                          custom_metric=lambda scores, rows: (name, roc_auc_score(rows.get_label(), scores)), **options)
    return model.best_iteration, round(model.best_score, 4), seen["valid"][name]


up = ("ndcg@10", "precision@10", "map@10", "auc_by_user")
down = ("recall@10", "hit_rate@10", "mrr", "gauc", "mape")
found = {}
for name in up + down:
    best, score, curve = stopped(name, early_stopping_rounds=10)
    found[name] = best, score, len(curve)
    print(f"{name}: best round {best} with {score}, {len(curve)} rounds run, from {curve[0]:.4f} to {max(curve):.4f}")
assert len({found[name] for name in up}) == 1 and found["ndcg@10"][0] > 10
assert len({found[name] for name in down}) == 1 and found["recall@10"][0] == 0 and found["recall@10"][2] == 11
callback = xgboost.callback.EarlyStopping(rounds=10, maximize=True)
told = stopped("recall@10", callbacks=[callback])
print("recall@10 with maximize=True: best round", told[0])
assert told[0] == found["ndcg@10"][0]
model = xgboost.XGBClassifier(n_estimators=200, max_depth=3, n_jobs=1, eval_metric=roc_auc_score, early_stopping_rounds=10)
model.fit(features[:ROWS], clicked[:ROWS], eval_set=[(features[ROWS:], clicked[ROWS:])], verbose=False)
print("sklearn's roc_auc_score: best round", model.best_iteration)
assert model.best_iteration == 0
PYTHON_SCRIPT
echo "as written"
