#!/usr/bin/env bash
# diffusers 0.42.1: DDPMScheduler and DDIMScheduler with fewer sampling steps than training steps, of which recommenders have few.
#
# Guess: 30 sampling steps of 50 are spread over all 50, the first near the noisiest.
# Seen:  by default steps are 50 // 30 = 1 apart, from 0: the sampler starts at step 29 as if it were pure noise, and the noisiest 20 are never
#        used; with 26 steps it starts at 25. Data with mean 2 and standard deviation 0.5, a cosine schedule, and the exact posterior in place of
#        a network: DDIM's samples have a mean of 1.96 with 25 steps, 1.17 with 26, 1.34 with 30, 1.69 with 40 and 1.99 with 50, DDPM's 1.99,
#        1.64, 1.76, 1.95 and 2.00. timestep_spacing="trailing" has 2.00 for DDPM, not for DDIM (1.28 with 26): its step goes back by
#        50 // steps, wherever the next one is. DPM-Solver, UniPC and Euler are spread by default.
# So:    a curve over sampling steps has a hole between half and all of them, for no reason of the model's, and 25 steps beat 40. Choose a divisor
#        of the training steps.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

MEAN, SPREAD, SAMPLES, TRAINED = 2.0, 0.5, 20_000, 50
MEANS = {
    "DDPMScheduler": {25: 1.99, 26: 1.64, 30: 1.76, 40: 1.95, 50: 2.00},
    "DDIMScheduler": {25: 1.96, 26: 1.17, 30: 1.34, 40: 1.69, 50: 1.99},
}


def sampled(kind, steps, **options):
    """The first step, and the samples' mean with the exact posterior of the noise."""
    torch.manual_seed(0)
    scheduler = kind(num_train_timesteps=TRAINED, beta_schedule="squaredcos_cap_v2", clip_sample=False, **options)
    scheduler.set_timesteps(steps)
    sample = torch.randn(1, SAMPLES)
    for time in scheduler.timesteps:
        kept = scheduler.alphas_cumprod[time]
        gain = kept.sqrt() * SPREAD**2 / (kept * SPREAD**2 + 1 - kept)
        expected = MEAN + gain * (sample - kept.sqrt() * MEAN)  # of the data, given the sample
        noise = (sample - kept.sqrt() * expected) / (1 - kept).sqrt()
        sample = scheduler.step(noise, time, sample).prev_sample
    return int(scheduler.timesteps[0]), float(sample.mean())


print("diffusers", version("diffusers"), f"{TRAINED} training steps, data with mean {MEAN}")
assert version("diffusers") == "0.42.1"
means = {}
for steps in (10, 20, 25, 26, 30, 40, 49, 50):
    line = f"{steps} steps:"
    for kind in (DDPMScheduler, DDIMScheduler):
        first, means[kind, steps] = sampled(kind, steps)
        _, trailing = sampled(kind, steps, timestep_spacing="trailing")
        line += f" {kind.__name__} starts at {first}, mean {means[kind, steps]:.2f}, trailing {trailing:.2f};"
        assert first == (TRAINED // steps) * (steps - 1)
        wanted = MEANS[kind.__name__].get(steps)
        assert wanted is None or abs(means[kind, steps] - wanted) < 0.02
        assert abs(trailing - MEAN) < 0.03 or (kind is DDIMScheduler and TRAINED % steps and trailing < MEAN)
    other = DPMSolverMultistepScheduler(num_train_timesteps=TRAINED)
    other.set_timesteps(steps)
    print(line, f"DPM-Solver starts at {int(other.timesteps[0])}")
    assert int(other.timesteps[0]) == TRAINED - 1
assert means[DDIMScheduler, 25] - means[DDIMScheduler, 40] > 0.2
PYTHON_SCRIPT
echo "as written"
