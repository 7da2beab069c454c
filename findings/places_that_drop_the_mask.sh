#!/usr/bin/env bash
# keras 3.15.1: sessions padded with 0 on the right, `Embedding(mask_zero=True)` for the items, and an embedding of the places added by `Add()` or `+`.
#
# Guess: the mask of the items goes on through the sum to attention, GRU and pooling, or a layer warns, as those that destroy a mask do.
# Seen:  it ends at the sum, without a word: `Add()`, `Multiply()` and `Average()` drop it where one of the two has none, an operator or a function of
#        `keras.ops` always, also in `items * 4.0`. A GRU behind it reads 50 places of padding last: trained on sessions of 2
#        to 10 items padded to 60, 0.11 of what it lists is of the user's genre, chance, 1.00 with the mask. Attention with average pooling learns (0.96), but
#        its lists of sessions padded to 60 and to 10 share 0.93, 1.00 with the mask.
# So:    a SASRec or GRU4Rec built from these layers takes padding for items, and what it proposes hangs on the length that sessions are padded to. Give the
#        places a mask of their own (number 0 for padding, `mask_zero=True`) and use `Add()`, or hand the mask over: `gru(x, mask=keras.ops.not_equal(ids, 0))`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
KERAS_HOME="$work" KERAS_BACKEND=jax OMP_NUM_THREADS=1 JAX_PLATFORMS=cpu "$work/venv/bin/python" -W error::UserWarning - <<'PYTHON_SCRIPT'
import keras
import numpy as np
from keras import layers

print("keras", keras.__version__)
assert keras.__version__ == "3.15.1"

USERS, ITEMS, GENRES, WIDTH, LONGEST = 1_000, 100, 10, 16, 10
rng = np.random.default_rng(0)
genre, lengths = rng.integers(0, GENRES, USERS), rng.integers(2, LONGEST + 1, USERS)
numbers = 1 + genre[:, None] + GENRES * rng.integers(0, ITEMS // GENRES, (USERS, LONGEST + 1))  # item ids from 1, of the user's genre
following = numbers[:, -1]


def padded(places):
    sessions = np.zeros((USERS, places), dtype="int32")
    sessions[:, :LONGEST] = np.where(np.arange(LONGEST) < lengths[:, None], numbers[:, :LONGEST], 0)
    return sessions


def model_with(way, reader):
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32")
    items = layers.Embedding(ITEMS + 1, WIDTH, mask_zero=True)(ids)
    numbered = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1)
    if way == "Add(), places with a mask":
        both = layers.Add()([items, layers.Embedding(100, WIDTH, mask_zero=True)(numbered * keras.ops.cast(ids > 0, "int32"))])
    else:
        places = layers.Embedding(100, WIDTH)(numbered)
        both = layers.Add()([items, places]) if way == "Add()" else items + places
    if reader == "attention":
        session = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, WIDTH)(both, both))
    else:
        session = layers.GRU(WIDTH)(both)
    model = keras.Model(ids, layers.Dense(ITEMS + 1)(session))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def lists(model, places):
    scores = model.predict(padded(places), batch_size=250, verbose=0)
    return np.argsort(-scores[:, 1:], axis=1)[:, :10] + 1


found = {}
for reader in ("attention", "GRU"):
    for way in ("Add(), places with a mask", "Add()", "items + places"):
        model = model_with(way, reader)
        model.fit(padded(60), following, batch_size=100, epochs=15, verbose=0)
        long, short = lists(model, 60), lists(model, 10)
        shared = float(np.mean([len(set(one) & set(other)) / 10 for one, other in zip(long.tolist(), short.tolist())]))
        own = float(((long - 1) % GENRES == genre[:, None]).mean())
        found[reader, way] = shared, own
        print(f"{reader}, {way}: lists of 60 and of 10 places share {shared:.2f}, {own:.2f} of the items are of the user's genre")
for reader in ("attention", "GRU"):
    shared, own = found[reader, "Add(), places with a mask"]
    assert shared > 0.999 and own > 0.9
assert found["attention", "Add()"][0] < 0.97 and found["attention", "items + places"][0] < 0.97
assert found["GRU", "Add()"][1] < 0.2 and found["GRU", "items + places"][1] < 0.2
PYTHON_SCRIPT
echo "as written"
