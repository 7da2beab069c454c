#!/usr/bin/env bash
# pynndescent 0.7.0: `NNDescent(items, metric="dot")`, factors of items of different lengths.
#
# Guess: the nearest are those with the greatest inner products, as with "dot" of other indexes and in `pynndescent.distances.dot`.
# Seen:  items and queries are brought to length 1 first: the ten are those of the cosine (0.96 of them), and distances are 1 - cosine. Of the ten
#        greatest inner products 0.34 are found where lengths are exp(0.3 z), z normal, and 0.08 where they are exp(z), whatever epsilon is. The
#        metric for factors is "inner_product" (0.98 of them).
# So:    popularity, which matrix factorization keeps in the lengths, is taken out of the lists, and recall says so only against inner products.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pynndescent==0.7.0 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from pynndescent import NNDescent
from pynndescent.distances import dot

USERS, ITEMS, WIDTH, K = 200, 2_000, 32, 10

print("pynndescent", version("pynndescent"))
assert version("pynndescent") == "0.7.0"
random = np.random.default_rng(0)
users, drawn = random.normal(size=(USERS, WIDTH)), random.normal(size=(ITEMS, WIDTH))
users = (users / np.linalg.norm(users, axis=1, keepdims=True)).astype(np.float32)
directions = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
lengths = random.normal(size=(ITEMS, 1)).astype(np.float32)


def share(found, best):
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, best)])


for spread in (0.3, 1.0):
    items = directions * np.exp(spread * lengths)
    products = np.argsort(-(users @ items.T), axis=1)[:, :K]
    cosines = np.argsort(-(users @ directions.T), axis=1)[:, :K]
    for metric in ("dot", "inner_product"):
        index = NNDescent(items, metric=metric, random_state=0)
        for epsilon in (0.1, 0.4):
            found, distances = index.query(users, k=K, epsilon=epsilon)
            print(f"{metric}, lengths exp({spread} z), epsilon {epsilon}: {share(found, products):.2f} of the ten greatest products, "
                  f"{share(found, cosines):.2f} of the ten greatest cosines")
        if metric == "dot":
            assert share(found, cosines) > 0.9 and share(found, products) < (0.5 if spread == 0.3 else 0.15)
            cosine = (users[0] * directions[found[0]]).sum(axis=1)
            assert np.allclose(distances[0], 1 - cosine, atol=1e-4)
        else:
            assert share(found, products) > 0.9
long, short = np.float32([3, 0]), np.float32([1, 0])
print(f"distances.dot of (1, 0) with (3, 0): {dot(short, long)}")
PYTHON_SCRIPT
echo "as written"
