#!/usr/bin/env bash
# keras-rs 0.4.0: `PairwiseHingeLoss`, `PairwiseLogisticLoss` of lists that are padded, with the mask that
# they take.
#
# Guess: with `{"labels": ..., "mask": ...}` padded places do not count, so a loss is the same however far
#        lists are padded.
# Seen:  pairs of padded places are left out, and the sum is divided by all places all the same: lists of five
#        items with one positive have a hinge loss of 1.69, 0.42 and 0.04 padded to 5, 20 and 200, and a
#        gradient that is as much smaller; after 60 steps of SGD on the logistic one a scorer's weights have a
#        length of 1.36 without padding and of 0.08 with 200 places. `ListMLELoss` does not change.
# So:    one list weighs 40 times less beside a longer one in its batch, and the same loss beside another one,
#        or beside a penalty, has another weight in each batch. Divide by the share of places that are items,
#        or batch lists of one length.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" keras==3.15.1 keras-rs==0.4.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import keras_rs
import numpy as np

print("keras-rs", version("keras-rs"))
assert version("keras-rs") == "0.4.0"
LISTS, ITEMS, FEATURES = 60, 5, 6
random = np.random.default_rng(0)
features = random.normal(size=(LISTS, ITEMS, FEATURES)).astype(np.float32)
true = features @ random.normal(size=FEATURES).astype(np.float32)
labels = (true == true.max(axis=1, keepdims=True)).astype(np.float32)  # one positive in a list


def padded(values, places):
    return np.pad(values, ((0, 0), (0, places - ITEMS)) + ((0, 0),) * (values.ndim - 2))


def loss_of(loss, weights, places):
    mask = padded(np.ones((LISTS, ITEMS), dtype=bool), places)
    return loss({"labels": padded(labels, places), "mask": mask}, padded(features, places) @ weights)


seen = {}
start = jnp.asarray(random.normal(size=FEATURES).astype(np.float32))
for name in ("PairwiseHingeLoss", "PairwiseLogisticLoss", "ListMLELoss"):
    loss = getattr(keras_rs.losses, name)()
    for places in (5, 20, 200) if name != "ListMLELoss" else (5, 20):
        value, gradient = jax.value_and_grad(lambda weights: loss_of(loss, weights, places))(start)
        seen[name, places] = float(value), float(jnp.linalg.norm(gradient))
        print(
            f"{name}, padded to {places}: {seen[name, places][0]:.3f}, gradient {seen[name, places][1]:.4f}"
        )
for name in ("PairwiseHingeLoss", "PairwiseLogisticLoss"):
    for which in (0, 1):
        ratios = [seen[name, 5][which] / seen[name, places][which] for places in (20, 200)]
        assert np.allclose(ratios, [4, 40], rtol=0.01)
assert np.isclose(seen["ListMLELoss", 5][0], seen["ListMLELoss", 20][0], rtol=0.01)
learnt = {}
for places in (5, 200):
    loss = keras_rs.losses.PairwiseLogisticLoss()
    step = jax.jit(jax.grad(lambda weights: loss_of(loss, weights, places)))
    weights = jnp.zeros(FEATURES)
    for _ in range(60):
        weights = weights - 0.1 * step(weights)
    learnt[places] = float(jnp.linalg.norm(weights))
    print(f"padded to {places}: weights after 60 steps have a length of {learnt[places]:.2f}")
assert learnt[5] > 10 * learnt[200]
PYTHON_SCRIPT
echo "as written"
