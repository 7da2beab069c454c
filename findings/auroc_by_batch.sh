#!/usr/bin/env bash
# torchmetrics 1.9.0: `BinaryAUROC`, the AUC of a model whose scores are logits or inner products.
#
# Guess: the AUC knows the order of scores alone, and a metric that is updated batch by batch has the value of one update with all rows.
# Seen:  a batch goes through a sigmoid if one of its scores is outside of [0, 1], and stays as it is if none is: scores of two scales are then
#        ranked in one list. 4,000 rows, of which 48 % have such scores, with an AUC of 0.838: it is 0.838 in batches of 16 or more, 0.829 in
#        batches of 4, 0.801 in batches of 2 and 0.768 row by row, and 0.838 in all of them if 10 is taken from each score.
#        BinaryAveragePrecision does the same.
# So:    the smaller the scores and the batches, the more is lost: a matrix factorization after one epoch, or one batch a user, is measured worse
#        than it is, and eval_batch_size changes a table. Pass probabilities.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision

ROWS = 4000


def measured(metric, scores, labels, size):
    for start in range(0, len(scores), size):
        metric.update(scores[start : start + size], labels[start : start + size])
    return float(metric.compute())


def by_hand(scores, labels):
    """The share of pairs of a positive and a negative that stand in the right order; no two scores are equal."""
    positive, negative = scores[labels == 1].double(), scores[labels == 0].double()
    return float((positive[:, None] > negative[None, :]).double().mean())


print("torchmetrics", version("torchmetrics"))
assert version("torchmetrics") == "1.9.0"
random = np.random.default_rng(0)
labels = torch.tensor(random.integers(0, 2, ROWS))
scores = torch.tensor(random.normal(size=ROWS) * 0.6, dtype=torch.float32) + 0.8 * labels
inside = float(((scores >= 0) & (scores <= 1)).double().mean())
true = by_hand(scores, labels)
print(f"{ROWS} rows, {inside:.0%} of the scores in [0, 1], AUC by hand {true:.4f}")
found = {}
for size in (ROWS, 64, 16, 4, 2, 1):
    found[size] = measured(BinaryAUROC(), scores, labels, size)
    shifted = measured(BinaryAUROC(), scores - 10, labels, size)
    precision = measured(BinaryAveragePrecision(), scores, labels, size)
    print(f"batches of {size}: AUROC {found[size]:.4f}, of the same scores less 10 {shifted:.4f}, average precision {precision:.4f}")
    assert abs(shifted - true) < 1e-3
    if size == ROWS:
        whole = precision
    if size <= 4:
        assert precision < whole - 0.005
assert abs(found[ROWS] - true) < 1e-5 and abs(found[64] - true) < 1e-5
assert abs(found[4] - 0.829) < 0.002 and abs(found[2] - 0.801) < 0.002 and abs(found[1] - 0.768) < 0.002

probabilities = torch.sigmoid(scores)
for size in (ROWS, 4, 1):
    assert abs(measured(BinaryAUROC(), probabilities, labels, size) - true) < 1e-3
print("of probabilities: the same for all batches")
PYTHON_SCRIPT
echo "as written"
