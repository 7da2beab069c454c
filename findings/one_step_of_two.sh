#!/usr/bin/env bash
# diffusers 0.42.1: `FlowMatchEulerDiscreteScheduler.set_timesteps(n)`, flow matching in few steps.
#
# Guess: n equal steps from noise to data, of 1 / n each.
# Seen:  the last of them goes from 0.001 to 0, the others share the way: n steps are n - 1. With a perfect model the spread of samples of data with 0.5
#        is 0.001 in 2 steps (as in 1: all samples are the mean), 0.203 in 3, as in 2 even ones, 0.344 in 5, as in 4.
# So:    a generative recommender that serves with 2 to 5 steps pays for a call of the model that does nothing, and a table by steps is off by
#        one. `set_timesteps(sigmas=[1 - step / n for step in range(n)])` is even.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==2.4.6
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

print("diffusers", version("diffusers"), "torch", torch.__version__.split("+")[0])
assert version("diffusers") == "0.42.1"
torch.manual_seed(0)
noise = torch.randn(20_000, dtype=torch.float64)
MEAN, SPREAD = 2.0, 0.5  # of the data


def velocity(x, sigma):
    """The perfect model: the mean of noise - data, given x = (1 - sigma) data + sigma noise."""
    variance = (1 - sigma) ** 2 * SPREAD**2 + sigma**2
    centred = x - (1 - sigma) * MEAN
    return sigma / variance * centred - (MEAN + (1 - sigma) * SPREAD**2 / variance * centred)


def sampled(steps, sigmas=None):
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(steps) if sigmas is None else scheduler.set_timesteps(sigmas=sigmas)
    x = noise
    for time, sigma in zip(scheduler.timesteps, scheduler.sigmas.double()):
        x = scheduler.step(velocity(x, sigma), time, x).prev_sample
    return [round(value, 3) for value in scheduler.sigmas.tolist()], float(x.std())


def even(steps):
    return sampled(steps, [1 - step / steps for step in range(steps)])[1]


assert sampled(1)[1] == even(1)
for steps in (2, 3, 5, 10):
    sigmas, spread = sampled(steps)
    print(f"{steps} steps: sigmas {sigmas}, spread of the samples {spread:.3f}, of {steps} even steps {even(steps):.3f}, of {steps - 1} {even(steps - 1):.3f}; "
          f"right is {SPREAD}")
    assert sigmas[-2] == 0.001 and abs(spread - even(steps - 1)) < 0.002
assert sampled(2)[1] < 0.01 and even(2) > 0.19
PYTHON_SCRIPT
echo "as written"
