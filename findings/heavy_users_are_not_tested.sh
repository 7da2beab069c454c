#!/usr/bin/env bash
# torch-rechub 0.9.0: `generate_seq_feature`, which cuts a log into train, validation and test rows with histories of max_len (50) items.
#
# Guess: each user's newest row is tested and the one before validated, and max_len keeps the 50 newest items of a longer history.
# Seen:  max_len is a limit of rows: a user's rows after the 50th are dropped, and so are the test and the validation row that would stand
#        there. A user with 51 rows or more is in training alone, with the oldest 50. Of users with 10 to 100 rows
#        45 % have a test row, and 25 % of all rows are in no part.
# So:    the metric is over light users only, and heavy users, most of the log, are known by how they were at first. A greater max_len changes
#        who is tested, so a table over history lengths compares different users. Cut the log by hand first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1 tqdm==4.67.1
"${pip[@]}" --no-deps torch-rechub==0.9.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - 2>"$work/progress" <<'PYTHON_SCRIPT'
import random
from importlib.metadata import version

import numpy as np
import pandas as pd
from torch_rechub.utils.data import generate_seq_feature

USERS, ITEMS = 91, 300
draw = np.random.default_rng(0)
random.seed(0)
rows_of = {user: 10 + user for user in range(USERS)}  # 10 to 100
log = pd.DataFrame(
    [(user, item, 1000 * user + moment) for user, rows in rows_of.items() for moment, item in enumerate(draw.permutation(ITEMS)[:rows])],
    columns=["user", "item", "time"],
)
print("torch-rechub", version("torch-rechub"), f"{len(log)} rows of {USERS} users, 10 to 100 each")
assert version("torch-rechub") == "0.9.0"
items_of = {user: rows.item.tolist() for user, rows in log.groupby("user")}
number_of = {item: place + 1 for place, item in enumerate(sorted(log.item.unique()))}  # ids are numbered from 1
tested = {}
for longest in (50, 30, 100):
    parts = [part[part.label == 1] for part in generate_seq_feature(log.copy(), "user", "item", "time", max_len=longest)]
    held = {user: set() for user in rows_of}
    for part in parts:
        for user, item in zip(part.user, part.target_item_id):
            held[user - 1].add(int(item))
    train, valid, test = parts
    tested[longest] = {int(user) - 1 for user in test.user}
    used = sum(len(items) + 1 for items in held.values())  # the first row of a user is a history alone
    print(f"max_len {longest}: {len(tested[longest]) / USERS:.0%} of users with a test row, {1 - used / len(log):.0%} of the rows in no part")
    for user, rows in rows_of.items():
        own = [number_of[item] for item in items_of[user]]
        assert held[user] == set(own[1 : min(rows, longest)])
        assert (user in tested[longest]) == (rows <= longest)
        assert (user + 1 in set(valid.user)) == (rows <= longest + 1)
    assert max(rows_of[user] for user in tested[longest]) == longest
assert len(tested[50]) == 41 and len(tested[30]) == 21 and len(tested[100]) == USERS
PYTHON_SCRIPT
echo "as written"
