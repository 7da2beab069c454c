#!/usr/bin/env bash
# scikit-learn 1.9.1: `TargetEncoder`, click rates of items as a feature, with `smooth="auto"`, the default.
#
# Guess: the fewer rows an item has, the nearer its rate is to the mean of all rows; an item with one row is all but the mean.
# Seen:  the weight of the mean is the spread of the item's own rows by its number of rows, and one row has no spread: its rate is 1 or 0, as is that
#        of any item whose rows are all alike, as without smoothing. Of 3,158 items 2,562 are such; the error of the rates is 0.206, that of one mean
#        for all items 0.065, with smooth=20 0.060. An item with one click of two is moved, to 0.27 at a mean of 0.10.
# So:    as a popularity by rate the list begins with items of a single row, and log loss is infinite. As a feature it is another one in training:
#        `fit_transform` encodes an item of one row by the other folds, where it is unknown (0.090), `transform` by 0 or 1. Give `smooth` a number.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from sklearn.preprocessing import TargetEncoder

print("scikit-learn", version("scikit-learn"))
assert version("scikit-learn") == "1.9.1"
few = np.array([["a"]] * 1000 + [["b"]] * 2 + [["c"]])  # 100 clicks of 1,000, one of two, one of one
clicks = np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 100 + [1, 0] + [1])
encoder = TargetEncoder(target_type="binary").fit(few, clicks)
rates = {str(item): float(rate) for item, rate in zip(encoder.categories_[0], encoder.encodings_[0])}
print("mean", round(float(encoder.target_mean_), 4), {item: round(rate, 3) for item, rate in rates.items()})
assert rates["c"] == 1 and 0.1 < rates["b"] < 0.3

random = np.random.default_rng(0)
ITEMS = 5000
rate = random.beta(2, 18, ITEMS)
item = random.choice(ITEMS, 20_000, p=(weight := 1 / np.arange(1, ITEMS + 1)) / weight.sum())[:, None]
click = (random.random(len(item)) < rate[item[:, 0]]).astype(int)
rows, clicked = np.bincount(item[:, 0], minlength=ITEMS), np.bincount(item[:, 0], weights=click, minlength=ITEMS)
one = (rows == 1) & (clicked == 1)
seen = {}
for smooth in ("auto", 0.0, 20.0):
    encoder = TargetEncoder(smooth=smooth, target_type="binary", categories=[np.arange(ITEMS)]).fit(item, click)
    encoded = encoder.encodings_[0]
    error = float(np.sqrt(np.mean((encoded - rate)[rows > 0] ** 2)))
    seen[smooth] = encoded, error
    print(f"smooth={smooth}: the {one.sum()} items with one row, a click, from {encoded[one].min():.3f} to {encoded[one].max():.3f}; "
          f"error of the rate {error:.3f}; {int((encoded == 1).sum())} items of rate 1, {int((encoded[rows > 0] == 0).sum())} of 0 of {int((rows > 0).sum())}")
error_of_mean = float(np.sqrt(np.mean((click.mean() - rate)[rows > 0] ** 2)))
pure = (rows > 0) & ((clicked == rows) | (clicked == 0))
print(f"error of the mean of all rows for each item: {error_of_mean:.3f}; items whose rows are all alike: {pure.sum()}, as without smoothing: "
      f"{np.mean(seen['auto'][0][pure] == seen[0.0][0][pure]):.2f}")
assert (seen["auto"][0][one] == 1).all() and (seen["auto"][0][pure] == seen[0.0][0][pure]).all()
assert seen["auto"][1] > 1.5 * error_of_mean > 1.5 * seen[20.0][1]
# the training rows are encoded by the other folds, where an item of one row is not known
train = TargetEncoder(target_type="binary", categories=[np.arange(ITEMS)], random_state=0)
inside, outside = train.fit_transform(item, click)[:, 0], train.transform(item)[:, 0]
alone = rows[item[:, 0]] == 1
print(f"rows of items with one row: encoded {inside[alone].min():.3f} to {inside[alone].max():.3f} in fit_transform, "
      f"as {sorted(set(outside[alone].tolist()))} in transform")
assert inside[alone].max() < 0.2 and set(outside[alone].tolist()) == {0.0, 1.0}
PYTHON_SCRIPT
echo "as written"
