#!/usr/bin/env bash
# polars 1.44.2: a random hold-out for each user, `pl.int_range(pl.len()).shuffle(seed=0).over("user") == 0`, or `.agg(sample(1, seed=0))`.
#
# Guess: the seed makes the whole expression reproducible; each user has a permutation of their own.
# Seen:  each user starts from the seed again: all users with ten rows hold out the same one, their second with seed 0, their first with seed 3,
#        their ninth with seed 2; 0 users any other. With set_random_seed(0) and no seed the places are even.
# So:    a "random" split is of one place in time, which one depends on the seed: with seed 3 the future predicts the past for everybody, with
#        another it is nearly leave-one-out by time, and seeds differ more than models. Shuffle all rows once, then take each user's first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==1.44.2 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import polars as pl

USERS, ROWS = 1000, 10

print("polars", version("polars"), f"{USERS} users with {ROWS} rows each, in the order of time")
assert version("polars") == "1.44.2"
rows = pl.DataFrame({"user": np.repeat(np.arange(USERS), ROWS), "place": np.tile(np.arange(ROWS), USERS)})


def held_out(frame):
    """How many users hold out their first, second, ... row."""
    chosen = frame.sort("user")["place"].to_numpy()
    assert len(chosen) == USERS
    return np.bincount(chosen, minlength=ROWS)


for seed in range(4):
    order = pl.int_range(pl.len()).shuffle(seed=seed).over("user")
    counts = held_out(rows.filter(order == 0))
    print(f"shuffle(seed={seed}).over('user'), the row that gets 0: users by place {counts.tolist()}")
    assert sorted(counts) == [0] * (ROWS - 1) + [USERS]
    sampled = rows.group_by("user").agg(pl.col("place").sample(1, seed=seed).first())
    counts = held_out(sampled)
    print(f"    group_by('user').agg(sample(1, seed={seed})): {counts.tolist()}")
    assert sorted(counts) == [0] * (ROWS - 1) + [USERS]
pl.set_random_seed(0)
counts = held_out(rows.filter(pl.int_range(pl.len()).shuffle().over("user") == 0))
print(f"without a seed, after set_random_seed(0): {counts.tolist()}")
assert counts.min() > 50
whole = rows.sample(fraction=1.0, shuffle=True, seed=0)
counts = held_out(whole.group_by("user", maintain_order=True).first())
print(f"all rows shuffled once with seed=0, each user's first: {counts.tolist()}")
assert counts.min() > 50
PYTHON_SCRIPT
echo "as written"
