#!/usr/bin/env bash
# pynndescent 0.7.0: `metric="inner_product"`, users as queries for items.
#
# Guess: the order of inner products does not depend on the length of the query, nor does recall, and a larger `epsilon` finds more, as its documentation
#        says.
# Seen:  the search stops at the worst of the ten so far plus epsilon times its distance from the best of all links between items. Products of a long
#        user are beyond that, the term is below 0, and epsilon makes the search stop earlier. Of items of length 1, recall@10 with epsilon 0.1 is 0.85
#        for users a tenth as long, 0.77 for users of length 1, 0.52 for those of length 4, 0.29 of length 10; with 0.5 it is 1.00, 0.95, 0.27 and 0.09;
#        with 0 it is 0.66 for all.
# So:    factors of users with many rows are long, so they get the worst lists, and turning up the effort makes that worse. Bring queries to a small
#        length before the search: the ranking is the same.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pynndescent==0.7.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from pynndescent import NNDescent

USERS, ITEMS, WIDTH, K = 200, 2_000, 32, 10

print("pynndescent", version("pynndescent"))
assert version("pynndescent") == "0.7.0"
random = np.random.default_rng(0)


def directions(number):
    drawn = random.normal(size=(number, WIDTH))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


items, users = directions(ITEMS), directions(USERS)
best = np.argsort(-(users @ items.T), axis=1)[:, :K]
index = NNDescent(items, metric="inner_product", random_state=0)


def recall(length, epsilon):
    found, _ = index.query(np.float32(length) * users, k=K, epsilon=epsilon)
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, best)])


table = {}
for length in (0.1, 1, 4, 10):
    table[length] = [recall(length, epsilon) for epsilon in (0, 0.1, 0.3, 0.5)]
    print(f"users of length {length}: recall@10 " + ", ".join(f"{one:.2f}" for one in table[length]) + " with epsilon 0, 0.1, 0.3, 0.5")
assert max(row[0] for row in table.values()) - min(row[0] for row in table.values()) < 0.01
assert table[0.1] == sorted(table[0.1]) and table[1] == sorted(table[1]) and table[0.1][3] > 0.97
assert table[4] == sorted(table[4], reverse=True) and table[10] == sorted(table[10], reverse=True)
assert table[4][3] < 0.45 and table[10][3] < 0.2
PYTHON_SCRIPT
echo "as written"
