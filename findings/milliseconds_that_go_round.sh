#!/usr/bin/env bash
# jax 0.10.2: times in milliseconds, whole numbers of 64 bits in a numpy array, as a log has them, given to jax.numpy.
#
# Guess: JAX has 32 bits by default, so what does not fit raises or warns: a Python integer does the one, `dtype=jnp.int64` the other.
# Seen:  a numpy array is cut to its lowest 32 bits without a word, by `jnp.asarray`, by `jax.device_put`, and where it is an argument of a function, compiled or
#        not. Times go round every 50 days: of 1,000 users with 20 rows in a year the newest row is right for 7 %, 56 % of the neighbours in a session by time
#        are in order, where a draw has 50 %, and half of the times are below 0. Seconds fit until 2038.
# So:    a split or a session by time is drawn by lot, with parts of the right sizes. Order rows in numpy, give JAX seconds, or set `jax_enable_x64`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
OMP_NUM_THREADS=1 JAX_PLATFORMS=cpu "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

print("jax", version("jax"))
assert version("jax") == "0.10.2"

USERS, ROWS = 1_000, 20
rng = np.random.default_rng(0)
start, end = 1_735_689_600_000, 1_767_225_600_000  # the year 2025
times = rng.integers(start, end, (USERS, ROWS))
right = times.argmax(axis=1)


def share(moments):
    """Users whose newest row is the right one, and pairs of neighbours in a session by time that are in the right order."""
    newest = np.asarray(jnp.argmax(moments, axis=1))
    order = np.asarray(jnp.argsort(moments, axis=1))
    session = np.take_along_axis(times, order, axis=1)
    return float((newest == right).mean()), float((np.diff(session, axis=1) >= 0).mean())


found = {name: share(given) for name, given in (("seconds", times // 1_000), ("milliseconds", times), ("microseconds", times * 1_000))}
for name, (newest, pairs) in found.items():
    print(f"{name}: the newest row is right for {newest:.0%} of the users, {pairs:.0%} of the neighbours in a session are in order")
assert found["seconds"][0] > 0.999
assert found["milliseconds"][0] < 0.15 and found["microseconds"][0] < 0.15 and found["milliseconds"][1] < 0.65

lowest = times.astype(np.int32)
for name, made in (("asarray", jnp.asarray(times)), ("device_put", jax.device_put(times)), ("jit", jax.jit(lambda given: given)(times))):
    assert made.dtype == jnp.int32 and np.array_equal(np.asarray(made), lowest)
    print(f"{name}: {times[0, 0]} is {int(made[0, 0])}, {float((made < 0).mean()):.0%} are below 0")
try:
    jnp.asarray(int(times[0, 0]))
except OverflowError as error:
    print("a Python integer:", error)
else:
    raise AssertionError("a Python integer was taken")
try:
    jnp.asarray(times, dtype=jnp.int64)
except UserWarning as warning:
    print("dtype=jnp.int64:", str(warning)[:60])
else:
    raise AssertionError("no warning")
jax.config.update("jax_enable_x64", True)
print("with jax_enable_x64", share(times))
assert share(times) == (1.0, 1.0)
PYTHON_SCRIPT
echo "as written"
