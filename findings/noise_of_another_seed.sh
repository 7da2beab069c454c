#!/usr/bin/env bash
# torchsde 0.2.6: `sdeint` of a reverse diffusion that leads from noise to a user's vector, after
# `torch.manual_seed(0)`.
#
# Guess: torch's seed decides, as everywhere in torch: the same seed has the same lists, another one has
#        others.
# Seen:  the noise's seed is drawn from numpy's global generator. With one torch seed twice lists of ten share
#        0.38, about as much as with two seeds (0.35); with numpy's seed set all torch seeds have the same
#        noise, and lists of torch seeds 0 and 1 share 1.00 (the start is given here).
#        `bm=BrownianInterval(..., entropy=seed)` decides it.
# So:    a run that sets torch's seed alone cannot be repeated, and one that fixes numpy's for its splits
#        reports five seeds with one noise.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 torchsde==0.2.6 trampoline==0.1.2 scipy==1.17.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
import torchsde

print("torchsde", version("torchsde"), "torch", torch.__version__.split("+")[0])
assert version("torchsde") == "0.2.6"
USERS, ITEMS, SIZE, K = 200, 500, 8, 10
random = torch.Generator().manual_seed(0)
items = torch.randn(ITEMS, SIZE, generator=random)
wanted = torch.randn(USERS, SIZE, generator=random)  # with a spread of 0.5
start = torch.randn(USERS, SIZE, generator=random)


class Reverse(torch.nn.Module):
    """dx = (x / 2 + score) dt + dw, from noise at 0 to data at 1: [users, size]."""

    noise_type, sde_type = "diagonal", "ito"

    def f(self, time, state):
        left = torch.exp(-(1 - time) * 4)  # share of the data's variance that is there
        mean, variance = wanted * left.sqrt(), 1 - left * 0.75
        return 2 * state + 4 * (mean - state) / variance

    def g(self, time, state):
        return torch.full_like(state, 2.0)


def lists(torch_seed=None, numpy_seed=None, entropy=None):
    torch.manual_seed(torch_seed)
    np.random.seed(numpy_seed)
    noise = None
    if entropy is not None:
        noise = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=start.shape, entropy=entropy)
    ends = torch.tensor([0.0, 1.0])
    vectors = torchsde.sdeint(Reverse(), start, ends, dt=0.05, method="euler", bm=noise)[-1]
    return (vectors @ items.T).topk(K).indices


def shared(first, second):
    return float((first[:, :, None] == second[:, None, :]).any(dim=2).float().mean())


seen = {
    "torch seed 0 twice": shared(lists(0), lists(0)),
    "torch seeds 0 and 1": shared(lists(0), lists(1)),
    "torch seed 0, numpy seed 7 twice": shared(lists(0, 7), lists(0, 7)),
    "torch seeds 0 and 1, numpy seed 7": shared(lists(0, 7), lists(1, 7)),
    "torch seed 0, entropy 7 twice": shared(lists(0, None, 7), lists(0, None, 7)),
}
for name, share in seen.items():
    print(f"{name}: lists share {share:.2f}")
assert max(seen["torch seed 0 twice"], seen["torch seeds 0 and 1"]) < 0.9
assert [share for name, share in seen.items() if "7" in name] == [1, 1, 1]
PYTHON_SCRIPT
echo "as written"
