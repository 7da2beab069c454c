#!/usr/bin/env bash
# irspack 0.5.2: `split_dataframe_partial_user_holdout` with random_state, item ids that are strings.
#
# Guess: the same table and the same random_state hold out the same rows in each process.
# Seen:  the same users, but other rows of theirs: items are numbered in the order of a Python set, which the hash seed of the process decides,
#        and rows are drawn by number. Between two processes 50 % of the held-out rows are the same, as if half of the rows were drawn by
#        chance twice, and no column of the matrix is the same item. With whole numbers as ids all are the same.
# So:    a model saved in one process and evaluated in another, with the seed that it was trained with, is tested on rows of its own training
#        profile and with items' columns mixed up, and a table over processes is not paired. Number items by hand, or set PYTHONHASHSEED.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check irspack==0.5.2 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.6.1
cat > "$work/split.py" <<'PYTHON_SCRIPT'
import json
import sys

import numpy as np
import pandas as pd
from irspack.split import split_dataframe_partial_user_holdout

random = np.random.default_rng(0)
rows = [(f"u{user:03}", int(item)) for user in range(100) for item in random.choice(500, 20, replace=False)]
log = pd.DataFrame(rows, columns=["user", "item"])
if sys.argv[1] == "strings":
    log["item"] = [f"item{item}" for item in log.item]
parts, items = split_dataframe_partial_user_holdout(log, "user", "item", test_user_ratio=0.5, val_user_ratio=0, random_state=7)  # half of their rows
test = parts["test"]
held = sorted((test.user_ids[row], str(items[column])) for row, column in zip(*test.X_test.nonzero()))
json.dump({"users": sorted(map(str, test.user_ids)), "held": held, "items": [str(item) for item in items]}, sys.stdout)
PYTHON_SCRIPT
OMP_NUM_THREADS=1 "$work/venv/bin/python" - "$work/split.py" <<'PYTHON_SCRIPT'
import json
import os
import subprocess
import sys
from importlib.metadata import version

print("irspack", version("irspack"), "two processes, random_state=7")
assert version("irspack") == "0.5.2"
for kind in ("strings", "numbers"):
    first, second = (
        json.loads(subprocess.run([sys.executable, "-W", "ignore", sys.argv[1], kind], env={**os.environ, "PYTHONHASHSEED": seed},
                                  capture_output=True, text=True, check=True).stdout)
        for seed in ("1", "2")
    )
    held = [set(map(tuple, part["held"])) for part in (first, second)]
    same = len(held[0] & held[1]) / len(held[0])
    columns = sum(one == other for one, other in zip(first["items"], second["items"]))
    print(f"ids are {kind}: the same users {first['users'] == second['users']}, {same:.0%} of {len(held[0])} held-out rows the same, "
          f"{columns} of {len(first['items'])} columns the same item")
    assert first["users"] == second["users"] and len(held[0]) == len(held[1]) == 500
    if kind == "strings":
        assert 0.4 < same < 0.6 and columns < 20
    else:
        assert same == 1 and columns == len(first["items"])
PYTHON_SCRIPT
echo "as written"
