#!/usr/bin/env bash
# pytorch-widedeep 1.7.0: `BinaryNDCG_at_k`.
#
# Guess: an item counts by its place in the list that the scores give.
# Seen:  it counts by its column in the batch: of the k best the one in the first column has the gain of place 1, whatever its score. With k = 10 of
#        10 columns, the default, scores do not enter at all: a perfect model, a random one and one upside down have 1 where the clicked item
#        stands in the first column, and 0.29 where it stands in the last. NDCG_at_k and MAP_at_k of the same library tell the three apart.
# So:    where the clicked item comes first and sampled negatives after it, as most loaders put them, each model has an NDCG@10 of 1, and with k
#        below the number of columns NDCG is the hit rate. Take NDCG_at_k.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==1.26.4
# Its own list asks for spacy and OpenCV
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps pytorch-widedeep==1.7.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import site
import sys
import types
import typing
from importlib.metadata import version

import torch

# The package's own __init__ imports models of text and images; its metrics need two names of it and the types.
for name in ("pytorch_widedeep", "pytorch_widedeep.utils"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [f"{site.getsitepackages()[0]}/{name.replace('.', '/')}"]
sys.modules["pytorch_widedeep.wdtypes"] = types.ModuleType("wdtypes")
for name in ("Dict", "List", "Union", "Optional"):
    setattr(sys.modules["pytorch_widedeep.wdtypes"], name, getattr(typing, name))
sys.modules["pytorch_widedeep.wdtypes"].Tensor = torch.Tensor

from pytorch_widedeep.metrics import BinaryNDCG_at_k, HitRatio_at_k, MAP_at_k, NDCG_at_k

USERS, ITEMS = 200, 10


def measured(metric, scores, clicked):
    return round(float(metric(scores.reshape(-1), clicked.reshape(-1))), 4)


print("pytorch-widedeep", version("pytorch-widedeep"), f"{USERS} users, one clicked item of {ITEMS}")
assert version("pytorch-widedeep") == "1.7.0"
generator = torch.Generator().manual_seed(0)
noise = torch.rand(USERS, ITEMS, generator=generator)
for column, wanted in ((0, 1.0), (9, 0.2891)):
    clicked = torch.zeros(USERS, ITEMS)
    clicked[:, column] = 1
    models = {"perfect": clicked + 0.1 * noise, "random": noise, "upside down": 0.1 * noise - clicked}
    for model, scores in models.items():
        whole = measured(BinaryNDCG_at_k(ITEMS), scores, clicked)
        cut, hits = measured(BinaryNDCG_at_k(ITEMS, 5), scores, clicked), measured(HitRatio_at_k(ITEMS, 5), scores, clicked)
        other, precision = measured(NDCG_at_k(ITEMS), scores, clicked), measured(MAP_at_k(ITEMS), scores, clicked)
        print(f"clicked item in column {column}, {model}: BinaryNDCG@10 {whole}, @5 {cut} (hit rate@5 {hits}), NDCG@10 {other}, MAP {precision}")
        assert whole == wanted
        assert other == {"perfect": 1.0, "upside down": 0.2891}.get(model, other)
        if column == 0:
            assert cut == hits
PYTHON_SCRIPT
echo "as written"
