#!/usr/bin/env bash
# LightGBM 4.7.0: the NDCG that its ranker is stopped by, for the same validation rows in another order.
#
# Guess: NDCG@10 of a query depends on scores and labels, not on where its rows stand; a user without a positive is left out or counts 0.
# Seen:  items of equal score are ranked in the order of their rows, and a few small trees give many equal scores. With each user's positives
#        first, as a join or a sort by label leaves them, the first tree has 0.90 and is never beaten, so that early stopping keeps one tree
#        of 150; with the same rows shuffled the first has 0.79, and the best is the 39th with 0.80. And a user without a positive counts as
#        1: those who have one are at 0.43 and 0.46.
# So:    shuffle the rows within each user, and leave out users without a positive, or the number says how many there are of them (63 % here)
#        and the model in use is the first tree. MAP counts them as 1 too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import lightgbm
import numpy as np

USERS, ITEMS, POSITIVES, TREES = 400, 40, 3, 150
OPTIONS = {"objective": "lambdarank", "metric": ["ndcg", "map"], "eval_at": [10], "num_leaves": 4, "learning_rate": 0.05, "seed": 1,
           "num_threads": 1, "deterministic": True, "verbose": -1}


def candidates(seed, positives_first):
    """Features and labels of each user's candidates; who has positives."""
    random = np.random.default_rng(seed)
    features = random.standard_normal((USERS, ITEMS, 4)).round(1)
    liking = features[..., 0] + 1.5 * random.standard_normal((USERS, ITEMS))
    has = random.random(USERS) < 0.4
    labels = np.zeros((USERS, ITEMS))
    np.put_along_axis(labels, np.argsort(-liking, axis=1)[:, :POSITIVES], 1.0, axis=1)
    labels *= has[:, None]
    if positives_first:
        order = np.argsort(-labels, axis=1, kind="stable")
        labels, features = np.take_along_axis(labels, order, axis=1), np.take_along_axis(features, order[..., None], axis=1)
    return features, labels, has


def as_data(features, labels, **given):
    return lightgbm.Dataset(features.reshape(-1, 4), labels.ravel(), group=[ITEMS] * len(labels), free_raw_data=False, **given)


train = as_data(*candidates(1, False)[:2])
print("LightGBM", version("lightgbm"))
assert version("lightgbm") == "4.7.0"
seen = {}
for positives_first in (False, True):
    features, labels, has = candidates(2, positives_first)
    parts = {"all": as_data(features, labels, reference=train), "with": as_data(features[has], labels[has], reference=train),
             "without": as_data(features[~has], labels[~has], reference=train)}
    lightgbm.train(OPTIONS, train, TREES, valid_sets=list(parts.values()), valid_names=list(parts),
                   callbacks=[lightgbm.record_evaluation(history := {})])
    everyone, some = history["all"]["ndcg@10"], history["with"]["ndcg@10"]
    best = int(np.argmax(everyone))
    seen[positives_first] = everyone, some, best + 1
    print(f"positives first {positives_first!s:5}: NDCG@10 {everyone[0]:.4f} after 1 tree, best {everyone[best]:.4f} after {best + 1}, "
          f"last {everyone[-1]:.4f}; of users with positives {some[0]:.4f} and {some[-1]:.4f}")
    assert all(set(history["without"][f"{metric}@10"]) == {1.0} for metric in ("ndcg", "map"))
    assert np.allclose(everyone, has.mean() * np.array(some) + 1 - has.mean())
print(f"users without a positive ({1 - has.mean():.0%}): NDCG and MAP are 1")
assert seen[True][2] == 1 and seen[False][2] > 10
assert seen[True][0][0] > seen[True][0][-1] + 0.05 and seen[False][0][0] < seen[False][0][-1]
PYTHON_SCRIPT
echo "as written"
