#!/usr/bin/env bash
# diffusers 0.42.1: DPM-Solver, UniPC and DEIS with as many sampling steps as training steps.
#
# Guess: sampling with all 50 steps that the model was trained on is the exact case: each step once, from 49 to 0.
# Seen:  the steps are 49, 48, ..., 26, 25, 24, 24, 23, ..., 1: one stands twice, 0 is not among them, and the second of the two divides by their
#        distance: each number of each sample is NaN, for 5, 10, 20, 50 and 100 training steps alike. With one step less all is well, and with
#        timestep_spacing="trailing". DDPM, DDIM and Euler have each step once.
# So:    with 5 to 100 training steps, as recommenders have, the first thing to try yields NaN from a good model; ranked as they are such
#        scores are a list of the first or last items of the catalog for everybody. It is not the learning rate.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from diffusers import (
    DDIMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

MEAN, SPREAD, SAMPLES = 2.0, 0.5, 2000


def sampled(kind, trained, steps, **options):
    """The steps, and the samples with the exact posterior of the noise."""
    torch.manual_seed(0)
    scheduler = kind(num_train_timesteps=trained, beta_schedule="squaredcos_cap_v2", **options)
    scheduler.set_timesteps(steps)
    sample = torch.randn(1, SAMPLES)
    for time in scheduler.timesteps:
        kept = scheduler.alphas_cumprod[int(time)]
        gain = kept.sqrt() * SPREAD**2 / (kept * SPREAD**2 + 1 - kept)
        expected = MEAN + gain * (sample - kept.sqrt() * MEAN)  # of the data, given the sample
        noise = (sample - kept.sqrt() * expected) / (1 - kept).sqrt()
        sample = scheduler.step(noise, time, sample).prev_sample
    return [int(time) for time in scheduler.timesteps], sample


print("diffusers", version("diffusers"))
assert version("diffusers") == "0.42.1"
for kind in (DPMSolverMultistepScheduler, UniPCMultistepScheduler, DEISMultistepScheduler):
    for trained in (5, 10, 20, 50, 100):
        times, sample = sampled(kind, trained, trained)
        twice = sorted({time for time in times if times.count(time) > 1})
        _, fewer = sampled(kind, trained, trained - 1)
        _, trailing = sampled(kind, trained, trained, timestep_spacing="trailing")
        print(f"{kind.__name__}, {trained} of {trained} steps: {twice} twice, last {times[-1]}, {float(sample.isnan().double().mean()):.0%} NaN; "
              f"{trained - 1} steps: mean {float(fewer.mean()):.2f}; trailing: mean {float(trailing.mean()):.2f}")
        assert len(twice) == 1 and times[-1] == 1 and bool(sample.isnan().all())
        assert bool(fewer.isfinite().all()) and bool(trailing.isfinite().all())
        if trained >= 20:
            assert abs(float(fewer.mean()) - MEAN) < 0.05 and abs(float(trailing.mean()) - MEAN) < 0.05
for kind in (DDIMScheduler, EulerDiscreteScheduler):
    scheduler = kind(num_train_timesteps=50)
    scheduler.set_timesteps(50)
    assert len({int(time) for time in scheduler.timesteps}) == 50
PYTHON_SCRIPT
echo "as written"
