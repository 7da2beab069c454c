#!/usr/bin/env bash
# deepctr-torch 0.3.0: a `SparseFeat` with a vocabulary of 20 million items, as hashed ids have, in `fit` and `predict`.
#
# Guess: ids are whole numbers, and each has its own row of the table.
# Seen:  all columns of a batch become one float32 tensor before they are ids again. Above 16,777,216 only even numbers are left: an odd id takes the row
#        of one of its neighbours. 16,777,217 has the score of 16,777,216 and 16,777,219 that of 16,777,220, in training too: the row of an odd
#        item is not moved by its own rows of the log, its neighbour's is.
# So:    of the items above it half have no vector and share the other half's, at any width; the table is paid for in full. Number the items without
#        gaps, or hash below 2^24.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check deepctr-torch==0.3.0 torch==2.13.0 numpy==2.4.6 scikit-learn==1.9.1 requests==2.34.2
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import DeepFM

ITEMS, EDGE = 20_000_000, 2**24

print("deepctr-torch", version("deepctr-torch"))
assert version("deepctr-torch") == "0.3.0"
columns = [SparseFeat("item", ITEMS, embedding_dim=1), SparseFeat("user", 10, embedding_dim=1)]
model = DeepFM(columns, columns, dnn_hidden_units=(4,), l2_reg_linear=0, l2_reg_embedding=0, device="cpu")
table = model.linear_model.embedding_dict["item"].weight  # of the part that is linear, so that scores lie far apart
with torch.no_grad():
    table.copy_(torch.randn(table.shape, generator=torch.Generator().manual_seed(0)))


def scores(ids):
    return model.predict({"item": ids, "user": np.zeros(len(ids), dtype=np.int64)}, batch_size=256).ravel().round(5)


for name, first in (("below", EDGE - 100), ("above", EDGE)):
    ids = np.arange(first, first + 100)
    found = scores(ids)
    print(f"100 items {name} 2^24: {len(set(found.tolist()))} different scores, {found[:5].tolist()}")
    assert len(set(found.tolist())) > 95 if name == "below" else len(set(found.tolist())) <= 51
even = scores(np.array([EDGE, EDGE + 1, EDGE + 3, EDGE + 4]))
assert even[0] == even[1] and even[2] == even[3] and even[0] != even[2]

before = table.detach().clone()
model.compile(torch.optim.SGD(model.parameters(), lr=1.0), "binary_crossentropy")
odd = np.full(64, EDGE + 1)
model.fit({"item": odd, "user": np.zeros(64, dtype=np.int64)}, np.ones(64), batch_size=64, epochs=1, verbose=0)
moved = torch.nonzero((table.detach() != before).ravel()).ravel().tolist()
print(f"64 rows of item {EDGE + 1}: the vectors of {moved} are moved")
assert moved == [EDGE]
PYTHON_SCRIPT
echo "as written"
