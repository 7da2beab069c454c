#!/usr/bin/env bash
# lightfm-next 1.19.0: `precision_at_k` and `auc_score` of a model whose items are their features alone (genres), so many have one score.
#
# Guess: items of equal scores stand in some order, or count as half: a model that knows the right one of eight genres has a precision@5 of about
#        the share that a draw from that genre has, and a constant model an AUC of 0.5.
# Seen:  an item's rank counts all others of its score before it: of the 40 or so unseen items of one genre each has the last place, and none is
#        in the first five: precision@5 is 0 where a draw among equals has 0.10, the AUC 0.71 where it is 0.77. A constant model has an AUC
#        of -0.007.
# So:    a content model, a popularity with equal counts, cold items or quantized scores lose against any model with noise in its scores, and the hybrid
#        with an identity for each item "gains" all of it. Score with `predict` and rank elsewhere, or add a little noise (0.001) to
#        `item_biases` before measuring.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightfm-next==1.19.0 numpy==1.26.4 scipy==1.15.3 scikit-learn==1.7.2
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from lightfm import LightFM
from lightfm.evaluation import auc_score, precision_at_k
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.metrics import roc_auc_score

print("lightfm-next", version("lightfm-next"))
assert version("lightfm-next") == "1.19.0"
USERS, ITEMS, GENRES, K = 200, 400, 8, 5
random = np.random.default_rng(0)
genre, liked = np.arange(ITEMS) % GENRES, random.integers(0, GENRES, USERS)
rows = random.random((USERS, ITEMS)) < np.where(genre == liked[:, None], 0.25, 0.02)
test = rows & (random.random(rows.shape) < 0.3)
train = rows & ~test
users = np.flatnonzero(test.any(axis=1))
train_rows, test_rows = (coo_matrix(part.astype(np.float32)) for part in (train, test))


def measured(model, features=None, left_out=train_rows):
    """Precision@5 and AUC of LightFM, the same of its scores with a draw among equals (20 draws), and by scikit-learn."""
    its_own = [float(metric.mean()) for metric in (precision_at_k(model, test_rows, left_out, k=K, item_features=features),
                                                   auc_score(model, test_rows, left_out, item_features=features))]
    scores = np.stack([model.predict(np.full(ITEMS, user), np.arange(ITEMS), item_features=features) for user in range(USERS)])
    drawn = np.where(train, -np.inf, scores)
    first = [np.lexsort((random.random(ITEMS), -drawn[user]))[:K] for _ in range(20) for user in users]
    by_draw = float(np.mean([test[user, found] for user, found in zip(np.tile(users, 20), first)]))
    by_pairs = float(np.mean([roc_auc_score(test[user][~train[user]], scores[user][~train[user]]) for user in users]))
    return *its_own, by_draw, by_pairs


genres = csr_matrix(np.eye(GENRES, dtype=np.float32)[genre])
model = LightFM(no_components=16, loss="warp", random_state=0).fit(train_rows, item_features=genres, epochs=15)
shown = {"by genre": measured(model, genres)}
model = LightFM(no_components=16, loss="warp", random_state=0).fit(train_rows, epochs=1)
model.item_embeddings[:] = model.item_biases[:] = 0
shown["constant"] = measured(model)
model.item_biases[:] = random.normal(size=ITEMS) * 1e-3
shown["0.001 of noise"] = measured(model)
for name, (precision, auc, by_draw, by_pairs) in shown.items():
    print(f"{name:13}: precision@5 {precision:.3f}, with a draw among equals {by_draw:.3f}; AUC {auc:.3f}, by scikit-learn {by_pairs:.3f}")
precision, auc, by_draw, by_pairs = shown["by genre"]
assert precision == 0 and by_draw > 0.08 and auc < by_pairs - 0.04
precision, auc, by_draw, by_pairs = shown["constant"]
assert precision == 0 and by_draw > 0.01 and -0.02 < auc < 0 and by_pairs == 0.5
precision, auc, by_draw, by_pairs = shown["0.001 of noise"]
assert abs(auc - by_pairs) < 0.01 and precision > 0
PYTHON_SCRIPT
echo "as written"
