#!/usr/bin/env bash
# scipy 1.17.1: `scipy.spatial.distance.euclidean(u, v)` and its neighbours, for two rows of ratings in one byte.
#
# Guess: it is the root of `sqeuclidean(u, v)` and what `cdist` has for the two rows, whatever the type of the ratings.
# Seen:  for users with ratings from 1 to 5 in uint8 it is 701 in the mean where `cdist` and the root of `sqeuclidean` have 8.9: 3 less 4 is 255 there.
#        `cityblock` is 1,987 where it is 32, and `cosine` 0.002 where it is 0.177. Of the ten nearest users 0.8, 2.1 and 0.3 are right. Nothing is said, but
#        for the cosine's overflow. In int8 ratings are right, and codes from -127 to 127, to which embeddings are quantised, have no right cosine: 2, 0 or
#        an error.
# So:    `pdist`, `cdist` and `sqeuclidean` turn rows into floats first, the functions of two rows do not. Give them floats, or use `cdist`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from scipy.spatial import distance

print("scipy", version("scipy"), "numpy", version("numpy"))
assert version("scipy") == "1.17.1"

rng = np.random.default_rng(0)
ratings = rng.integers(1, 6, (300, 20))
NAMES = ("euclidean", "cityblock", "sqeuclidean", "cosine")


def measured(rows, name):
    """From the first 50 rows to all others: one pair at a time, and by cdist; the share of the ten nearest that the two have in common."""
    of_two = getattr(distance, name)
    pairs = np.array([[of_two(one, other) for other in rows] for one in rows[:50]], dtype=float)
    right = distance.cdist(rows[:50], rows, name)
    np.fill_diagonal(pairs, np.inf)
    np.fill_diagonal(right, np.inf)
    best = lambda table, row: set(np.argsort(table[row], kind="stable")[:10])
    shared = np.mean([len(best(pairs, row) & best(right, row)) for row in range(50)])
    kept = np.isfinite(right)
    return pairs[kept].mean(), right[kept].mean(), shared


found = {}
for kind in ("uint8", "int8", "float64"):
    for name in NAMES[: 4 if kind != "int8" else 3]:
        found[kind, name] = measured(ratings.astype(kind), name)
        pair, right, shared = found[kind, name]
        print(f"ratings in {kind}, {name}: {pair:.3f} in the mean, by cdist {right:.3f}; {shared:.1f} of the ten nearest are the same")
codes = rng.integers(-127, 128, (300, 64)).astype(np.int8)
cosines = []
for other in codes[1:]:
    try:
        cosines.append(float(distance.cosine(codes[0], other)))
    except ValueError:
        cosines.append("an error")
right = distance.cdist(codes[:1], codes[1:], "cosine")[0]
close = np.mean([one != "an error" and abs(one - other) < 0.01 for one, other in zip(cosines, right)])
print(f"codes in int8, cosine: {close:.2f} are right; the first are {cosines[:5]}, by cdist {right[:5].round(2).tolist()}")
assert found["uint8", "euclidean"][0] > 50 * found["uint8", "euclidean"][1] and found["uint8", "euclidean"][2] < 2
assert found["uint8", "cityblock"][0] > 50 * found["uint8", "cityblock"][1] and found["uint8", "cityblock"][2] < 4
assert found["uint8", "cosine"][0] < 0.05 < found["uint8", "cosine"][1]
assert close < 0.1
for kind, name in found:
    if kind == "float64" or name == "sqeuclidean" or kind == "int8":
        assert abs(found[kind, name][0] - found[kind, name][1]) < 1e-6 and found[kind, name][2] > 9.5
PYTHON_SCRIPT
echo "as written"
