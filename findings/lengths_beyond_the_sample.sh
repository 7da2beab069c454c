#!/usr/bin/env bash
# faiss-cpu 1.15.1: `index_factory(32, "SQ8", METRIC_INNER_PRODUCT)`, trained on a tenth of the items, drawn at random, and filled with all of them.
#
# Guess: a thousand vectors are enough for the range of each dimension, and a value beyond it is kept a little less exactly: a recall@10 of 0.98 for 0.99.
# Seen:  a value beyond the range of the sample becomes the end of the range. The greatest products are with the longest items, of which nine in ten are not in
#        the sample: for lengths exp(z) recall@10 is 0.85, with a sample of 400 0.72, where training on all items has 0.99. For items of one length it is
#        0.98 and 0.96, so a check with vectors of one length shows next to nothing. "IVF64,SQ8" is the same, "SQfp16" is 1.00.
# So:    it looks like the price of 8 bits, and so does what a new item loses that is longer than all before it. Train on all items, or let the longest tenth
#        be the sample (0.99): the coarse cells are what a sample is for, ranges are not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import faiss
import numpy as np

print("faiss", version("faiss-cpu"))
assert version("faiss-cpu") == "1.15.1"
faiss.omp_set_num_threads(1)

ITEMS, USERS, WIDTH, K = 10_000, 200, 32, 10
rng = np.random.default_rng(0)


def recall(factory, items, sample):
    right = np.argsort(-(users @ items.T), axis=1)[:, :K]
    index = faiss.index_factory(WIDTH, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(sample)
    index.add(items)
    if factory.startswith("IVF"):
        index.nprobe = 64
    lists = index.search(users, K)[1]
    return float(np.mean([len(set(one) & set(other)) for one, other in zip(lists.tolist(), right.tolist())])) / K


users = rng.normal(size=(USERS, WIDTH)).astype(np.float32)
directions = rng.normal(size=(ITEMS, WIDTH))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
found = {}
for name, lengths in (("of one length", np.ones(ITEMS)), ("of lengths exp(z)", np.exp(rng.normal(size=ITEMS)))):
    items = (directions * lengths[:, None]).astype(np.float32)
    longest = items[np.argsort(-lengths)[: ITEMS // 10]]
    samples = {"all": items, "a tenth": items[: ITEMS // 10], "400": items[:400], "the longest tenth": longest}
    for factory in ("SQ8", "IVF64,SQ8", "SQfp16"):
        for of, sample in samples.items():
            found[name, factory, of] = recall(factory, items, sample)
        print(f"items {name}, {factory}:", {of: round(found[name, factory, of], 2) for of in samples})
for factory in ("SQ8", "IVF64,SQ8"):
    equal, uneven = ({of: found[name, factory, of] for of in samples} for name in ("of one length", "of lengths exp(z)"))
    assert equal["all"] > 0.96 and equal["a tenth"] > 0.93
    assert uneven["all"] > 0.97 and uneven["a tenth"] < 0.88 and uneven["400"] < 0.82
assert found["of lengths exp(z)", "SQ8", "the longest tenth"] > 0.97
assert all(value > 0.99 for (_, factory, _), value in found.items() if factory == "SQfp16")
PYTHON_SCRIPT
echo "as written"
