#!/usr/bin/env bash
# usearch 2.26.6: the search effort of an index that was saved.
#
# Guess: an index that was saved and restored searches as before, as faiss' HNSW does (its efSearch is in the file).
# Seen:  Index.restore gives expansion_search back as the default 64, whatever it was; recall of the ten best of 20,000 vectors falls from
#        1.00 to about 0.95. What it is built with (connectivity, expansion_add) and the metric come back.
# So:    recall that was measured when the index was exported does not hold for who loads it. Set expansion_search after restoring, or
#        load into an Index that was made with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import numpy as np
import usearch
from usearch.index import Index

EFFORT, K = 512, 10
random = np.random.default_rng(0)
items = random.standard_normal((20_000, 32), dtype=np.float32)
users = random.standard_normal((200, 32), dtype=np.float32)
best = np.argsort(-(users @ items.T), axis=1)[:, :K]


def recall(index):
    found = index.search(users, K, threads=1).keys
    return float(np.mean([len(set(row) & set(true)) / K for row, true in zip(found, best, strict=True)]))


built = Index(ndim=32, metric="ip", dtype="f32", expansion_search=EFFORT)
built.add(np.arange(len(items)), items, threads=1)
built.save("items.usearch")
restored = Index.restore("items.usearch")
loaded = Index(ndim=32, metric="ip", dtype="f32", expansion_search=EFFORT)
loaded.load("items.usearch")

print("usearch", usearch.__version__)
for name, index in {"built": built, "Index.restore": restored, "load into an Index": loaded}.items():
    print(f"{name:20} expansion_search {index.expansion_search:4}  recall@{K} {recall(index):.3f}")

assert usearch.__version__ == "2.26.6"
assert (built.expansion_search, restored.expansion_search, loaded.expansion_search) == (512, 64, 512)
assert recall(built) > 0.99
assert recall(loaded) > 0.99
assert recall(restored) < 0.98
restored.expansion_search = EFFORT
assert recall(restored) > 0.99
PYTHON_SCRIPT
echo "as written"
