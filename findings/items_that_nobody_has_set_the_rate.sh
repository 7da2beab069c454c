#!/usr/bin/env bash
# optax 0.2.8: `optax.lamb` and `optax.lars` on a table of items of which most are in no row of the log: a catalog, with BPR over the 1,000 items that are sold.
#
# Guess: a row that never gets a gradient has no say in how the others are trained; by Adam it has none, with or without such rows the lists are the same.
# Seen:  a step is the rate times the length of the whole table over the length of the update, and rows that stand still count in the first of the two. With
#        99,000 rows beside the 1,000 that length is ten times what it was: with a rate of 0.001 the share of a user's genre in the lists is 0.14 without
#        them and 0.59 with them after 500 steps of LAMB, vectors by LARS are 4.6 times as long, and lists share 0.20 and 0.31 with those of the small table.
# So:    a rate that was found on items with five rows or more is another one on the whole catalog, and new items speed up the old ones. Adam for tables.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
OMP_NUM_THREADS=1 JAX_PLATFORMS=cpu "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import optax

print("optax", version("optax"), "jax", version("jax"))
assert version("optax") == "0.2.8"

USERS, SOLD, WIDTH, GENRES, STEPS = 400, 1_000, 16, 10, 500
genre_of_user, genre_of_item = np.arange(USERS) % GENRES, np.arange(SOLD) % GENRES


def trained(optimizer, not_sold):
    """Lists of ten of the items that are sold, and the mean length of their vectors; draws and first vectors are the same whatever `not_sold`."""
    rng = np.random.default_rng(0)
    users, items = (0.1 * rng.normal(size=(rows, WIDTH)) for rows in (USERS, SOLD))
    others = 0.1 * np.random.default_rng(1).normal(size=(not_sold, WIDTH))
    tables = {"users": jnp.asarray(users, jnp.float32), "items": jnp.asarray(np.concatenate([items, others]), jnp.float32)}
    state = optimizer.init(tables)

    def loss(tables, user, taken, other):
        gain = tables["users"][user] * (tables["items"][taken] - tables["items"][other])
        return jax.nn.softplus(-gain.sum(axis=1)).mean()

    @jax.jit
    def step(tables, state, *batch):
        updates, state = optimizer.update(jax.grad(loss)(tables, *batch), state, tables)
        return optax.apply_updates(tables, updates), state

    for _ in range(STEPS):
        user, other = rng.integers(0, USERS, 256), rng.integers(0, SOLD, 256)
        taken = rng.integers(0, SOLD // GENRES, 256) * GENRES + genre_of_user[user]
        tables, state = step(tables, state, user, taken, other)
    after = np.asarray(tables["items"])
    assert np.array_equal(after[SOLD:], others.astype(np.float32))  # they stand still
    lists = np.argsort(-(np.asarray(tables["users"]) @ after[:SOLD].T), axis=1)[:, :10]
    return lists, float(np.linalg.norm(after[:SOLD], axis=1).mean())


optimizers = {"Adam": optax.adam(1e-2), "LAMB": optax.lamb(1e-3), "LARS": optax.lars(1.0, trust_coefficient=0.01)}
found = {}
for name, optimizer in optimizers.items():
    first = None
    for not_sold in (0, 99_000):
        lists, length = trained(optimizer, not_sold)
        first = lists if first is None else first
        genre = float((genre_of_item[lists] == genre_of_user[:, None]).mean())
        same = float(np.mean([len(set(one) & set(other)) / 10 for one, other in zip(first.tolist(), lists.tolist())]))
        found[name, not_sold] = genre, length, same
        print(f"{name}, {not_sold:,} items that nobody has: {genre:.2f} of the user's genre, length {length:.2f}, lists share {same:.2f} with the first")
assert found["Adam", 99_000][2] > 0.98
assert found["LAMB", 0][0] < 0.25 and found["LAMB", 99_000][0] > 0.5 and found["LAMB", 99_000][2] < 0.35
assert found["LARS", 99_000][1] > 3 * found["LARS", 0][1] and found["LARS", 99_000][2] < 0.5
PYTHON_SCRIPT
echo "as written"
