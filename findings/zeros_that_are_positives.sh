#!/usr/bin/env bash
# implicit 0.7.3: ratings made binary in place, `matrix.data = (matrix.data >= 4).astype("float32")`, which leaves zeros stored.
#
# Guess: a stored zero is a zero: scipy says the matrix is equal to the one without them.
# Seen:  what counts is that a cell is stored. BPR takes it as a positive: where users rated one genre 5 and another 1, 54 % of their lists are of
#        the one they dislike, 0 % after eliminate_zeros(); ALS has 14 % and 0 %. ranking_metrics_at_k counts stored zeros as relevant: a model of
#        the dislikes alone has a precision of 0.76 by the test part of likes, and 0 without them.
# So:    training and measuring go wrong in the same direction, so the number stays high. Call eliminate_zeros() after each change of the values.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==1.26.4 scipy==1.15.3
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k

USERS, ITEMS, GENRES, EACH, K = 400, 80, 4, 8, 5
random = np.random.default_rng(0)
genre = np.arange(ITEMS) % GENRES
likes = np.arange(USERS) % GENRES  # each user rates 8 items of one genre with 5 and 8 of the next with 1
rows, columns, values = [], [], []
for user in range(USERS):
    for wanted, value in ((likes[user], 5), ((likes[user] + 1) % GENRES, 1)):
        columns.extend(random.choice(np.flatnonzero(genre == wanted), EACH, replace=False))
        rows.extend([user] * EACH)
        values.extend([value] * EACH)
ratings = sp.csr_matrix((np.array(values, np.float32), (rows, columns)), shape=(USERS, ITEMS))
zeros = ratings.copy()
zeros.data = (ratings.data >= 4).astype(np.float32)
gone = zeros.copy()
gone.eliminate_zeros()

print("implicit", version("implicit"), f"{ratings.nnz:,} ratings, {gone.nnz:,} of 4 or more")
assert version("implicit") == "0.7.3"
assert (zeros != gone).nnz == 0 and zeros.nnz == 2 * gone.nnz  # equal matrices, for scipy
disliked = {}
for kind in (BayesianPersonalizedRanking, AlternatingLeastSquares):
    for name, matrix in (("stored zeros", zeros), ("without them", gone)):
        model = kind(factors=16, iterations=50, random_state=1, num_threads=1)
        model.fit(matrix, show_progress=False)
        lists, _ = model.recommend(np.arange(USERS), gone, N=K)
        liked = float((genre[lists] == likes[:, None]).mean())
        disliked[kind, name] = float((genre[lists] == (likes[:, None] + 1) % GENRES).mean())
        print(f"{kind.__name__}, {name}: {liked:.3f} of the lists are of the liked genre, {disliked[kind, name]:.3f} of the disliked one")
    assert disliked[kind, "without them"] < 0.1 and disliked[kind, "stored zeros"] > disliked[kind, "without them"] + 0.08
assert disliked[BayesianPersonalizedRanking, "stored zeros"] > 0.35


nothing, dislikes = sp.csr_matrix((USERS, ITEMS), dtype=np.float32), (ratings - 5 * gone).tocsr()
dislikes.eliminate_zeros()
assert dislikes.nnz == gone.nnz and dislikes.multiply(gone).nnz == 0
for name, matrix in (("likes", gone), ("dislikes", dislikes)):
    model = AlternatingLeastSquares(factors=16, iterations=15, random_state=1, num_threads=1)
    model.fit(matrix, show_progress=False)
    precision = [
        float(ranking_metrics_at_k(model, nothing, held_out, K=K, show_progress=False, num_threads=1)["precision"]) for held_out in (zeros, gone)
    ]
    print(f"a model of the {name}, measured by those rows: precision@{K} {precision[0]:.3f} with stored zeros, {precision[1]:.3f} without")
    assert precision[0] > 0.7 and (precision[1] > 0.7 if name == "likes" else precision[1] == 0)
PYTHON_SCRIPT
echo "as written"
