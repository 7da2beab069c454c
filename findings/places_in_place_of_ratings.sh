#!/usr/bin/env bash
# recommenders 1.2.1: `precision_at_k(..., relevancy_method="by_threshold", threshold=4, k=10)`, and recall, NDCG and MAP of the same name.
#
# Guess: held-out items rated 4 or more are relevant, or lists keep items whose predicted score is 4 or more.
# Seen:  threshold is a number of places: lists are cut after 4, whatever ratings and scores are, and then divided by k. A perfect model of ten
#        relevant items has a precision@10 of 0.4, NDCG@10 of 0.56; raising the threshold from 4 to 5 raises both; k no longer cuts: with the
#        default threshold of 10 and k=5 precision@5 of the perfect list is 2 and NDCG@5 1.54. Held-out ratings of 1 are hits.
# So:    numbers are comparable with nobody's, and a "stricter" threshold of 5 looks better than 4. Filter the held-out part by its ratings
#        first, and keep relevancy_method="top_k".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1
"${pip[@]}" --no-deps recommenders==1.2.1  # its metrics need no more than these
"$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pandas as pd
from recommenders.evaluation.python_evaluation import ndcg_at_k, precision_at_k, recall_at_k

USERS, HELD_OUT, LIST = 50, 10, 20
users, places = np.repeat(np.arange(USERS), LIST), np.tile(np.arange(LIST), USERS)
lists = pd.DataFrame({"userID": users, "itemID": places, "prediction": 5.0 - places / 100})  # items 0 to 19 in this order, all predicted above 4.8
relevant = places < HELD_OUT
ratings = {name: pd.DataFrame({"userID": users[relevant], "itemID": places[relevant], "rating": value}) for name, value in (("5", 5.0), ("1", 1.0))}


def measured(held_out, **options):
    return tuple(round(float(metric(held_out, lists, **options)), 3) for metric in (precision_at_k, recall_at_k, ndcg_at_k))


print("recommenders", version("recommenders"), "precision, recall, NDCG of a list whose first ten are the ten held-out items")
assert version("recommenders") == "1.2.1"
top = measured(ratings["5"], relevancy_method="top_k", k=10)
print("top_k, k=10:", top)
assert top == (1, 1, 1)
found = {}
for threshold in (3, 4, 5, 10):
    for k in (5, 10):
        for rating, held_out in ratings.items():
            found[threshold, k, rating] = measured(held_out, relevancy_method="by_threshold", threshold=threshold, k=k)
        print(f"by_threshold, threshold={threshold}, k={k}: {found[threshold, k, '5']}, the same where all ratings are 1: "
              f"{found[threshold, k, '1'] == found[threshold, k, '5']}")
        assert found[threshold, k, "1"] == found[threshold, k, "5"]
        assert found[threshold, k, "5"][:2] == (threshold / k, threshold / HELD_OUT)
assert found[4, 10, "5"][2] < found[5, 10, "5"][2] < 1
assert found[10, 5, "5"][0] == 2 and found[10, 5, "5"][2] > 1.5
PYTHON_SCRIPT
echo "as written"
