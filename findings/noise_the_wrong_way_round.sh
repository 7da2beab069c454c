#!/usr/bin/env bash
# diffusers 0.42.1: `add_noise(x, noise, t)` of DPM-Solver, UniPC and DEIS in training.
#
# Guess: step t has the noise that it has in DDPM (betas are the same), and `set_timesteps`, which is for sampling, does not change that.
# Seen:  before the first set_timesteps() it is the other way round: step 0 is nearly all noise, step 999 nearly all data. After set_timesteps(20)
#        the 20 steps of that schedule are right, and the other 980 get the noise of its last one, 0.17. Nothing is said. A model fitted exactly to
#        such rows, from data with mean 2 and a spread of 0.5, has samples with 2.40 and 0.60 (50 steps); fitted after a first look at samples with
#        20 steps 8.16 and 2.72, and 2.00 and 0.49 when it is looked at with 20 steps again. With DDPM's add_noise it is 2.00 and 0.51.
# So:    one scheduler object for training and for sampling is a wrong model that passes its own check. Add noise by DDPMScheduler, whatever samples.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==1.26.4 diffusers==0.42.1
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from diffusers import DDPMScheduler, DEISMultistepScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

STEPS, ROWS = 1_000, 400

print("diffusers", version("diffusers"), "torch", torch.__version__.split("+")[0])
assert version("diffusers") == "0.42.1"


def share_of_noise(scheduler):
    """By step, from data 0 and noise 1."""
    zeros, ones = torch.zeros(STEPS, 1), torch.ones(STEPS, 1)
    return scheduler.add_noise(zeros, ones, torch.arange(STEPS))[:, 0]


def fitted(scheduler):
    """The noise as a straight line in the noisy value, by least squares for each step: exact where the data are normal."""
    generator = torch.Generator().manual_seed(0)
    lines = []
    for step in range(STEPS):
        data, noise = 2 + 0.5 * torch.randn(ROWS, 1, generator=generator), torch.randn(ROWS, 1, generator=generator)
        noisy = scheduler.add_noise(data, noise, torch.full((ROWS,), step))
        lines.append(torch.linalg.lstsq(torch.cat([noisy, torch.ones(ROWS, 1)], dim=1), noise).solution[:, 0])
    return torch.stack(lines)


def sampled(lines, steps):
    scheduler = DPMSolverMultistepScheduler()
    scheduler.set_timesteps(steps)
    value = torch.randn(2_000, 1, generator=torch.Generator().manual_seed(1))
    for step in scheduler.timesteps:
        value = scheduler.step(lines[step, 0] * value + lines[step, 1], step, value).prev_sample
    return value.mean().item(), value.std().item()


right = share_of_noise(DDPMScheduler())
for kind in (DPMSolverMultistepScheduler, UniPCMultistepScheduler, DEISMultistepScheduler):
    scheduler = kind()
    before = share_of_noise(scheduler)
    scheduler.set_timesteps(20)
    after = share_of_noise(scheduler)
    used = torch.zeros(STEPS, dtype=bool).index_fill_(0, scheduler.timesteps, True)
    print(f"{kind.__name__}: noise in steps 0, 500, 999: DDPM " + ", ".join(f"{one:.3f}" for one in right[[0, 500, 999]])
          + "; before set_timesteps " + ", ".join(f"{one:.3f}" for one in before[[0, 500, 999]])
          + "; after " + ", ".join(f"{one:.3f}" for one in after[[0, 500, 999]]))
    assert torch.allclose(before, right.flip(0), atol=1e-4)
    assert torch.allclose(after[used], right[used], atol=1e-4) and (after[~used] < 0.5 * right.median()).all()
    assert after[~used].unique().numel() == 1

never, looked = DPMSolverMultistepScheduler(), DPMSolverMultistepScheduler()
looked.set_timesteps(20)
table = {
    "DDPM": fitted(DDPMScheduler()),
    "DPM-Solver, before set_timesteps": fitted(never),
    "DPM-Solver, after set_timesteps(20)": fitted(looked),
}
found = {name: {steps: sampled(lines, steps) for steps in (20, 50)} for name, lines in table.items()}
for name, rows in found.items():
    print(f"fitted with add_noise of {name}: " + "; ".join(f"{steps} steps mean {mean:.2f} spread {spread:.2f}" for steps, (mean, spread) in rows.items()))
one, two, three = found.values()
assert abs(one[50][0] - 2) < 0.05 and abs(one[50][1] - 0.5) < 0.05
assert two[50][0] > 2.2 and two[20][0] > 2.2
assert abs(three[20][0] - 2) < 0.05 and three[50][0] > 6 and three[50][1] > 2
PYTHON_SCRIPT
echo "as written"
