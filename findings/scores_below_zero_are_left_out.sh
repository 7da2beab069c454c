#!/usr/bin/env bash
# sparse-dot-topn 1.2.0: `sp_matmul_topn(users, items, top_n=10)`, the ten greatest products of each user.
#
# Guess: ten items a user, the greatest; `threshold=None` is no threshold.
# Seen:  it is a threshold at 0: products of 0 and below are left out. With log-probability like scores (a bias of -12 for each item) users have
#        3.6 items of ten and 26 % have none, and with `threshold=-1e9` all have ten. With `top_n` as large as the catalog another way is taken,
#        and all 2,000 are there; with 1,999 five.
# So:    short lists and users without a list where scores are distances with a minus, logits or log-probabilities, or have a bias; recall by k
#        stops growing at a k of its own. Give a threshold below all scores. Within a row the order is of no score unless sort=True.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sparse-dot-topn==1.2.0 numpy==1.26.4 scipy==1.15.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from scipy.sparse import csr_matrix
from sparse_dot_topn import sp_matmul_topn

print("sparse-dot-topn", version("sparse-dot-topn"))
assert version("sparse-dot-topn") == "1.2.0"
USERS, ITEMS, K = 300, 2000, 10
random = np.random.default_rng(0)
users, items = random.normal(size=(USERS, 16)), random.normal(size=(ITEMS, 16))
one = csr_matrix(np.eye(2)), csr_matrix(np.array([[-1.0, -3, -2, -4, -5], [0.1, 0.5, 0.3, 0.2, 0.4]]))
lists = sp_matmul_topn(*one, top_n=3, sort=True)
print("scores -1, -3, -2, -4, -5: the three greatest are", lists[0].data.tolist(), "and of 0.1, 0.5, 0.3, 0.2, 0.4", lists[1].data.tolist())
assert lists[0].nnz == 0 and lists[1].data.tolist() == [0.5, 0.4, 0.3]

for bias in (0.0, -6.0, -12.0):
    left, right = csr_matrix(np.hstack([users, np.ones((USERS, 1))])), csr_matrix(np.hstack([items, np.full((ITEMS, 1), bias)]).T)
    found = {threshold: sp_matmul_topn(left, right, top_n=K, sort=True, threshold=threshold) for threshold in (None, -1e9)}
    length = {threshold: np.diff(rows.indptr) for threshold, rows in found.items()}
    exact = np.sort(users @ items.T + bias, axis=1)[:, ::-1][:, :K]
    assert (length[None] == (exact > 0).sum(axis=1)).all()  # what is above 0, and no more
    assert (length[-1e9] == K).all() and np.allclose(found[-1e9].data.reshape(USERS, K), exact)
    everything = {size: float(np.diff(sp_matmul_topn(left, right, top_n=size).indptr).mean()) for size in (ITEMS, ITEMS - 1)}
    print(f"bias {bias:5}: {length[None].mean():.2f} items a list, {np.mean(length[None] == 0):.2f} of the users without; with a threshold of -1e9 "
          f"{length[-1e9].mean():.0f}; top_n={ITEMS} {everything[ITEMS]:.0f}, top_n={ITEMS - 1} {everything[ITEMS - 1]:.1f}")
    assert everything[ITEMS] == ITEMS and everything[ITEMS - 1] < 0.6 * ITEMS
assert length[None].mean() < 5 and np.mean(length[None] == 0) > 0.2
PYTHON_SCRIPT
echo "as written"
