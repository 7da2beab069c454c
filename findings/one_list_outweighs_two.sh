#!/usr/bin/env bash
# qdrant-client 1.20.0, its local mode: reciprocal rank fusion of two candidate lists, `FusionQuery(fusion=Fusion.RRF)`.
#
# Guess: an item's score is the sum of 1 / (60 + place) over the lists, as in the paper and in other libraries, so that an item of both lists comes
#        before one of a single list, be it in place 50 of both.
# Seen:  it is 1 / (1 + place): the first item of one list has as much as the third place in both. Of two lists of 50 that share ten items the fused
#        ten hold five of them, and all ten with `RrfQuery(rrf=Rrf(k=61))`, which is the paper's formula.
# So:    a hybrid of two models is the two lists in turn, and does not bring up what both agree on; the same candidates fused elsewhere are another
#        list. Say k, one more than the paper's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check qdrant-client==1.20.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from qdrant_client import QdrantClient, models

LISTED, SHARED, TOP = 50, 10, 10

print("qdrant-client", version("qdrant-client"), f"two lists of {LISTED} that share {SHARED} items, {TOP} asked for")
assert version("qdrant-client") == "1.20.0"
random = np.random.default_rng(0)
one = random.permutation(LISTED).tolist()  # items 0 to 9 are in both lists
two = random.permutation([*range(SHARED), *range(LISTED, 2 * LISTED - SHARED)]).tolist()
places = {"one": {item: place for place, item in enumerate(one, 1)}, "two": {item: place for place, item in enumerate(two, 1)}}
client = QdrantClient(":memory:")
sizes = {name: models.VectorParams(size=1, distance=models.Distance.DOT) for name in places}
client.create_collection("items", vectors_config=sizes)
points = [
    models.PointStruct(id=item, vector={name: [float(LISTED + 1 - of[item])] for name, of in places.items() if item in of})
    for item in sorted({*one, *two})
]
client.upsert("items", points)
lists = [models.Prefetch(query=[1.0], using=name, limit=LISTED) for name in places]


def by_hand(constant):
    scores = {item: sum(1 / (constant + of[item]) for of in places.values() if item in of) for item in {*one, *two}}
    return sorted(scores.values(), reverse=True)[:TOP]


def fused(query):
    found = client.query_points("items", prefetch=lists, query=query, limit=TOP).points
    return [point.score for point in found], sum(point.id < SHARED for point in found)


first = set(client.query_points("items", query=[1.0], using="one", limit=10).points[place].id for place in range(10))
assert first == set(one[:10])
cases = {
    "Fusion.RRF": (models.FusionQuery(fusion=models.Fusion.RRF), 1),
    "Rrf()": (models.RrfQuery(rrf=models.Rrf()), 1),
    "Rrf(k=61)": (models.RrfQuery(rrf=models.Rrf(k=61)), 60),
}
seen = {}
for name, (query, constant) in cases.items():
    scores, seen[name] = fused(query)
    print(f"{name}: {seen[name]} of the {TOP} are in both lists, scores from {scores[0]:.4f} to {scores[-1]:.4f}, as 1 / ({constant} + place)")
    assert np.allclose(scores, by_hand(constant), atol=1e-6)
assert seen["Fusion.RRF"] == seen["Rrf()"] <= TOP // 2 and seen["Rrf(k=61)"] == SHARED
PYTHON_SCRIPT
echo "as written"
