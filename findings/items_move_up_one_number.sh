#!/usr/bin/env bash
# faiss-cpu 1.15.1: `index.remove_ids(gone)` for items that were taken off the catalog.
#
# Guess: the items that stay keep their numbers, as they do in `IndexIVFFlat`.
# Seen:  in `IndexFlatIP` (and L2) each item behind a removed one moves up: after 50 of 5,000 are gone recall@10 by number is 0.03, and numbers of
#        removed items are put out again, for others. `IndexIVFFlat` and `IndexIDMap` around a flat index keep the numbers: 1.00.
# So:    a service that goes from IVF to an exact index as its catalog is small shows the title of another item for nearly all of them, from the first
#        removal on. Wrap a flat index in `IndexIDMap`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import faiss
import numpy as np

print("faiss-cpu", version("faiss-cpu"))
assert version("faiss-cpu") == "1.15.1"
ITEMS, USERS, SIZE, K = 5000, 200, 16, 10
random = np.random.default_rng(0)
items = random.normal(size=(ITEMS, SIZE)).astype(np.float32)
users = random.normal(size=(USERS, SIZE)).astype(np.float32)
gone = np.sort(random.choice(ITEMS, 50, replace=False)).astype(np.int64)  # taken off the catalog
scores = users @ items.T
scores[:, gone] = -np.inf
right = np.argsort(-scores, axis=1, kind="stable")[:, :K]

flat = faiss.IndexFlatIP(SIZE)
lists = faiss.IndexIVFFlat(faiss.IndexFlatIP(SIZE), SIZE, 16, faiss.METRIC_INNER_PRODUCT)
lists.nprobe = 16
numbered = faiss.IndexIDMap(faiss.IndexFlatIP(SIZE))
seen = {}
for name, index in (("IndexFlatIP", flat), ("IndexIVFFlat", lists), ("IndexIDMap of IndexFlatIP", numbered)):
    if not index.is_trained:
        index.train(items)
    if index is numbered:
        index.add_with_ids(items, np.arange(ITEMS))
    else:
        index.add(items)
    before = float(np.mean(index.search(users, K)[1] == np.argsort(-(users @ items.T), axis=1, kind="stable")[:, :K]))
    removed = index.remove_ids(gone)
    found = index.search(users, K)[1]
    recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(right, found)]))
    off = float(np.mean(np.isin(found, gone)))
    seen[name] = recall
    print(f"{name}: recall@{K} {before:.2f} before, {removed} removed, {recall:.2f} after; {off:.3f} of all places are removed items")
    assert before > 0.99 and removed == len(gone)
assert seen["IndexFlatIP"] < 0.05 and seen["IndexIVFFlat"] == seen["IndexIDMap of IndexFlatIP"] == 1
kept = np.delete(np.arange(ITEMS), gone)
assert (kept[flat.search(users, K)[1]] == right).all()
PYTHON_SCRIPT
echo "as written"
