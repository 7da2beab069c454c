#!/usr/bin/env bash
# LightGBM 4.7.0: item ids as a `categorical_feature`, with and without the options against small groups.
#
# Guess: what an item with few rows gets is up to min_data_in_leaf (20), min_data_per_group (100), cat_smooth and cat_l2: with 1, 1, 0 and 0 each
#        item may have its own value.
# Seen:  ids with fewer than min_data_in_bin (3) rows are dropped before the first tree: they are one category, with those never seen. Labels that
#        depend on the item alone are learnt for all items with 3 rows, with the defaults too, and for items with 2 rows not better than by a
#        coin, whatever the four options say; min_data_in_bin=1 makes it all of them. Items with 1 row stay unlearnt even then: the rarest ids,
#        up to 1 % of the rows, go unless max_bin is above the number of items.
# So:    60 % of the items of a long tail are one item to a ranker, and what is tuned against it does nothing. Set min_data_in_bin and max_bin (of
#        the Dataset: an existing one keeps its bins), or encode the ids by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lightgbm==4.7.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import lightgbm
import numpy as np
import pandas as pd

ITEMS, ROWS = 2001, 20_000
random = np.random.default_rng(0)
items = np.minimum((random.pareto(1.0, ROWS) * 5).astype(int), ITEMS - 1)  # a long tail
liked = random.random(ITEMS) > 0.5
labels, counts = liked[items].astype(float), np.bincount(items, minlength=ITEMS)

print("lightgbm", version("lightgbm"), f"{(counts > 0).sum()} items, {(counts == 1).sum()} with 1 row, {(counts == 2).sum()} with 2")
assert version("lightgbm") == "4.7.0"
SMALL = {"min_data_in_leaf": 1, "min_data_per_group": 1, "cat_smooth": 0, "cat_l2": 0, "max_cat_threshold": ITEMS}
CASES = {
    "by default": {},
    "small groups allowed": SMALL,
    "min_data_in_bin=1": {"min_data_in_bin": 1},
    "both": {**SMALL, "min_data_in_bin": 1},
    "both, max_bin above the items": {**SMALL, "min_data_in_bin": 1, "max_bin": ITEMS + 1},
}
found = {}
for name, options in CASES.items():
    data = lightgbm.Dataset(pd.DataFrame({"item": items}), label=labels, categorical_feature=["item"])
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, **options}, data, 100)
    chance = model.predict(pd.DataFrame({"item": np.arange(ITEMS)}))
    right = (chance > 0.5) == liked
    found[name] = [float(right[rows].mean()) for rows in (counts == 1, counts == 2, counts == 3, counts > 3)]
    same = len(set(chance[(counts < 3)].round(6)))
    print(f"{name}: right for items with 1, 2, 3 and more rows {[round(x, 3) for x in found[name]]}; items with 1 or 2 rows have {same} values")
    assert found[name][2:] == [1.0, 1.0]
    assert (same == 1) == (name in ("by default", "small groups allowed"))
for name in ("by default", "small groups allowed"):
    assert max(found[name][:2]) < 0.6
assert found["min_data_in_bin=1"][1] == found["both"][1] == 1.0 and max(found["min_data_in_bin=1"][0], found["both"][0]) < 0.65
assert found["both, max_bin above the items"][:2] == [1.0, 1.0]
PYTHON_SCRIPT
echo "as written"
