#!/usr/bin/env bash
# diffusers 0.42.1: EMAModel, the average of weights of its training scripts, with use_ema_warmup=False (the default).
#
# Guess: without warmup the decay is the constant that is given: 0.9999 averages over the last 10,000 steps or so, 0.999 over 1,000.
# Seen:  the decay is (1 + step) / (10 + step) until that passes the constant: 0.991 in step 1,000; 0.999 is reached after 8,990 steps, 0.9999
#        after 89,990. Up to then both give the same average, to the bit, over the last tenth of the run. With use_ema_warmup=True the
#        decay is smaller still (0.990), since only its form changes.
# So:    a recommender is trained for some thousand steps: a search over decays of 0.999, 0.9995 and 0.9999 compares one model with itself, and a
#        paper's 0.9999 means 0.998 here. torch's get_ema_multi_avg_fn(0.9999) is constant, and after 5,000 steps still a good half made of
#        the first weights: the same number in two libraries is two models. min_decay=decay makes it constant here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 diffusers==0.42.1 numpy==1.26.4
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
import torch
from diffusers.training_utils import EMAModel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS, DECAYS = 5000, (0.999, 0.9995, 0.9999)


def averages(decay):
    """Averages after STEPS steps of a weight that is 0 at first and grows by 1 / STEPS a step: diffusers', torch's, and that of a constant by hand."""
    weight = torch.nn.Linear(1, 1, bias=False).double()
    torch.nn.init.zeros_(weight.weight)
    kinds = {"diffusers": EMAModel(weight.parameters(), decay=decay)}
    kinds["warmup on"] = EMAModel(weight.parameters(), decay=decay, use_ema_warmup=True)
    kinds["min_decay"] = EMAModel(weight.parameters(), decay=decay, min_decay=decay)
    other = AveragedModel(weight, multi_avg_fn=get_ema_multi_avg_fn(decay))
    other.update_parameters(weight)  # torch's first update copies
    by_hand = 0.0
    for step in range(1, STEPS + 1):
        with torch.no_grad():
            weight.weight += 1 / STEPS
        for average in kinds.values():
            average.step(weight.parameters())
        other.update_parameters(weight)
        by_hand = decay * by_hand + (1 - decay) * step / STEPS
    found = {name: float(average.shadow_params[0].detach()) for name, average in kinds.items()}
    return found | {"torch": float(other.module.weight.detach()), "by hand": by_hand}


print("diffusers", version("diffusers"), "torch", torch.__version__.split("+")[0], f"average of a weight that went from 0 to 1 in {STEPS:,} steps")
assert version("diffusers") == "0.42.1"
found = {}
for decay in DECAYS:
    found[decay] = averages(decay)
    print(f"decay {decay:6}", ", ".join(f"{name} {value:.4f}" for name, value in found[decay].items()))
    assert abs(found[decay]["torch"] - found[decay]["by hand"]) < 1e-9
    assert abs(found[decay]["min_decay"] - found[decay]["by hand"]) < 1e-3
assert len({each["diffusers"] for each in found.values()}) == 1 and 0.88 < found[0.999]["diffusers"] < 0.92
assert len({round(each["torch"], 2) for each in found.values()}) == 3

ema = EMAModel([torch.nn.Parameter(torch.zeros(1))], decay=0.9999)
now = [ema.get_decay(step + 1) for step in (10, 1000, 5000, 8991, 89991)]
print("decay in steps 10, 1,000, 5,000, 8,991 and 89,991:", [round(value, 5) for value in now])
assert [round(value, 4) for value in now] == [0.55, 0.9911, 0.9982, 0.999, 0.9999]
PYTHON_SCRIPT
echo "as written"
