#!/usr/bin/env bash
# scipy 1.17.1, RecTools 0.19.0, Cornac 3.0.1: a user rates an item 5, and later 1.
#
# Guess: the later rating counts: a user has changed his mind.
# Seen:  none of them has 1. A scipy matrix (and so implicit, which takes one) and RecTools have the sum, 6, above the scale; RecTools'
#        matrix without weights has 2 where it is read as 0 or 1. Cornac keeps what stands first in the list and warns that it removed a
#        duplicate; with times given it is still the order of the list that decides.
# So:    logs with repeated ratings are three data sets in three libraries. Decide it before: RecBole's rm_dup_inter: last, or a sort by
#        time and drop_duplicates(keep="last").
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
import scipy.sparse as sp
from rectools import Columns
from rectools.dataset import Dataset

matrix = sp.csr_matrix(([5.0, 1.0], ([0, 0], [0, 0])), shape=(1, 1))
columns = [Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]
frame = pd.DataFrame([("u", "i", 5.0, "2026-01-01"), ("u", "i", 1.0, "2026-02-01")], columns=columns)
rectools = Dataset.construct(frame)
seen = {
    "scipy": matrix[0, 0],
    "RecTools": rectools.get_user_item_matrix()[0, 0],
    "RecTools, without weights": rectools.get_user_item_matrix(include_weights=False)[0, 0],
}
print("scipy", version("scipy"), "RecTools", version("rectools"))
for name, value in seen.items():
    print(f"{name:26} {value:g}")

assert (version("scipy"), version("rectools")) == ("1.17.1", "0.19.0")
assert list(seen.values()) == [6.0, 6.0, 2.0]
PYTHON_SCRIPT
"$work/cornac/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version

from cornac.data import Dataset

earlier, later = ("u", "i", 5.0, 100), ("u", "i", 1.0, 200)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    in_order = Dataset.from_uirt([earlier, later]).matrix[0, 0]
    turned = Dataset.from_uirt([later, earlier]).matrix[0, 0]
print("Cornac", version("cornac"))
print(f"earlier row first          {in_order:g}")
print(f"later row first            {turned:g}")
print("it says:", caught[-1].message)

assert version("cornac") == "3.0.1"
assert (in_order, turned) == (5.0, 1.0)
assert "duplicated" in str(caught[-1].message)
PYTHON_SCRIPT
echo "as written"
