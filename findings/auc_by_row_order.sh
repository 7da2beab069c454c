#!/usr/bin/env bash
# XGBoost 3.2.0: `auc` of a ranking objective.
#
# Guess: a user's AUC is the share of pairs of a positive and a negative in the right order, and the metric its mean: 1 for a perfect ranking,
#        0 for one upside down, whatever the order of rows; a user without a positive is left out.
# Seen:  pairs of equal labels count too, and are right where the row that comes first in the data has the larger score. With one positive
#        among 100 candidates 98 % of all pairs are such: over shuffled rows a perfect ranking has 0.56 and one upside down 0.53. With rows
#        in the order of a first stage that the model agrees with, upside down has 0.98; with the same rows reversed a perfect one has 0.02.
#        A user without a positive has what the order of rows gives, 0 to 1. The same rows under binary:logistic have the share.
# So:    this AUC tells how far a model agrees with the order of the rows, and early stopping on it keeps the model that does. Compute the
#        share from the predictions.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check xgboost-cpu==3.2.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version
from itertools import combinations

import numpy as np
import xgboost

CANDIDATES = 100


def auc(scores, labels, objective):
    """XGBoost's AUC of users x candidates, with the scores given as base margin and a tree that adds nothing."""
    users, candidates = np.shape(scores)
    data = xgboost.DMatrix(np.zeros((users * candidates, 1)), label=np.ravel(labels), base_margin=np.ravel(scores))
    if objective.startswith("rank"):
        data.set_group([candidates] * users)
    options = {"objective": objective, "eval_metric": "auc", "eta": 0.0, "nthread": 1}
    xgboost.train(options, data, 1, evals=[(data, "given")], evals_result=(found := {}), verbose_eval=False)
    return found["given"]["auc"][0]


def by_hand(scores, labels):
    """One user's share of right pairs: of those with different labels, and of all as seen."""
    right = {True: [], False: []}  # by whether the two labels differ
    for first, second in combinations(range(len(scores)), 2):
        margin = scores[first] - scores[second]
        if labels[first] < labels[second]:
            margin = -margin
        right[bool(labels[first] != labels[second])].append(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0)
    return np.mean(right[True]) if right[True] else None, np.mean(right[True] + right[False])


print("XGBoost", version("xgboost-cpu"))
assert version("xgboost-cpu") == "3.2.0"
best_first = np.linspace(2, -2, CANDIDATES)
shuffled = np.random.default_rng(0).permutation(CANDIDATES)
orders = {"shuffled": shuffled, "best score first": np.arange(CANDIDATES), "best score last": np.arange(CANDIDATES)[::-1]}
seen = {}
for name, order in orders.items():
    for place in (1, CANDIDATES):
        scores, labels = best_first[order], (order == place - 1).astype(float)
        share, all_pairs = by_hand(scores, labels)
        ranking, logistic = auc([scores], [labels], "rank:ndcg"), auc([scores], [labels], "binary:logistic")
        seen[name, place] = round(ranking, 2)
        print(f"rows {name}, the one positive of {CANDIDATES} in place {place:3}: rank:ndcg {ranking:.4f}, binary:logistic {logistic:.4f}")
        assert abs(ranking - all_pairs) < 1e-6 and abs(logistic - share) < 1e-6 and share == (place == 1)
    none = auc([best_first[order]], [np.zeros(CANDIDATES)], "rank:ndcg")
    print(f"rows {name}, no positive: rank:ndcg {none:.4f}")
    assert abs(none - by_hand(best_first[order], np.zeros(CANDIDATES))[1]) < 1e-6
assert seen["best score first", CANDIDATES] == 0.98 and seen["best score last", 1] == 0.02
assert (seen["shuffled", 1], seen["shuffled", CANDIDATES]) == (0.56, 0.53)

random = np.random.default_rng(0)
labels = random.random((20, 30)) < 0.2
scores = labels + random.normal(size=labels.shape)
hand = [by_hand(*user) for user in zip(scores, labels.astype(float))]
share, all_pairs = (np.mean([user[kind] for user in hand]) for kind in (0, 1))
found = {objective: round(auc(scores, labels, objective), 4) for objective in ("rank:ndcg", "rank:pairwise", "rank:map")}
print(f"20 users, a model of some worth: {found}; share {share:.4f}")
assert all(abs(value - all_pairs) < 1e-4 and value < share - 0.1 for value in found.values())
PYTHON_SCRIPT
echo "as written"
