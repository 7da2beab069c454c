#!/usr/bin/env bash
# pytorch-metric-learning 2.9.0: `distances.DotProductSimilarity()` in a loss, for vectors of users and items that are served by inner product.
#
# Guess: the inner products of the vectors, so a loss can make an item's vector longer or shorter.
# Seen:  vectors are brought to length 1 first (`normalize_embeddings` is True), so it is `CosineSimilarity`: (3, 0) times (3, 0) is 1, a loss is the same for
#        vectors three times as long, and no gradient points along a vector. `LpDistance` and `SNRDistance` do the same.
# So:    popularity has no place in the lengths, which stay what they were at the start and then order the served lists. `normalize_embeddings=False` has
#        inner products, or serve cosines.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 pytorch-metric-learning==2.9.0 scikit-learn==1.7.2 scipy==1.15.3 numpy==1.26.4 tqdm==4.67.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity
from pytorch_metric_learning.losses import NTXentLoss

print("pytorch-metric-learning", version("pytorch-metric-learning"), "torch", torch.__version__.split("+")[0])
assert version("pytorch-metric-learning") == "2.9.0"
torch.manual_seed(0)
few = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
kinds = {"as it is": DotProductSimilarity(), "normalize_embeddings=False": DotProductSimilarity(normalize_embeddings=False)}
for name, kind in kinds.items():
    print(name, [[round(value, 2) for value in row] for row in kind(few, few).tolist()])
assert torch.allclose(kinds["as it is"](few, few), CosineSimilarity()(few, few))
assert torch.allclose(kinds["normalize_embeddings=False"](few, few), few @ few.T)

ends = {}
for name, kind in kinds.items():
    torch.manual_seed(1)
    loss_of = NTXentLoss(temperature=1.0, distance=kind)
    users, items = (torch.randn(64, 16, requires_grad=True) for _ in range(2))
    labels = torch.arange(64)  # row i of one belongs to row i of the other

    def loss_at(length):
        return loss_of(length * users, labels, ref_emb=length * items, ref_labels=labels.clone())

    loss, longer = loss_at(1), loss_at(3)
    (gradient,) = torch.autograd.grad(loss, items)
    along = float(((gradient * items).sum(dim=1).abs() / (gradient.norm(dim=1) * items.norm(dim=1))).max())
    print(f"{name}: loss {float(loss):.4f}, of vectors three times as long {float(longer):.4f}; greatest cosine of a gradient with its vector {along:.6f}")
    ends[name] = float(loss), float(longer), along
loss, longer, along = ends["as it is"]
assert abs(loss - longer) < 1e-4 and along < 1e-4
loss, longer, along = ends["normalize_embeddings=False"]
assert abs(loss - longer) > 0.1 and along > 0.01
PYTHON_SCRIPT
echo "as written"
