#!/usr/bin/env bash
# scikit-network 0.33.5: `NNLinker`, link prediction, on a biadjacency matrix of users and items, which its documentation names as an input.
#
# Guess: it proposes to a user the new items that are nearest by cosine.
# Seen:  rows of the bipartite adjacency are compared: a user's row has items alone, an item's row users alone, so all cosines are 0. It puts out
#        five links a user all the same (the threshold is 0), the same five items to all: in a log of two genres, where 91 % of a user's rows are of
#        one, half of the links are of it. With `SVD` as the embedding they are what rounding leaves, cosines of 1e-15, and of that genre by 9 to
#        100 % from run to run; with `Spectral` by 98 %. What a user has already is not left out: 18 % of the links, 58 % with `Spectral`.
# So:    as a baseline it is chance in the shape of a result, unless an embedding is passed that brings the two sides together. Look at the weights
#        of the links, and take the known ones out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-network==0.33.5 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from sknetwork.embedding import SVD, Spectral
from sknetwork.linkpred import NNLinker

USERS, ITEMS, LINKS = 200, 60, 5

print("scikit-network", version("scikit-network"))
assert version("scikit-network") == "0.33.5"
random = np.random.default_rng(0)
likes, genre = np.arange(USERS) % 2, np.arange(ITEMS) % 2
rows = sp.csr_matrix((random.random((USERS, ITEMS)) < np.where(likes[:, None] == genre, 0.3, 0.03)).astype(float))
users, items = rows.nonzero()
print(f"{rows.nnz} rows, {np.mean(likes[users] == genre[items]):.0%} of the user's genre")
seen = {}
for name, embedding in (("no embedding", None), ("SVD", SVD(4)), ("Spectral", Spectral(4))):
    links = sp.csr_matrix(NNLinker(n_neighbors=LINKS, threshold=0, embedding_method=embedding).fit_predict(rows)).tocoo()
    right = float(np.mean(likes[links.row] == genre[links.col]))
    known = float(np.mean(rows.toarray()[links.row, links.col]))
    seen[name] = right
    print(f"{name}: {links.nnz} links, {right:.0%} of the user's genre, {known:.0%} known, {len(set(links.col))} different items, "
          f"cosines up to {max(links.data):.1e}")
    assert max(links.data) > 0.5 if name == "Spectral" else max(links.data) < 1e-9
    assert name == "SVD" or links.nnz == USERS * LINKS
by_hand = rows.T @ rows  # what a nearest neighbour would see: items that the same users have
scores = (rows @ by_hand).toarray() - 1e9 * rows.toarray()
best = np.argsort(-scores, axis=1)[:, :LINKS]
hand = float(np.mean(likes[:, None] == genre[best]))
print(f"by common users: {hand:.0%} of the user's genre")
assert abs(seen["no embedding"] - 0.5) < 0.01 and seen["Spectral"] > 0.9 and hand > 0.95
PYTHON_SCRIPT
echo "as written"
