#!/usr/bin/env bash
# Cornac 3.0.1: which items a user is ranked over when `rating_threshold` is 4 (MovieLens-100K, as recbole 1.2.1 ships it).
#
# Guess: all items but those that the user has rated in training, as by Cornac's own recommend(remove_seen=True); the threshold says which
#        held-out ratings are hits.
# Seen:  items that the user rated below the threshold in training stay among the candidates. Of the popularity ranking's ten places 1.8 are
#        taken by films that the user has seen and disliked, and they stand as misses: NDCG@10 is 0.151 where it is 0.180 with all seen
#        films left out. With the default threshold 1 both agree.
# So:    the number depends on which films a model repeats, not on what recommend() would return, and is lower than another library's for
#        the same lists. Models that learn from ratings and models that learn from positives alone are hit unequally.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cornac==3.0.1 pandas==2.3.3
# The data alone: RecBole itself is not imported, nor what it needs.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps recbole==1.2.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import distribution, version

import numpy as np
import pandas as pd
from cornac.eval_methods import BaseMethod
from cornac.eval_methods.base_method import ranking_eval
from cornac.metrics import NDCG
from cornac.models import MostPop

K = 10
path = distribution("recbole").locate_file("recbole/dataset_example/ml-100k/ml-100k.inter")
ratings = pd.read_csv(path, sep="\t", names=["user", "item", "rating", "time"], header=0, dtype={"rating": float}).drop(columns="time")
held_out = np.random.default_rng(0).random(len(ratings)) < 0.2
train, test = ratings[~held_out], ratings[held_out]
rows = [list(part.itertuples(index=False, name=None)) for part in (train, test)]


def both(threshold):
    """NDCG@10 by Cornac, by the same metric with all seen films left out, and disliked films in a list of ten."""
    split = BaseMethod.from_splits(*rows, rating_threshold=threshold, seed=0)
    model = MostPop().fit(split.train_set)
    (cornac,), _ = ranking_eval(model, [NDCG(k=K)], split.train_set, split.test_set, rating_threshold=threshold)
    seen, held = split.train_set.csr_matrix, split.test_set.csr_matrix
    values, disliked = [], []
    for user in range(held.shape[0]):
        hits = held[user].indices[held[user].data >= threshold]
        if len(hits) == 0:
            continue
        items, liked = seen[user].indices, seen[user].indices[seen[user].data >= threshold]
        order = np.argsort(-model.score(user), kind="stable")
        values.append(NDCG(k=K).compute(gt_pos=hits, pd_rank=order[~np.isin(order, items)]))
        disliked.append(np.isin(order[~np.isin(order, liked)][:K], items).sum())
    return round(float(cornac), 4), round(float(np.mean(values)), 4), round(float(np.mean(disliked)), 2)


print("Cornac", version("cornac"))
assert version("cornac") == "3.0.1"
seen = {threshold: both(threshold) for threshold in (1.0, 4.0)}
for threshold, (cornac, unseen, disliked) in seen.items():
    print(f"rating_threshold {threshold:g}: NDCG@{K} by Cornac {cornac}, over unseen films {unseen}; of ten places seen and disliked {disliked}")
assert abs(seen[1.0][0] - seen[1.0][1]) < 5e-4 and seen[1.0][2] == 0
assert seen[4.0][1] - seen[4.0][0] > 0.02 and seen[4.0][2] > 1.5
PYTHON_SCRIPT
echo "as written"
