#!/usr/bin/env bash
# implicit 0.7.3: what alpha of AlternatingLeastSquares weighs, and what its default means on 0/1 data.
#
# Guess: the confidence of Hu, Koren and Volinsky, c = 1 + alpha r, which its documentation names as the source: an observed pair always
#        weighs more than a missing one, with the default alpha 1 twice as much.
# Seen:  c = alpha r for what is observed and 1 for what is missing. With the default and a matrix of ones nothing is weighted at all, a
#        plain regularised factorisation of zeros and ones; with alpha 0.5, or with stored values below 1, an interaction counts less
#        than its absence. The normal equations of users hold to rounding with that c, and miss by 0.02 to 0.3 with the paper's.
# So:    "alpha 40" of a paper is alpha 41 here for ones, and a grid that goes below 1 searches in another model. Weights of counts or of
#        tf-idf between 0 and 1 have to be raised first.
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

FACTORS, PENALTY = 5, 0.1
seen = (np.random.default_rng(0).random((30, 20)) < 0.3).astype(np.float64)  # users x items, ones


def users_of(items, confidence):
    """User vectors that solve (Y' C Y + penalty) x = Y' C p, with the items Y fixed and p the ones."""
    penalty = PENALTY * np.eye(FACTORS)
    return np.stack([np.linalg.solve((items.T * c) @ items + penalty, (items.T * c) @ p) for c, p in zip(confidence, seen)])


print("implicit", version("implicit"))
assert version("implicit") == "0.7.3"
assert AlternatingLeastSquares(num_threads=1).alpha == 1.0
for alpha in (0.5, 1.0, 2.0, 40.0):
    model = AlternatingLeastSquares(FACTORS, regularization=PENALTY, alpha=alpha, iterations=8, use_cg=False, num_threads=1,
                                    random_state=1, dtype=np.float64)
    model.fit(sp.csr_matrix(seen), show_progress=False)
    users = model.recalculate_user(np.arange(len(seen)), sp.csr_matrix(seen))
    items = np.asarray(model.item_factors, np.float64)
    paper = np.abs(users - users_of(items, 1 + alpha * seen)).max()
    product = np.abs(users - users_of(items, np.where(seen > 0, alpha, 1.0))).max()
    print(f"alpha {alpha:4}: largest difference with c = 1 + alpha r {paper:.3f}, with c = alpha r where observed, else 1: {product:.0e}")
    assert product < 1e-9 and paper > 0.01
PYTHON_SCRIPT
echo "as written"
