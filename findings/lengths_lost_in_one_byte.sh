#!/usr/bin/env bash
# usearch 2.26.6: `Index(ndim, metric="ip", dtype="i8")`, an index of inner products whose vectors are kept in one byte a number.
#
# Guess: one byte costs a few hundredths of recall@10, for inner products as for cosines; the length of an item's vector counts, as in f32, f16 and bf16.
# Seen:  each vector is brought to one length before it becomes bytes, so the index has the order of the cosine: of the ten with the greatest products 0.17
#        are found where lengths are exp(0.5 z), the share that the cosine's ten have, and 0.96 of the cosine's. "l2sq" finds 0.47 of the ten nearest.
#        f32, f16 and bf16 find 0.99 and more of them. All this with `exact=True`, so that nothing but the bytes is at fault; nothing is said.
# So:    factors whose lengths hold the popularity of an item lose it by the choice of `dtype`. Take f16 or bf16 for products; or add a coordinate that makes
#        all items equally long (`sqrt(longest^2 - length^2)`, 0 for users), which bytes can hold: 0.95.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from usearch.index import Index

print("usearch", version("usearch"))
assert version("usearch") == "2.26.6"

ITEMS, USERS, WIDTH, K = 3_000, 200, 32, 10
rng = np.random.default_rng(0)
directions = rng.normal(size=(ITEMS, WIDTH))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
items = (directions * np.exp(0.5 * rng.normal(size=(ITEMS, 1)))).astype(np.float32)
users = rng.normal(size=(USERS, WIDTH)).astype(np.float32)
greatest = np.argsort(-(users @ items.T), axis=1)[:, :K]
nearest = np.argsort(((users[:, None] - items[None]) ** 2).sum(axis=2), axis=1)[:, :K]
by_angle = np.argsort(-(users @ directions.T), axis=1)[:, :K]


def share(found, wanted):
    return float(np.mean([len(set(one) & set(other)) for one, other in zip(found.tolist(), wanted.tolist())])) / K


def lists(metric, dtype, vectors=items, queries=users):
    index = Index(ndim=vectors.shape[1], metric=metric, dtype=dtype)
    index.add(np.arange(ITEMS), vectors)
    return index.search(queries, K, exact=True).keys


table = {}
for metric, wanted in (("ip", greatest), ("l2sq", nearest)):
    for dtype in ("f32", "f16", "bf16", "i8"):
        found = lists(metric, dtype)
        table[metric, dtype] = share(found, wanted), share(found, by_angle)
        print(f"{metric} in {dtype}: {table[metric, dtype][0]:.2f} of the right ten, {table[metric, dtype][1]:.2f} of the cosine's")
print(f"the cosine's ten are {share(by_angle, greatest):.2f} of those by product and {share(by_angle, nearest):.2f} of the nearest")
lengths = np.linalg.norm(items, axis=1, keepdims=True)
levelled = np.hstack([items, np.sqrt(np.maximum(lengths.max() ** 2 - lengths**2, 0))]).astype(np.float32)
mended = share(lists("ip", "i8", levelled, np.hstack([users, np.zeros((USERS, 1), np.float32)])), greatest)
print(f"ip in i8, all items made equally long by one more coordinate: {mended:.2f}")
for metric in ("ip", "l2sq"):
    assert all(table[metric, dtype][0] > 0.98 for dtype in ("f32", "f16", "bf16"))
    assert table[metric, "i8"][1] > 0.9 and table[metric, "i8"][0] < 0.6
assert table["ip", "i8"][0] < 0.25 and mended > 0.85
PYTHON_SCRIPT
echo "as written"
