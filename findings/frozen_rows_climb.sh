#!/usr/bin/env bash
# optax 0.2.8: `optax.masked(optax.adam(0.01), mask)` to train the towers and leave a table of item vectors as
# it is.
#
# Guess: parameters outside of the mask are not touched.
# Seen:  the transformation does not touch their gradient, so the raw gradient is their update, and
#        `apply_updates` adds it: the table climbs its loss with a rate of 1. After 200 steps the "frozen"
#        vectors have moved by 1.28 of their length; the users' table works against it, so the loss falls all
#        the same, from 28.56 to 27.24, where it is 22.50 with `optax.set_to_zero()` for the items, which then
#        do not move.
# So:    pretrained vectors are pushed away from what is learnt, and nothing looks broken. Use
#        `optax.partition` (`multi_transform`) with `set_to_zero`, as `optax.freeze` does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import optax

print("optax", version("optax"), "jax", version("jax"))
assert version("optax") == "0.2.8"
USERS, ITEMS, SIZE = 50, 40, 8
keys = jax.random.split(jax.random.key(0), 4)
start = {
    "users": jax.random.normal(keys[0], (USERS, SIZE)) * 0.1,
    "items": jax.random.normal(keys[1], (ITEMS, SIZE)),
}
rows = jax.random.bernoulli(keys[2], 0.3, (USERS, ITEMS)).astype(jnp.float32)


def loss_of(weights):
    return optax.sigmoid_binary_cross_entropy(weights["users"] @ weights["items"].T, rows).sum(axis=1).mean()


frozen = {"users": "trained", "items": "frozen"}
ways = {
    "masked": optax.masked(optax.adam(0.01), {"users": True, "items": False}),
    "partition": optax.partition({"trained": optax.adam(0.01), "frozen": optax.set_to_zero()}, frozen),
}
seen = {}
for name, optimizer in ways.items():

    @jax.jit
    def step(weights, state):
        updates, state = optimizer.update(jax.grad(loss_of)(weights), state, weights)
        return optax.apply_updates(weights, updates), state

    weights, state = start, optimizer.init(start)
    for _ in range(200):
        weights, state = step(weights, state)
    way = jnp.linalg.norm(weights["items"] - start["items"], axis=1)
    moved = way / jnp.linalg.norm(start["items"], axis=1)
    seen[name] = float(loss_of(start)), float(loss_of(weights)), float(moved.mean())
    print(
        f"{name}: loss {seen[name][0]:.2f} before and {seen[name][1]:.2f} after, "
        f"item vectors moved by {seen[name][2]:.2f} of their length"
    )
assert seen["masked"][1] > seen["partition"][1] + 2 and seen["masked"][2] > 0.5
assert seen["partition"][1] < seen["partition"][0] and seen["partition"][2] == 0
PYTHON_SCRIPT
echo "as written"
