#!/usr/bin/env bash
# gensim 4.4.0: a `KeyedVectors` that is asked for neighbours, gets new vectors for its items by `add_vectors(..., replace=True)`, and is asked again.
#
# Guess: the second answer is by the new vectors, their directions and their lengths, as `similarity` of two items is.
# Seen:  products are by the new vectors, and are divided by the lengths of the old ones, which the first question has put aside: where lengths are exp(0.7 z)
#        0.10 of each item's ten are right, the greatest "cosine" is 11.5, and `similarity` of the same two items is right. So too by `vectors[name] = vector`;
#        1.00 where nobody has asked before. Where vectors are added beside the old ones the next question raises.
# So:    a server that reads each night's item vectors into the object it has proposes the items that were short yesterday. `fill_norms(force=True)` after each
#        change, or a new object.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check gensim==4.4.0 numpy==1.26.4 scipy==1.15.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error::UserWarning - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from gensim.models import KeyedVectors

print("gensim", version("gensim"))
assert version("gensim") == "4.4.0"

ITEMS, WIDTH = 1_000, 32
rng = np.random.default_rng(0)
names = [f"item {number}" for number in range(ITEMS)]


def drawn():
    return (rng.normal(size=(ITEMS, WIDTH)) * np.exp(0.7 * rng.normal(size=(ITEMS, 1)))).astype(np.float32)


first, second = drawn(), drawn()
directions = second / np.linalg.norm(second, axis=1, keepdims=True)
cosines = directions @ directions.T
np.fill_diagonal(cosines, -1)
right = np.argsort(-cosines, axis=1)[:, :10]


def share(asked_before, mend=False, by_name=False):
    """Of each of 100 items' ten neighbours after its vector was replaced: right ones, and the greatest cosine that is reported."""
    vectors = KeyedVectors(WIDTH)
    vectors.add_vectors(names, first)
    if asked_before:
        vectors.most_similar("item 0")
    if by_name:
        for name, vector in zip(names, second):
            vectors[name] = vector
    else:
        vectors.add_vectors(names, second, replace=True)
    if mend:
        vectors.fill_norms(force=True)
    assert np.array_equal(vectors["item 7"], second[7]) and abs(vectors.similarity("item 0", "item 7") - cosines[0, 7]) < 1e-5
    lists = [vectors.most_similar(name, topn=10) for name in names[:100]]
    numbers = [{int(name.split()[1]) for name, _ in one} for one in lists]
    found = np.mean([len(own & set(other)) / 10 for own, other in zip(numbers, right[:100].tolist())])
    return float(found), max(one[0][1] for one in lists)


found = {}
for name, given in (
    ("not asked before", {"asked_before": False}),
    ("asked before, add_vectors(replace=True)", {"asked_before": True}),
    ("asked before, vectors[name] = vector", {"asked_before": True, "by_name": True}),
    ("asked before, then fill_norms(force=True)", {"asked_before": True, "mend": True}),
):
    found[name] = share(**given)
    print(f"{name}: {found[name][0]:.2f} of the ten are right, greatest cosine {found[name][1]:.2f}")
for name in ("not asked before", "asked before, then fill_norms(force=True)"):
    assert found[name][0] > 0.99 and found[name][1] < 1
for name in ("asked before, add_vectors(replace=True)", "asked before, vectors[name] = vector"):
    assert found[name][0] < 0.2 and found[name][1] > 3
PYTHON_SCRIPT
echo "as written"
