#!/usr/bin/env bash
# scipy 1.17.1: `C / C.sum(axis=1)`, C the sparse co-counts of items, as an array (`csr_array`) in place of a matrix (`csr_matrix`).
#
# Guess: the same numbers: each row is divided by its sum, as the same line did for years.
# Seen:  the sum of an array has one axis, and one axis is broadcast along the columns: each column is divided by its sum. C is square and symmetric, so
#        shapes fit and nothing is raised; `C.multiply(1 / C.sum(axis=1))` is the same. The transposed weights are another model: lists of ten share
#        nothing, and what is proposed has 16 users in the mean where it had 93.
# So:    where a loader or a library begins to give out sparse arrays, an item to item model changes by itself. Write the division out:
#        `sp.diags_array(1 / sums) @ C`, or `sums[:, None]`, right for both kinds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp

USERS, ITEMS, K = 500, 200, 10

print("scipy", version("scipy"))
assert version("scipy") == "1.17.1"
random = np.random.default_rng(0)
taste = random.random((USERS, 4)) @ random.random((4, ITEMS)) / 2  # below 1
log = (random.random((USERS, ITEMS)) < taste * np.linspace(0.02, 0.3, ITEMS)).astype(float)
popularity = log.sum(axis=0)


def lists(weights):
    scores = np.asarray((sp.csr_array(log) @ sp.csr_array(weights)).todense()) - 1e9 * log
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def seen(kind, divide):
    rows = kind(log)
    weights = divide(rows.T @ rows)
    dense = np.asarray(weights.todense())
    best = lists(weights)
    return dense.sum(axis=1), dense.sum(axis=0), best


ways = {
    "C / C.sum(axis=1)": lambda c: c / c.sum(axis=1),
    "C.multiply(1 / C.sum(axis=1))": lambda c: c.multiply(1 / c.sum(axis=1)),
    "diags(1 / sums) @ C": lambda c: sp.diags_array(1 / np.asarray(c.sum(axis=1)).ravel()) @ sp.csr_array(c),
}
for name, divide in ways.items():
    found = {}
    for kind in (sp.csr_matrix, sp.csr_array):
        by_row, by_column, best = seen(kind, divide)
        found[kind] = best
        sums = "rows" if np.allclose(by_row, 1) else "columns" if np.allclose(by_column, 1) else "nothing"
        print(f"{name}, {kind.__name__}: {sums} sum to 1; the first row to {by_row[0]:.3f}, the first column to {by_column[0]:.3f}; "
              f"proposed items have {popularity[best].mean():.0f} users in the mean")
        assert sums == ("columns" if kind is sp.csr_array and "diags" not in name else "rows")
    shared = np.mean([len(set(a) & set(b)) / K for a, b in zip(found[sp.csr_matrix], found[sp.csr_array])])
    print(f"   lists of the two kinds share {shared:.2f}")
    assert (shared == 1) if "diags" in name else shared < 0.8
PYTHON_SCRIPT
echo "as written"
