#!/usr/bin/env bash
# torchmetrics 1.9.0: `MultilabelRankingLoss` where items have equal scores.
#
# Guess: a model that gives all items one score has a loss of 1, as in scikit-learn, or of 0.5, wherever the relevant items stand.
# Seen:  up to 16 columns equal scores are put in the order of the columns, and the later one counts as the better: the constant model has a loss of 1 where
#        the relevant items are the first columns, 0.5 in the middle and 0, a perfect model's, where they are the last. A model by genre has 0.208 with items
#        numbered from the rarest to the most popular one and 0.384 the other way round. With more columns the order is that of a sort which is not stable:
#        0.18 for one score of 1,000 items on one processor, far from 1 in any case. The module's two other ranking metrics agree with scikit-learn.
#        Logits above 17 are equal too: scores that do not lie in [0, 1] go through a sigmoid first, and 20, 30 and 40 become 1.
# So:    with few different scores, rounded ones, or an item table sorted by popularity this loss is about the numbering. Take scikit-learn's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4 scipy==1.15.3 scikit-learn==1.7.2 torchmetrics==1.9.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
from sklearn.metrics import coverage_error, label_ranking_average_precision_score, label_ranking_loss
from torchmetrics.classification import MultilabelCoverageError, MultilabelRankingAveragePrecision, MultilabelRankingLoss

print("torchmetrics", version("torchmetrics"), "torch", torch.__version__.split("+")[0])
assert version("torchmetrics") == "1.9.0"


def both(metric, of_sklearn, scores, relevant):
    ours = metric(num_labels=scores.shape[1])(torch.tensor(scores, dtype=torch.float32), torch.tensor(relevant))
    return float(ours), float(of_sklearn(relevant, scores))


constant = np.full((20, 10), 0.5)
losses = {}
for columns in ((0, 1), (4, 5), (8, 9)):
    relevant = np.zeros((20, 10), dtype=int)
    relevant[:, columns] = 1
    losses[columns] = both(MultilabelRankingLoss, label_ranking_loss, constant, relevant)
    print(f"one score for ten items, relevant are columns {columns}: loss {losses[columns][0]:.2f}, scikit-learn {losses[columns][1]:.2f}")
    for metric, of_sklearn in (
        (MultilabelCoverageError, coverage_error),
        (MultilabelRankingAveragePrecision, label_ranking_average_precision_score),
    ):
        ours, theirs = both(metric, of_sklearn, constant, relevant)
        assert abs(ours - theirs) < 1e-5
assert [round(ours, 4) for ours, _ in losses.values()] == [1, 0.5, 0] and all(theirs == 1 for _, theirs in losses.values())

# 12 items of a long tail in three genres; users like what is popular and their genre, and the model knows the genre alone.
rng = np.random.default_rng(0)
users, items = 1_000, 12
genre_of_item, genre_of_user = np.arange(items) % 3, rng.integers(0, 3, users)
popularity = rng.permutation(0.3 / (1 + np.arange(items)))
own = genre_of_user[:, None] == genre_of_item
relevant = (rng.random((users, items)) < popularity * np.where(own, 3.0, 1.0)).astype(int)
scores = np.where(own, 0.8, 0.2)
rarest = np.argsort(popularity, kind="stable")
found = {}
for name, order in (("the most popular last", rarest), ("the most popular first", rarest[::-1])):
    found[name] = both(MultilabelRankingLoss, label_ranking_loss, scores[:, order], relevant[:, order])
    print(f"a model by genre, {name}: loss {found[name][0]:.3f}, scikit-learn {found[name][1]:.3f}")
wide = np.zeros((50, 1_000), dtype=int)
wide[:, :2] = 1
far = both(MultilabelRankingLoss, label_ranking_loss, np.full((50, 1_000), 0.5), wide)
print(f"one score for 1,000 items, the first two relevant: loss {far[0]:.2f}, scikit-learn {far[1]:.2f}")

logits = np.array([[20.0, 30.0, 40.0, -1.0]])
best, last = (both(MultilabelRankingLoss, label_ranking_loss, row, wanted) for row, wanted in (
    (logits[:, [2, 1, 0, 3]], np.array([[1, 0, 0, 0]])), (logits[:, [2, 1, 0, 3]], np.array([[0, 0, 1, 0]]))))
print(f"logits 40, 30, 20, -1: loss with the first relevant {best[0]:.2f}, with the third {last[0]:.2f}; scikit-learn {best[1]:.2f} and {last[1]:.2f}")
assert far[1] == 1 and far[0] < 0.9
assert best[0] > 0.6 and last[0] == 0 and best[1] == 0 and last[1] > 0.6
(popular_last, right), (popular_first, same) = found.values()
assert popular_last < popular_first - 0.1 and abs(right - same) < 1e-9 and right > popular_first
PYTHON_SCRIPT
echo "as written"
