#!/usr/bin/env bash
# evidently 0.7.23: MAP of a ranking, beside its NDCG and recall.
#
# Guess: metrics depend on the users' items, scores and labels, not on the order in which the table's rows stand, where no scores are equal.
# Seen:  MAP takes the label of the last of the rows that stand in the first k for the label in place k: it is right where each user's rows stand from
#        the best to the worst score. A perfect model with a MAP@5 of 0.948 has 1.229 with the rows the other way round, 1.13 shuffled and 1.078 by
#        item; a random model 0.155 in order, 0.153 shuffled, 0.167 with the worst first. NDCG and recall are the same each time.
# So:    a model's MAP goes up or down with a join or a parallel writer, and a drift alarm with it. Sort by user and score before the report.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check evidently==0.7.23 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1
cd "$work"
DO_NOT_TRACK=1 OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Recsys, Report
from evidently.metrics import MAP, NDCG, RecallTopK

USERS, ITEMS, K = 100, 20, 5
random = np.random.default_rng(0)
log = pd.DataFrame({"user": np.repeat(np.arange(USERS), ITEMS), "item": np.tile(np.arange(ITEMS), USERS)})
log["target"] = (random.random(len(log)) < 0.2).astype(int)


def measured(frame):
    definition = DataDefinition(ranking=[Recsys(user_id="user", item_id="item", prediction="score", target="target")])
    report = Report([MAP(k=K), NDCG(k=K), RecallTopK(k=K)]).run(Dataset.from_pandas(frame, data_definition=definition), None)
    return tuple(round(float(metric["value"]["value"][K - 1]), 3) for metric in report.dict()["metrics"])


def by_hand(frame):
    """MAP@K, divided by all relevant items as evidently does, of users who have any."""
    values = []
    for _, rows in frame.sort_values("score", ascending=False).groupby("user"):
        hits = rows["target"].to_numpy()
        if hits.any():
            values.append((np.cumsum(hits) / np.arange(1, ITEMS + 1) * hits)[:K].sum() / hits.sum())
    return round(float(np.mean(values)), 3)


print("evidently", version("evidently"), f"MAP, NDCG and recall at {K}")
assert version("evidently") == "0.7.23"
for name, scores in (("perfect", log["target"] + random.random(len(log)) * 0.1), ("random", random.random(len(log)))):
    frame = log.assign(score=scores)
    assert not frame.duplicated(["user", "score"]).any()
    orders = {
        "best first": frame.sort_values(["user", "score"], ascending=[True, False]),
        "worst first": frame.sort_values(["user", "score"]),
        "shuffled": frame.sample(frac=1, random_state=0),
        "by item": frame.sort_values(["item", "user"]),
    }
    found = {order: measured(rows.reset_index(drop=True)) for order, rows in orders.items()}
    right = by_hand(frame)
    print(f"{name} model, MAP by hand {right}:", found)
    assert len({values[1:] for values in found.values()}) == 1  # NDCG and recall
    assert found["best first"][0] == right
    assert len({values[0] for values in found.values()}) > 2
    if name == "perfect":
        assert min(found[order][0] for order in ("worst first", "shuffled", "by item")) > 1
PYTHON_SCRIPT
echo "as written"
