#!/usr/bin/env bash
# recommenders 1.2.1 (Microsoft's): its ranking metrics for a user with held-out items whom the model gave no list.
#
# Guess: the user counts as 0 in every metric, as in RecTools, RePlay and ir_measures, or is left out of every metric.
# Seen:  both at once. recall_at_k, precision_at_k and both MAPs take the mean over users who have a list, ndcg_at_k over all users with
#        held-out items. Of three users, one with a list that hits, one with a list that misses and one without, recall is divided by 2 and
#        ndcg by 3.
# So:    in one row of a table two metrics stand over different users. A model that answers only for those it is sure of wins in recall and
#        loses in ndcg, and dropping a hard user's list raises recall, precision and MAP. Give each user of the test part a list first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1
"${pip[@]}" --no-deps recommenders==1.2.1  # its metrics need no more than these
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import math
from importlib.metadata import version

import pandas as pd
from recommenders.evaluation import python_evaluation

K = 2
columns = {"col_user": "user", "col_item": "item", "col_prediction": "score"}
held_out = pd.DataFrame([("a", "i1"), ("a", "i2"), ("b", "i1"), ("c", "i3")], columns=["user", "item"]).assign(rating=1.0)
lists = pd.DataFrame([("a", "i1", 2.0), ("a", "i8", 1.0), ("b", "i9", 2.0), ("b", "i8", 1.0)], columns=["user", "item", "score"])
with_c = pd.concat([lists, pd.DataFrame([("c", "i8", 2.0), ("c", "i9", 1.0)], columns=lists.columns)])


def mean(name, shown):
    rating = {"col_rating": "rating"} if name == "ndcg_at_k" else {}
    return float(getattr(python_evaluation, name)(held_out, shown, k=K, **columns, **rating))


print("recommenders", version("recommenders"))
assert version("recommenders") == "1.2.1"
# What user a has; b has 0.
of_a = {"recall_at_k": 1 / 2, "precision_at_k": 1 / 2, "map": 1 / 2, "map_at_k": 1 / 2, "ndcg_at_k": 1 / (1 + 1 / math.log2(3))}
for name, value in of_a.items():
    without, missed = mean(name, lists), mean(name, with_c)
    users = round(value / without)
    print(f"{name:15} c without a list {without:.4f} (mean over {users}), c with a list that misses {missed:.4f}")
    assert abs(missed - value / 3) < 1e-12
    assert abs(without - value / users) < 1e-12
    assert users == (3 if name == "ndcg_at_k" else 2)
PYTHON_SCRIPT
echo "as written"
