#!/usr/bin/env bash
# implicit 0.7.3: `fit` of a model that has been fitted.
#
# Guess: fit() starts anew, as an estimator's does, all the more with random_state given: one model in a loop over folds is as good as a new
#        model in each.
# Seen:  AlternatingLeastSquares and BayesianPersonalizedRanking go on from the factors they hold, without a word. In five folds of the same
#        rows each held-out row has been trained on in the folds before: ndcg@10 of BPR is 0.32, 0.47, 0.58, 0.61, 0.63, where a new model
#        has about 0.3 in each fold. ALS forgets soon and moves by a few percent.
# So:    cross-validation, a grid that sets attributes of one model, or a retraining through one object leaks what is held out, and
#        BPR, whose steps are small, most of all. Make a model for each fit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==1.26.4 scipy==1.15.3
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k

USERS, ITEMS, FOLDS, K = 300, 400, 5, 10
random = np.random.default_rng(0)
taste = np.exp(1.2 * random.standard_normal((USERS, 6)) @ random.standard_normal((6, ITEMS)) - np.arange(ITEMS) / 100)
seen = sp.coo_matrix(random.random((USERS, ITEMS)) < 20 * taste / taste.sum(axis=1, keepdims=True))
fold_of = random.integers(0, FOLDS, seen.nnz)


def rows(chosen):
    ones = np.ones(int(chosen.sum()), np.float32)
    return sp.csr_matrix((ones, (seen.row[chosen], seen.col[chosen])), shape=seen.shape)


def fold(model, number):
    """ndcg@10 on one fold after a fit on the other four."""
    train, held_out = rows(fold_of != number), rows(fold_of == number)
    model.fit(train, show_progress=False)
    return float(ranking_metrics_at_k(model, train, held_out, K=K, show_progress=False, num_threads=1)["ndcg"])


def new(kind):
    return kind(factors=32, iterations=15 if kind is AlternatingLeastSquares else 100, random_state=1, num_threads=1)


print("implicit", version("implicit"), f"{seen.nnz:,} interactions")
assert version("implicit") == "0.7.3"
for kind in (AlternatingLeastSquares, BayesianPersonalizedRanking):
    one = new(kind)
    again = [fold(one, number) for number in range(FOLDS)]
    fresh = [fold(new(kind), number) for number in range(FOLDS)]
    print(f"{kind.__name__}: a new model in each fold {np.round(fresh, 3)}, one model {np.round(again, 3)}")
    assert again[0] == fresh[0] and again[1:] != fresh[1:]
    if kind is BayesianPersonalizedRanking:
        assert max(fresh) < 0.4 and min(again[2:]) > 0.5
PYTHON_SCRIPT
echo "as written"
