#!/usr/bin/env bash
# RecTools 0.19.0: `Serendipity`, which credits a hit by how much more likely the list has it than "any user", on a log with a long tail.
#
# Guess: an item with one row is the least popular of 2,000, so a hit on it in place 1 counts nearly 1, half as much for an item in the middle, 0 for the first.
# Seen:  an item's place is that of its number of rows among the different numbers of rows, and is divided by the number of items: with 75 different numbers
#        the rarest of 2,000 items is the 75th, as if any user had it with 0.96. A hit on it in place 1 counts 0.037, on the middle item 0.036, in place 100
#        nothing; on an item that nobody has 1.000. Hits on the 200 rarest items, all in place 1, have 0.037 where it is 0.945 by places among the items; ten
#        more on items that nobody has are 0.57 of the sum. In a catalog of 20,000 items with the same log it is 0.0037.
# So:    the metric knows hardly anything but items without a row, and a longer log or a larger catalog moves it more than a model does. Look at
#        `MeanInvUserFreq` of the hits to see whether they are rare.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rectools==0.19.0 scipy==1.17.1 pandas==2.3.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.metrics import Serendipity

print("RecTools", version("RecTools"))
assert version("RecTools") == "0.19.0"

ITEMS, COLD = 2_000, 10  # item 0 is the most popular one; the last ten have no row
rows = np.maximum(1, np.round(1_000 / (1 + np.arange(ITEMS)) ** 0.9)).astype(int)
rows[-COLD:] = 0
log = pd.DataFrame({Columns.User: np.concatenate([np.arange(count) for count in rows]), Columns.Item: np.repeat(np.arange(ITEMS), rows)})
different = len(set(rows[rows > 0].tolist()))
print(f"{ITEMS:,} items, {len(log):,} rows, {different} different numbers of rows")


def serendipity(items, place=1, catalog=ITEMS):
    """The metric where user i is shown one item, which the user takes, in this place of the list, and nothing else counts."""
    users = 10_000 + np.arange(len(items))
    listed = pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Rank: place})
    taken = listed[[Columns.User, Columns.Item]]
    return float(Serendipity(k=place).calc(listed, taken, log, np.arange(catalog)))


def by_places(items):
    """The same by the formula of its page, with the place of the item among all items for its popularity; first places alone."""
    popularity = 1 + np.asarray(items)
    return float(np.mean(1 - (ITEMS + 1 - popularity) / ITEMS))


rarest, middle = ITEMS - COLD - 1, ITEMS // 2
places = {"the most popular": 0, "the middle": middle, "the rarest": rarest, "a new": ITEMS - 1}
found = {name: serendipity([item]) for name, item in places.items()}
for name, value in found.items():
    print(f"a hit in place 1 on {name} item: {value:.3f}")
late = serendipity([rarest], place=100)
print(f"a hit in place 100 on the rarest item: {late:.3f}")
tenth = np.arange(ITEMS - COLD - 200, ITEMS - COLD)
seen, right = serendipity(tenth), by_places(tenth)
larger = serendipity(tenth, catalog=20_000)
print(f"hits on the 200 rarest items: {seen:.3f}, by the places of items {right:.3f}, in a catalog of 20,000 with the same log {larger:.4f}")
mixed = serendipity(np.concatenate([tenth, np.arange(ITEMS - COLD, ITEMS)])) * (200 + COLD)
share = COLD * found["a new"] / mixed
print(f"with {COLD} more on items that nobody has, those are {share:.2f} of the sum")
assert found["the most popular"] == 0 and found["a new"] == 1
assert abs(found["the rarest"] - (different - 1) / ITEMS) < 1e-9 and found["the rarest"] < 0.06
assert found["the middle"] > 0.5 * found["the rarest"] and late == 0
assert seen < 0.06 and right > 0.9 and larger < 0.2 * seen and share > 0.4
PYTHON_SCRIPT
echo "as written"
