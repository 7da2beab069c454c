#!/usr/bin/env bash
# torchcfm 1.0.7: `ExactOptimalTransportConditionalFlowMatcher`, flow matching with noise and data paired within a batch.
#
# Guess: an exact plan between 128 vectors of noise and 128 of data is a permutation, so each row of the batch is trained on once.
# Seen:  the pairs are drawn from the plan with replacement: of 128 rows some 81 are in a batch, 37 % are not, others stand in it two to five
#        times, and the noise with them. After one epoch over 1,280 users 37 % have not been seen, after three 5 %. ConditionalFlowMatcher, the
#        same without a plan, has all of them. sample_plan(..., replace=False) is the permutation, but the matcher does not pass it on.
# So:    "OT against independent pairs" after equal epochs is 63 % of the data in each against all of it, and an epoch's loss is of a bootstrap.
#        Pair with OTPlanSampler("exact").sample_plan(noise, data, replace=False) and give the pairs to ConditionalFlowMatcher.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 pot==0.9.7.post1 numpy==2.4.6 scipy==1.17.1
# Its own list asks for torchdyn
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps torchcfm==1.0.7
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
from torchcfm.conditional_flow_matching import ConditionalFlowMatcher, ExactOptimalTransportConditionalFlowMatcher
from torchcfm.optimal_transport import OTPlanSampler

USERS, BATCH, FACTORS, EPOCHS = 1280, 128, 8, 3


def rows(matcher, data, noise):
    """The rows of data that a training step of the matcher holds."""
    time, place, velocity = matcher.sample_location_and_conditional_flow(noise, data)
    ends = place + (1 - time)[:, None] * velocity  # of the straight line, with sigma 0
    distances = torch.cdist(ends.double(), data.double())
    assert float(distances.min(dim=1).values.max()) < 1e-3
    return distances.argmin(dim=1)


print("torchcfm", version("torchcfm"))
assert version("torchcfm") == "1.0.7"
torch.manual_seed(0)
np.random.seed(0)
data = torch.randn(USERS, FACTORS)
seen = {}
for matcher in (ConditionalFlowMatcher(sigma=0.0), ExactOptimalTransportConditionalFlowMatcher(sigma=0.0)):
    name, held, times = type(matcher).__name__, [], torch.zeros(USERS, dtype=torch.long)
    for epoch in range(EPOCHS):
        for users in torch.randperm(USERS).split(BATCH):
            found = users[rows(matcher, data[users], torch.randn(BATCH, FACTORS))]
            held.append(len(found.unique()))
            times += torch.bincount(found, minlength=USERS)
        seen[name, epoch + 1] = float((times == 0).double().mean())
    print(f"{name}: {np.mean(held):.1f} different rows of {BATCH} in a batch; users not seen after epochs 1 to {EPOCHS}: "
          + ", ".join(f"{seen[name, epoch + 1]:.1%}" for epoch in range(EPOCHS)) + f"; rows a user {int(times.min())} to {int(times.max())}")
    if name == "ConditionalFlowMatcher":
        assert held == [BATCH] * len(held) and seen[name, 1] == 0
    else:
        assert abs(np.mean(held) / BATCH - (1 - 1 / np.e)) < 0.02
        assert abs(seen[name, 1] - np.exp(-1)) < 0.03 and abs(seen[name, 3] - np.exp(-3)) < 0.02

noise = torch.randn(BATCH, FACTORS)
_, ends = OTPlanSampler("exact").sample_plan(noise, data[:BATCH], replace=False)
print("sample_plan(..., replace=False):", len(ends.unique(dim=0)), "different rows")
assert len(ends.unique(dim=0)) == BATCH
PYTHON_SCRIPT
echo "as written"
