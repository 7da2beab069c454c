#!/usr/bin/env bash
# implicit 0.7.3: `AUC_at_k`, `precision_at_k` and `ranking_metrics_at_k`, with k = 10.
#
# Guess: precision is hits by ten, averaged over users; the AUC sees the whole ranking, so an item in place 11 of 5,000 is nearly as good as in
#        place 10.
# Seen:  what is not among the ten is taken to be spread evenly over the rest: one held-out item in place 10 has an AUC of 0.998, in place 11 as in
#        the last place 0.499. Precision is all hits by the sum of min(10, held-out items) over all users: 1 for users with one held-out item that is
#        found anywhere, and where 90 users with one find it and 10 users with 20 find nothing it is 0.47, by hand 0.09, or 0.90 as a mean of shares.
# So:    this AUC is half the hit rate plus a half, and has nothing to do with that of other libraries; this precision is a recall in which a heavy
#        user weighs ten times a light one. Ask for k = all items, and divide by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.evaluation import AUC_at_k, precision_at_k

USERS, ITEMS, K = 100, 5000, 10


class Ranking:
    """In place of a model: whole rankings, of which `recommend` gives the first N."""

    def __init__(self, rankings):
        self.rankings = np.asarray(rankings, dtype=np.int32)

    def recommend(self, users, rows, N=10, **options):
        return self.rankings[users, :N], np.zeros((len(users), N), dtype=np.float32)


def matrix(held):
    users = np.repeat(np.arange(len(held)), [len(items) for items in held])
    return sp.csr_matrix((np.ones(len(users), dtype=np.float32), (users, np.concatenate(held))), shape=(len(held), ITEMS))


print("implicit", version("implicit"))
assert version("implicit") == "0.7.3"
nothing = sp.csr_matrix((USERS, ITEMS), dtype=np.float32)
options = {"show_progress": False, "num_threads": 1}
held = matrix([[0]] * USERS)
areas = {}
for place in (1, 5, 10, 11, 100, ITEMS):
    model = Ranking([np.insert(np.arange(1, ITEMS), place - 1, 0)] * USERS)
    area = {k: AUC_at_k(model, nothing, held, K=k, **options) for k in (K, ITEMS)}
    precision, areas[place] = precision_at_k(model, nothing, held, K=K, **options), area[K]
    true = 1 - (place - 1) / (ITEMS - 1)
    print(f"the held-out item in place {place}: AUC@{K} {area[K]:.3f}, AUC@{ITEMS} {area[ITEMS]:.3f}, by hand {true:.3f}; precision@{K} {precision:.2f}")
    assert abs(area[ITEMS] - true) < 1e-9 and precision == (1 if place <= K else 0)
assert areas[10] > 0.998 and areas[11] == areas[ITEMS] and 0.498 < areas[11] < 0.5
few, many = [[0]] * 90, [list(range(1000, 1020))] * 10
found = precision_at_k(Ranking([np.arange(ITEMS)] * USERS), nothing, matrix(few + many), K=K, **options)
hits = np.array([1] * 90 + [0] * 10)
by_hand = float(np.mean(hits / K)), float(np.mean(hits / np.minimum(K, [1] * 90 + [20] * 10)))
print(f"90 users find their one item, 10 users none of 20: precision@{K} {found:.3f}, hits by {K} {by_hand[0]:.3f}, mean of shares {by_hand[1]:.3f}")
assert abs(found - 90 / (90 + 10 * K)) < 1e-9 and by_hand == (0.09, 0.9)
PYTHON_SCRIPT
echo "as written"
