#!/usr/bin/env bash
# datasketch 2.0.0: `MinHashLSHForest.query(minhash, k)`, the k nearest items by the users that they share.
#
# Guess: an approximation of the ten nearest, best first, as from faiss, hnswlib or annoy.
# Seen:  they are put into a set and come out in the order of Python's hashes: with names as keys another order in each process, so the item
#        itself stands first in a tenth of its own lists of ten, and no list is in order. The members are the same each time, but those
#        of the last level are taken in the order of their buckets, not by similarity: recall@10 is 0.76, of 50 put in order 0.87.
# So:    a metric with places (NDCG, MRR, the hit rate@1) of "similar items" changes with PYTHONHASHSEED, and `query(m, 100)[:10]` is a random tenth.
#        Ask for several times k, and order by `minhash.jaccard` of the signatures.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasketch==2.0.0 numpy==2.4.6 scipy==1.17.1
cat > "$work/lists.py" <<'PYTHON_SCRIPT'
import json

import numpy as np
from datasketch import MinHash, MinHashLSHForest

ITEMS, GROUPS, K = 300, 20, 10
random = np.random.default_rng(0)
base = [random.choice(2000, 60, replace=False) for _ in range(GROUPS)]
users = [{int(user) for user in base[item % GROUPS] if random.random() < random.uniform(0.6, 1)} for item in range(ITEMS)]  # who has item
signatures = []
for having in users:
    signature = MinHash(num_perm=128, seed=1)
    signature.update_batch([str(user).encode() for user in sorted(having)])
    signatures.append(signature)
forest = MinHashLSHForest(num_perm=128)
for item, signature in enumerate(signatures):
    forest.add(f"item{item}", signature)
forest.index()
lists = [[int(key[4:]) for key in forest.query(signature, K)] for signature in signatures]
likeness = np.array([[len(a & b) / len(a | b) for b in users] for a in users])
ranked = [sorted(range(ITEMS), key=lambda other: -signatures[item].jaccard(signatures[other]))[:K] for item in range(ITEMS)]
asked = [[int(key[4:]) for key in forest.query(signature, 5 * K)] for signature in signatures]
again = [sorted(found, key=lambda other: -signatures[item].jaccard(signatures[other]))[:K] for item, found in enumerate(asked)]
best = np.argsort(-likeness, axis=1, kind="stable")[:, :K]


def recall(found):
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, best.tolist(), strict=True)]))


print(json.dumps({
    "lists": lists,
    "members": [sorted(found) for found in lists],
    "self_first": float(np.mean([found[0] == item for item, found in enumerate(lists)])),
    "ordered": float(np.mean([(np.diff(likeness[item, found]) <= 0).all() for item, found in enumerate(lists)])),
    "recall": recall(lists),
    "recall_of_50_ordered": recall(again),
    "again": again,
    "recall_of_all_signatures": recall(ranked),
}))
PYTHON_SCRIPT
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - "$work/lists.py" <<'PYTHON_SCRIPT'
import json
import os
import subprocess
import sys
from importlib.metadata import version

print("datasketch", version("datasketch"))
assert version("datasketch") == "2.0.0"
runs = [
    json.loads(subprocess.run([sys.executable, sys.argv[1]], env={**os.environ, "PYTHONHASHSEED": str(seed)}, check=True, stdout=-1).stdout)
    for seed in (1, 2)
]
for run in runs:
    print(f"the item itself first in {run['self_first']:.3f} of the lists, best first throughout in {run['ordered']:.3f}, recall {run['recall']:.3f}; "
          f"of 50 ordered by signature {run['recall_of_50_ordered']:.3f}, of all {run['recall_of_all_signatures']:.3f}")
    assert run["self_first"] < 0.25 and run["ordered"] < 0.05
    assert run["recall"] + 0.05 < run["recall_of_50_ordered"]
same = sum(a == b for a, b in zip(runs[0]["lists"], runs[1]["lists"], strict=True)) / len(runs[0]["lists"])
print(f"two hash seeds: the same members {runs[0]['members'] == runs[1]['members']}, the same lists {same:.3f}, the same after ordering "
      f"{runs[0]['again'] == runs[1]['again']}")
assert runs[0]["members"] == runs[1]["members"] and same < 0.05
PYTHON_SCRIPT
echo "as written"
