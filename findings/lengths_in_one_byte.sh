#!/usr/bin/env bash
# scipy 1.17.1: `scipy.sparse.linalg.norm(plays, axis=0)` of counts in small whole numbers.
#
# Guess: the length of an item's column is what numpy has for the dense matrix, as `norm(plays)` of the whole matrix is.
# Seen:  the norm of the whole is right, those of columns and rows are not: values are squared in their own type and added up after that. In uint8 the square
#        of 16 is 0, so an item with 16 plays by each of 100 users has a length of 0 where it is 160, and one with 17 plays 57. With such lengths 1.7 of an
#        item's ten nearest by cosine are right, and nothing is said. int16 is right up to 181 plays, 256 have a length of 0.
# So:    `plays.astype("float64")` before a norm by row or column, and a test that a normed row has the length 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import norm

print("scipy", version("scipy"), "numpy", version("numpy"))
assert version("scipy") == "1.17.1"

for kind, counts in (("uint8", (15, 16, 17, 32)), ("int16", (181, 256)), ("int32", (16, 256, 1_000))):
    plays = csr_array(np.tile(np.array(counts, dtype=kind), (100, 1)))
    dense = plays.toarray()
    lengths, right = norm(plays, axis=0), np.linalg.norm(dense, axis=0)
    print(f"{kind}, items with {counts} plays by each of 100 users: lengths {lengths.round(1).tolist()}, right {right.round(1).tolist()}")
    assert abs(norm(plays) - np.linalg.norm(dense)) < 1e-6
    if kind == "uint8":
        assert np.allclose(lengths, [150, 0, 57.446, 0], atol=0.01)
        assert np.allclose(right, [150, 160, 170, 320])
    if kind == "int16":
        assert abs(lengths[0] - 1_810) < 0.01 and lengths[1] == 0
    if kind == "int32":
        assert np.allclose(lengths, right)

rng = np.random.default_rng(0)
taste, genre = rng.dirichlet(np.full(8, 0.5), 1_000), rng.dirichlet(np.full(8, 0.5), 300)
means = 60 * (taste @ genre.T) * rng.lognormal(0, 0.7, 300)
dense = np.minimum(rng.poisson(means), 255)
plays = csr_array(dense.astype(np.uint8))


def nearest(lengths):
    cosines = (dense.T @ dense) / np.outer(np.maximum(lengths, 1), np.maximum(lengths, 1))
    np.fill_diagonal(cosines, -1)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :10]


by_scipy, right = nearest(norm(plays, axis=0)), nearest(np.linalg.norm(dense, axis=0))
as_floats = nearest(norm(plays.astype("float64"), axis=0))
shared = np.mean([len(set(one) & set(other)) for one, other in zip(by_scipy, right)])
ratio = norm(plays, axis=0) / np.linalg.norm(dense, axis=0)
print(f"counts of 300 items, {dense.mean():.1f} plays in the mean: lengths are {ratio.min():.2f} to {ratio.max():.2f} of the right ones")
print(f"of the ten nearest items by cosine {shared:.1f} are right")
assert (as_floats == right).mean() > 0.99
assert shared < 6 and ratio.min() < 0.3
PYTHON_SCRIPT
echo "as written"
