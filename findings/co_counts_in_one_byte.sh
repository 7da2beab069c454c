#!/usr/bin/env bash
# scipy 1.17.1: the Gram matrix of interactions kept as int8, uint8 or bool to save memory, `rows.T @ rows`, of which ItemKNN and EASE are made.
#
# Guess: a product of sparse matrices counts, as `rows.sum(axis=0)` does, which has 705 users of an item whatever the type.
# Seen:  the sum goes over to 64 bits, the product stays in one byte and wraps: 705 users are -63 in int8, 193 in uint8 and 1 in bool, where all
#        pairs with a common user are equal. Without a warning recall@10 of EASE is 0.126, 0.095 and 0.010 where it is 0.396.
# So:    counts by item look right while similarities are noise for each item with more than 127 users, the popular ones. Cast to float32 or int32
#        before the product.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp

USERS, ITEMS, GROUPS, K, RIDGE = 3000, 200, 10, 10, 100.0

print("scipy", version("scipy"), "numpy", version("numpy"))
assert version("scipy") == "1.17.1" and version("numpy") == "2.4.6"
random = np.random.default_rng(0)
taste = np.exp(2.0 * (np.arange(USERS)[:, None] % GROUPS == np.arange(ITEMS) % GROUPS) - np.arange(ITEMS) / 60)
seen = random.random((USERS, ITEMS)) < 20 * taste / taste.sum(axis=1, keepdims=True)
test = seen & (random.random((USERS, ITEMS)) < 0.2)
train = seen & ~test
found = {}
for kind in (np.float32, np.int32, np.int8, np.uint8, bool):
    rows = sp.csr_matrix(train).astype(kind)
    counts = np.asarray(rows.sum(axis=0)).ravel()
    together = (rows.T @ rows).toarray()
    assert (counts == train.sum(axis=0)).all()
    inverse = np.linalg.inv(together.astype(np.float64) + RIDGE * np.eye(ITEMS))
    weights = -inverse / np.diag(inverse)  # EASE
    np.fill_diagonal(weights, 0)
    scores = train.astype(np.float64) @ weights
    scores[train] = -np.inf
    lists = np.argsort(-scores, axis=1)[:, :K]
    hits = np.take_along_axis(test, lists, axis=1).sum(axis=1)
    held = test.sum(axis=1)
    found[kind.__name__] = float((hits[held > 0] / held[held > 0]).mean())
    print(f"{kind.__name__}: users of item 0 by the sum {counts[0]}, by the product {int(together[0, 0])}; of items 0 and 10 {int(together[0, 10])}; "
          f"recall@{K} of EASE {found[kind.__name__]:.3f}")
assert found["float32"] == found["int32"] > 0.35
assert max(found["int8"], found["uint8"], found["bool"]) < found["float32"] / 2
PYTHON_SCRIPT
echo "as written"
