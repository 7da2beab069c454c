#!/usr/bin/env bash
# torch 2.13.0: `torch.optim.ASGD`, "Averaged Stochastic Gradient Descent", with `t0=0` so that it averages from the first step on.
#
# Guess: the model's parameters are the average after t0, or become it where training ends; and without a gradient nothing moves (`weight_decay` is 0).
# Seen:  the parameters are those of plain SGD. The average is in `optimizer.state[parameter]["ax"]`, which nothing ever puts into the model: after 2,000 noisy
#        steps it is 0.02 off where the model, as with SGD, is 0.21 off. By default averaging starts at step 1,000,000, and `ax` is a copy until then.
#        With `lambd=1e-4`, the default, parameters shrink too: from 1 to 0.47 in 10,000 steps with a rate of 1 and no gradient, where SGD leaves 1.
# So:    a comparison of optimizers in which ASGD is "SGD with averaging" has not averaged anything. Copy `ax` into the model before evaluation, or take
#        `torch.optim.swa_utils.AveragedModel` around SGD.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
import torch

print("torch", torch.__version__.split("+")[0])
assert torch.__version__.startswith("2.13.0")


def trained(make, steps=2_000, width=100):
    """From 0 towards 1, with noise of deviation 1 in each gradient."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(width))
    optimizer = make([weight])
    by_hand = torch.zeros(width)
    for step in range(steps):
        weight.grad = weight.detach() - 1 + torch.randn(width, generator=generator)
        optimizer.step()
        by_hand += (weight.detach() - by_hand) / (step + 1)
    return weight.detach(), optimizer.state[weight].get("ax"), by_hand


def off(values):
    return float((values - 1).square().mean().sqrt())


plain, _, mean_of_plain = trained(lambda parameters: torch.optim.SGD(parameters, lr=0.1))
print(f"SGD: the model is {off(plain):.3f} off, the mean of its steps {off(mean_of_plain):.3f}")
found = {}
for t0 in (0, 1_000, 1_000_000):
    weight, kept, _ = trained(lambda parameters: torch.optim.ASGD(parameters, lr=0.1, lambd=0, t0=t0))
    found[t0] = weight, kept
    print(f"ASGD, t0={t0}: the model is {off(weight):.3f} off, what is in its state {off(kept):.3f}")
    assert torch.allclose(weight, plain, atol=1e-5)
assert off(found[0][1]) < 0.2 * off(plain) and off(found[1_000][1]) < 0.3 * off(plain)
assert torch.equal(*found[1_000_000])


def left_alone(make):
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = make([weight])
    for _ in range(10_000):
        weight.grad = torch.zeros(1)
        optimizer.step()
    return float(weight.detach())


shrunk, kept = left_alone(lambda weights: torch.optim.ASGD(weights, lr=1.0)), left_alone(lambda weights: torch.optim.SGD(weights, lr=1.0))
print(f"10,000 steps without a gradient: 1 is {shrunk:.2f} by ASGD, {kept:.2f} by SGD")
assert 0.4 < shrunk < 0.55 and kept == 1
PYTHON_SCRIPT
echo "as written"
