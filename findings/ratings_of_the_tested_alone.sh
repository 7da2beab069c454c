#!/usr/bin/env bash
# irspack 0.5.2: `split_dataframe_partial_user_holdout` with rating_column, users of validation and test set apart.
#
# Guess: the matrices of all three parts hold the ratings of the column.
# Seen:  those of validation and test users do, the training part is all ones. A model is fitted on ones and then scores users by profiles of
#        1 to 5: cosine neighbours are learned as if a hated item were a loved one, and the lists are not those of the same users in training: of
#        40 test users 31 get another list of ten from their ratings than from ones.
# So:    "with ratings" is a mix that nobody chose, and thresholds, confidences (IALS) and normalizations tuned on it mean something else than
#        after fitting on all rows with ratings, as the last step does. Make the matrices by hand, or leave rating_column out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check irspack==0.5.2 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.6.1
# Item ids are numbered in the order of a Python set, which this fixes.
OMP_NUM_THREADS=1 PYTHONHASHSEED=0 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pandas as pd
from irspack.recommenders import CosineKNNRecommender
from irspack.split import split_dataframe_partial_user_holdout

USERS, ITEMS, ROWS, K = 200, 60, 20, 10
random = np.random.default_rng(0)
taste, kind = random.normal(size=(USERS, 4)), random.normal(size=(ITEMS, 4))
rows = []
for user in range(USERS):
    for item in random.choice(ITEMS, ROWS, replace=False):
        rows.append((f"u{user:03}", f"i{item:02}", int(np.clip(np.rint(3 + taste[user] @ kind[item]), 1, 5))))
log = pd.DataFrame(rows, columns=["user", "item", "rating"])
parts, items = split_dataframe_partial_user_holdout(log, "user", "item", rating_column="rating", test_user_ratio=0.2, val_user_ratio=0.2, random_state=0)
rating_of = log.set_index(["user", "item"]).rating

print("irspack", version("irspack"), "rows of each rating", log.rating.value_counts().sort_index().to_dict())
assert version("irspack") == "0.5.2"
for name, part in parts.items():
    matrix = part.X_all.tocoo()
    held = {int(value): int(number) for value, number in zip(*np.unique(matrix.data, return_counts=True))}
    right = np.array([rating_of[part.user_ids[row], items[column]] for row, column in zip(matrix.row, matrix.col)])
    print(f"{name}: values {held}, equal to the rating in {np.mean(right == matrix.data):.0%}")
    assert set(held) == ({1} if name == "train" else {1, 2, 3, 4, 5})
    assert (right == matrix.data).all() == (name != "train")

# The lists of the test users by their ratings, as the split gives them, and by ones, as users stand in the training part.
train, test = parts["train"].X_train, parts["test"].X_train
model = CosineKNNRecommender(train, top_k=ITEMS, n_threads=1).learn()
ones = test.copy()
ones.data[:] = 1
lists = []
for profile in (test, ones):
    scores = model.get_score_cold_user(profile)
    scores[test.nonzero()] = -np.inf
    lists.append([set(row) for row in np.argsort(-scores, axis=1, kind="stable")[:, :K].tolist()])
apart = np.array([K - len(first & second) for first, second in zip(*lists)])
print(f"lists of {K} by ratings and by ones: {int((apart > 0).sum())} of {len(apart)} differ")
assert (apart > 0).mean() > 0.5 and len(apart) == USERS // 5
PYTHON_SCRIPT
echo "as written"
