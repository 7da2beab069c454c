#!/usr/bin/env bash
# LensKit 2025.8.1: `LastFrac`, the newest part of each user's rows.
#
# Guess: with a fraction of 0.1 each user's newest tenth is held out, rounded; a user whose tenth rounds to nothing keeps all rows for training.
# Seen:  such a user has all rows held out and none left: the last 0 of a list are the whole list. With 0.1 that is everybody with five rows or
#        fewer, while six to fourteen rows give one. Of users with 1 to 12 rows 28 % of all rows are held out, and 42 % of the tested users
#        have no row in training. SampleFrac, its twin at random, holds out none of them.
# So:    in a log with many short histories a large part of the newest tenth is whole histories of cold users, with long test lists: recall and
#        precision of the same model say something else than after SampleFrac. Drop users with 1 / (2 * fraction) rows or fewer first. 2026.4
#        has the same code.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check lenskit==2025.8.1 torch==2.13.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pandas as pd
from lenskit.data import from_interactions_df
from lenskit.splitting import LastFrac, SampleFrac, sample_users

USERS, ITEMS, MOST = 120, 50, 12
random = np.random.default_rng(0)
rows_of = {user: 1 + user % MOST for user in range(USERS)}
log = pd.DataFrame(
    [(user, item, 1000 * user + moment) for user, rows in rows_of.items() for moment, item in enumerate(random.permutation(ITEMS)[:rows])],
    columns=["user_id", "item_id", "timestamp"],
)
data = from_interactions_df(log)


def held_out(method):
    """Each user's number of rows in the test part, and in training, of a split of all users."""
    split = sample_users(data, USERS, method, rng=1)
    test = {key.user_id: len(items) for key, items in split.test}
    left = split.train.interaction_table(format="pandas", original_ids=True).groupby("user_id").size()
    return test, {user: int(left.get(user, 0)) for user in rows_of}


print("LensKit", version("lenskit"))
assert version("lenskit") == "2025.8.1"
for fraction in (0.1, 0.2):
    for method in (LastFrac(fraction), SampleFrac(fraction, rng=1)):
        test, train = held_out(method)
        tested = [user for user in test if test[user]]
        cold = [user for user in tested if train[user] == 0]
        by_rows = {rows_of[user]: number for user, number in sorted(test.items()) if user < MOST}
        print(f"{type(method).__name__}({fraction}): held out of 1 to {MOST} rows {list(by_rows.values())}, "
              f"{sum(test.values()) / len(log):.0%} of all rows, {len(cold) / len(tested):.0%} of the tested users without a row in training")
        for user, rows in rows_of.items():
            part = round(rows * fraction)
            assert test[user] + train[user] == rows
            assert test[user] == (rows if part == 0 and isinstance(method, LastFrac) else part)
        if isinstance(method, LastFrac):
            assert len(cold) == sum(round(rows * fraction) == 0 for rows in rows_of.values()) > 0
        else:
            assert not cold
PYTHON_SCRIPT
echo "as written"
