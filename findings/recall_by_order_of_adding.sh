#!/usr/bin/env bash
# voyager 2.2.3: an index of inner products, and item vectors of different lengths.
#
# Guess: what an index finds hardly depends on the order in which items were added; the default query_ef of 10 costs some recall, for any data.
# Seen:  the order decides. 3,000 items, lengths of a lognormal with sigma 1, added in the order of their ids: recall@10 is 0.12, and 0.74 with
#        query_ef 1000, a third of the catalogue; added from the longest to the shortest 0.90, and 1 with query_ef 200. For vectors of one
#        length both orders are alike. Inner products become distances through a further coordinate; there the long vectors, which are the
#        answers, lie apart from all others, and the graph leads to them where they were its first nodes. With that coordinate set by hand and
#        Space.Euclidean it is the same.
# So:    vectors of BPR, ALS and the like are longer for popular items, so an index filled by item id serves a tenth of the right items, and no
#        warning says so. Add items from the longest vector to the shortest.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check voyager==2.2.3 numpy==1.26.4
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from voyager import Index, Space

ITEMS, USERS, SIZE, K = 3000, 200, 32, 10
random = np.random.default_rng(0)
directions = random.normal(size=(ITEMS, SIZE))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
users = random.normal(size=(USERS, SIZE)).astype(np.float32)
lengths = {"one length": np.ones(ITEMS), "lognormal": random.lognormal(0, 1, ITEMS)}


def recall(items, order, effort, space=Space.InnerProduct):
    """The share of the true K best items that the index returns, when items are added in this order by one thread."""
    truth = np.argsort(-(users @ items.T), axis=1)[:, :K]
    queries = users
    if space is Space.Euclidean:  # by hand: the coordinate that makes inner products distances
        squares = (items**2).sum(1)
        items = np.c_[items, np.sqrt(squares.max() - squares)].astype(np.float32)
        queries = np.c_[users, np.zeros(USERS)].astype(np.float32)
    index = Index(space, num_dimensions=items.shape[1], random_seed=1)
    index.add_items(items[order], ids=order.tolist(), num_threads=1)
    found, _ = index.query(queries, k=K, num_threads=1, query_ef=effort)
    return float(np.mean([len(set(row) & set(true)) / K for row, true in zip(found.tolist(), truth.tolist())]))


print("voyager", version("voyager"), f"recall@{K}")
assert version("voyager") == "2.2.3"
seen = {}
for name, length in lengths.items():
    items = (directions * length[:, None]).astype(np.float32)
    orders = {"by id": np.arange(ITEMS), "longest first": np.argsort(-length, kind="stable")}
    for order, ids in orders.items():
        for effort in (10, 200, 1000):
            seen[name, order, effort] = recall(items, ids, effort)
        print(f"{name}, {order}: " + ", ".join(f"{seen[name, order, effort]:.2f} with query_ef {effort}" for effort in (10, 200, 1000)))
items = (directions * lengths["lognormal"][:, None]).astype(np.float32)
by_hand = {order: recall(items, ids, 200, Space.Euclidean) for order, ids in orders.items()}
print("lognormal, coordinate by hand, query_ef 200: " + ", ".join(f"{order} {value:.2f}" for order, value in by_hand.items()))
assert by_hand["longest first"] > 0.99 and by_hand["by id"] < 0.7
for order in ("by id", "longest first"):
    assert seen["one length", order, 200] > 0.99
assert abs(seen["one length", "by id", 10] - seen["one length", "longest first", 10]) < 0.05
assert seen["lognormal", "longest first", 10] > 0.8 and seen["lognormal", "longest first", 200] > 0.99
assert seen["lognormal", "by id", 10] < 0.3 and seen["lognormal", "by id", 1000] < 0.9
PYTHON_SCRIPT
echo "as written"
