#!/usr/bin/env bash
# catboost 1.2.10: `group_weight` of a ranking, with weight 0 for half of the users.
#
# Guess: users of weight 0 have no say: any ranking loss learns what it learns without their rows, and any metric leaves them out.
# Seen:  half of the users want the opposite of the others and have weight 0. YetiRank has a correlation of 0.88 with what the others want, as without the
#        rows, LambdaMart one of -0.02, as with all weights 1 (0.89 without the rows); StochasticRank lies between, at 0.43. Of the metrics NDCG, DCG, MRR, ERR
#        and PFound weigh; MAP, PrecisionAt, RecallAt and QueryAUC are the same with weights and without: NDCG 0.92 beside a QueryAUC of 0.47.
# So:    weights by propensity, or 0 for users who are held out, may be without effect, by the name of the loss or of the metric. Leave rows out instead.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
# Without its dependencies graphviz, matplotlib and plotly, which are for drawings.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps catboost==1.2.10 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps python-dateutil==2.9.0.post0 pytz==2025.2 six==1.17.0 tzdata==2025.2
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from catboost import CatBoost, Pool

print("catboost", version("catboost"))
assert version("catboost") == "1.2.10"

USERS, ITEMS = 200, 10
rng = np.random.default_rng(0)
features = rng.normal(size=(USERS * ITEMS, 4))
user = np.repeat(np.arange(USERS), ITEMS)
counts = user < USERS // 2
clicked = np.where(counts, features[:, 0] + 0.5 * rng.normal(size=len(user)) > 0.8, -features[:, 0] > 0.8).astype(float)
weights = counts.astype(float)


def pool(rows, weight):
    return Pool(features[rows], clicked[rows], group_id=user[rows], group_weight=None if weight is None else weight[rows])


def model(loss, **options):
    return CatBoost({"loss_function": loss, "iterations": 60, "depth": 3, "verbose": 0, "thread_count": 1, "random_seed": 0,
                     "allow_writing_files": False, **options})


everything, half = np.ones(len(user), dtype=bool), counts
learnt = {}
for loss in ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax", "StochasticRank:metric=NDCG", "LambdaMart"):
    row = [np.corrcoef(model(loss).fit(pool(*given)).predict(features), features[:, 0])[0, 1]
           for given in ((everything, None), (everything, weights), (half, None))]
    learnt[loss] = row
    print(f"{loss}: correlation with the first feature {row[0]:.2f}, with half of the users at weight 0 {row[1]:.2f}, without their rows {row[2]:.2f}")
for loss in ("YetiRank", "PairLogit", "QueryRMSE", "QuerySoftMax"):
    assert learnt[loss][1] > 0.8 and abs(learnt[loss][1] - learnt[loss][2]) < 0.1
assert abs(learnt["LambdaMart"][1]) < 0.3 and learnt["LambdaMart"][2] > 0.8
assert learnt["StochasticRank:metric=NDCG"][1] < learnt["StochasticRank:metric=NDCG"][2] - 0.2

NAMES = ("NDCG", "DCG", "MRR", "ERR", "PFound", "MAP", "PrecisionAt:top=3", "RecallAt:top=3", "QueryAUC")
measured = []
for rows, weight in ((everything, None), (everything, weights), (half, None)):
    one = model("QueryRMSE", iterations=5, custom_metric=list(NAMES))
    one.fit(pool(half, None), eval_set=pool(rows, weight))
    found = {name: values[-1] for name, values in one.evals_result_["validation"].items()}
    measured.append({name.split(":")[0]: value for name, value in found.items()})
weighing = set()
for name in (name.split(":")[0] for name in NAMES):
    all_users, weighted, without = (row[name] for row in measured)
    print(f"{name}: all users {all_users:.3f}, half at weight 0 {weighted:.3f}, without their rows {without:.3f}")
    if abs(weighted - all_users) > 1e-9:
        weighing.add(name)
        assert abs(weighted - without) < 1e-6
    else:
        assert abs(weighted - without) > 0.05
assert weighing == {"NDCG", "DCG", "MRR", "ERR", "PFound"}
PYTHON_SCRIPT
echo "as written"
