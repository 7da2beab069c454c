#!/usr/bin/env bash
# implicit 0.7.3: `recommend(user, rows, N=10, filter_already_liked_items=True)`, the default.
#
# Guess: never an item that the user has. Where fewer than ten others are left the list is shorter, or filled with -1.
# Seen:  it is filled with the user's own items. Of ALS they have a score of -3.4e38, the least float. Item to item models, where the items of a user have
#        few neighbours, put them out with a score of 0, as if they had been weighed: in 22 % of the lists of users with two or three rows, with all
#        defaults. -1 comes after them, where many users are asked at once; a single user's list is shorter.
# So:    a list that is shown repeats what was bought, to new users of a neighbourhood model and to the heaviest of a small catalog; coverage and novelty
#        count these places. Keep what has a score above 0, of ALS what is above -3e38.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix

print("implicit", version("implicit"))
assert version("implicit") == "0.7.3"
USERS, K = 400, 10
random = np.random.default_rng(0)
shop = csr_matrix((random.random((USERS, 60)) < random.beta(1, 1.2, size=(USERS, 1))).astype(np.float32))  # 60 items
log = (random.random((USERS, 800)) < 0.003).astype(np.float32)  # two or three rows a user
log[np.arange(USERS), random.integers(800, size=USERS)] = 1
log = csr_matrix(log)
cases = {
    "ALS, 60 items": (AlternatingLeastSquares(factors=8, random_state=0, num_threads=1), shop),
    "Cosine, 800 items": (CosineRecommender( num_threads=1), log),
}
for name, (model, rows) in cases.items():
    model.fit(rows, show_progress=False)
    users = np.arange(USERS)
    seen = [set(rows[user].indices) for user in users]
    single = [model.recommend(user, rows[user], N=K, filter_already_liked_items=True) for user in users]
    batch = list(zip(*model.recommend(users, rows, N=K, filter_already_liked_items=True)))
    for way, pairs in (("one by one", single), ("all at once", batch)):
        wrong = [np.isin(items, list(seen[user])) for user, (items, _) in zip(users, pairs)]
        values = np.concatenate([scores[rows] for (_, scores), rows in zip(pairs, wrong)])
        real = np.concatenate([scores[~rows & (items >= 0)] for (items, scores), rows in zip(pairs, wrong)])
        filler = sum(int((items == -1).sum()) for items, _ in pairs)
        share = float(np.concatenate(wrong).mean())
        held = float(np.mean([rows.any() for rows in wrong]))
        print(f"{name}, {way}: {held:.2f} of the lists hold seen items, {share:.2f} of all places, with scores from {values.min():.3g} "
              f"to {values.max():.3g}; least score of another item {real.min():.3g}; {filler} places of -1")
        if name.startswith("ALS"):
            assert share > 0.02 and filler == 0 and values.max() < -3e38 < real.min()
        else:
            assert share > 0.02 and values.min() == values.max() == 0 < real.min() and (filler > 0) == (way == "all at once")
PYTHON_SCRIPT
echo "as written"
