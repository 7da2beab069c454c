#!/usr/bin/env bash
# RecTools 0.19.0, Cornac 3.0.1: MAP@3 of a perfect list of three for a user with ten held-out items.
#
# Guess: 1: nothing better can stand in three places; libraries that cut the list divide by min(held-out, k).
# Seen:  RecTools' MAP(k=3) gives 0.3, since it divides by all ten held-out items; with divide_by_k=True it gives 1 here, but 0.33 for a
#        perfect list of a user with one held-out item. Cornac's MAP knows no cut: it takes the scores of all items, and a model that
#        ranks the other seven last has 0.35.
# So:    the best possible MAP@k differs by library and by user. A MAP can be held against another only with the division named, and a
#        table that mixes active and new users moves with the library more than with the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Two environments: RecTools 0.19.0 and Cornac 3.0.1 ask for different versions of numpy.
for name in rectools cornac; do "${PYTHON:-python3}" -m venv "$work/$name"; done
"$work/rectools/bin/pip" install --quiet --disable-pip-version-check rectools==0.19.0 scipy==1.17.1 pandas==2.3.3
"$work/cornac/bin/pip" install --quiet --disable-pip-version-check cornac==3.0.1
"$work/rectools/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import pandas as pd
from rectools import Columns
from rectools.metrics import MAP


def perfect(held_out, **options):
    """MAP@3 of a list of three that begins with held-out items, as many as there are."""
    listed = [f"i{number}" for number in range(3)]
    lists = pd.DataFrame({Columns.User: "u", Columns.Item: listed, Columns.Rank: [1, 2, 3]})
    truth = pd.DataFrame({Columns.User: "u", Columns.Item: [f"i{number}" for number in range(held_out)]})
    return float(MAP(k=3, **options).calc(lists, truth))


print("RecTools", version("rectools"))
seen = {(held_out, by_k): perfect(held_out, divide_by_k=by_k) for held_out in (1, 10) for by_k in (False, True)}
for (held_out, by_k), value in seen.items():
    print(f"{held_out:2} held out, divide_by_k={by_k!s:5} {value:.4f}")
assert version("rectools") == "0.19.0"
assert [round(value, 4) for value in seen.values()] == [1.0, 0.3333, 0.3, 1.0]
PYTHON_SCRIPT
"$work/cornac/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from cornac.metrics import MAP

items = np.arange(100)
held_out = np.arange(10)
scores = np.zeros(100)
scores[:3] = [103, 102, 101]  # three of the ten first
scores[3:10] = -np.arange(1, 8)  # and the other seven last
scores[10:] = 100 - np.arange(90) / 90
value = MAP().compute(item_indices=items, pd_scores=scores, gt_pos=held_out)
print("Cornac", version("cornac"), f"10 held out, 3 of them first, 7 last: {value:.4f}")
assert version("cornac") == "3.0.1"
precisions = [1, 1, 1, *((3 + place) / (93 + place) for place in range(1, 8))]
assert abs(value - sum(precisions) / 10) < 1e-6
assert not hasattr(MAP(), "cut_off") and "k" not in MAP.__init__.__code__.co_varnames
PYTHON_SCRIPT
echo "as written"
