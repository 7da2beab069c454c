#!/usr/bin/env bash
# Chroma 1.5.9: `collection.add` with ids that the collection has already, as a nightly job adds the vectors of the model that was trained anew.
#
# Guess: it refuses (ids must be unique, and within one call they must), or it replaces.
# Seen:  neither: rows whose ids are there are left out in silence, new ids of the same call are taken. After a second training the 1,000 old items
#        keep the first model's vectors beside 100 new items of the second: recall@10 of the second model's users is 0.11, where it is 1 with
#        `upsert`. The count is right, and so is what `add` returns: nothing.
# So:    a retrained two-tower model looks like a bad one, or like chance, only where it is served. Use `upsert`, or a collection for each model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check chromadb==1.5.9 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error::UserWarning - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import chromadb
import numpy as np
from chromadb.config import Settings

OLD, NEW, FACTORS, USERS, K = 1000, 100, 16, 100, 10

print("Chroma", version("chromadb"))
assert version("chromadb") == "1.5.9"
client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
random = np.random.default_rng(0)
monday = random.standard_normal((OLD, FACTORS))
tuesday = random.standard_normal((OLD + NEW, FACTORS))  # trained anew: other axes
users = random.standard_normal((USERS, FACTORS))
wanted = np.argsort(-(users @ tuesday.T), axis=1)[:, :K]


def names(items):
    return [f"item {item}" for item in range(items)]


recalls = {}
for how in ("add", "upsert"):
    items = client.create_collection(how, embedding_function=None, configuration={"hnsw": {"space": "ip", "ef_search": OLD + NEW}})
    items.add(ids=names(OLD), embeddings=monday, metadatas=[{"model": "monday"}] * OLD)
    answer = getattr(items, how)(ids=names(OLD + NEW), embeddings=tuesday, metadatas=[{"model": "tuesday"}] * (OLD + NEW))
    of_tuesday = len(items.get(where={"model": "tuesday"})["ids"])
    found = items.query(query_embeddings=users, n_results=K)["ids"]
    recalls[how] = float(np.mean([len({f"item {item}" for item in one} & set(other)) / K for one, other in zip(wanted, found)]))
    kept = np.allclose(items.get(ids=["item 0"], include=["embeddings"])["embeddings"][0], monday[0], atol=1e-6)
    print(f"{how}: answers {answer}, {items.count()} items, {of_tuesday} of Tuesday's model, recall@{K} {recalls[how]:.2f}")
    assert items.count() == OLD + NEW and of_tuesday == (NEW if how == "add" else OLD + NEW) and kept == (how == "add")
assert recalls["add"] < 0.2 and recalls["upsert"] > 0.99
try:
    items.add(ids=["item x", "item x"], embeddings=tuesday[:2])
    raise AssertionError("taken")
except chromadb.errors.DuplicateIDError as error:
    print("twice in one call:", str(error)[:60])
PYTHON_SCRIPT
echo "as written"
