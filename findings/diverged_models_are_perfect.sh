#!/usr/bin/env bash
# torcheval 0.0.7: `hit_rate` and `reciprocal_rank`, the metrics of its ranking part.
#
# Guess: a model that says nothing has about chance, k / n, and scores that are no numbers have 0 or an error.
# Seen:  the rank of the clicked item is how many scores are greater than its own: with equal scores, or with NaN, none is. Among 100 items a
#        constant model has a hit rate@1 and a reciprocal rank of 1, and so has one that has diverged to NaN, above a good model's. A random
#        one whose scores go through a ReLU, half of them 0, has a hit rate@60 of 0.99 where it is 0.62.
# So:    early stopping and a search keep the run that collapsed or diverged, with the best value there is. Break ties at random, and refuse NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torcheval==0.0.7 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torcheval.metrics import HitRate, ReciprocalRank
from torcheval.metrics.functional import hit_rate, reciprocal_rank

USERS, ITEMS = 2000, 100

print("torcheval", version("torcheval"), f"{USERS} users, one clicked item of {ITEMS}")
assert version("torcheval") == "0.0.7"
generator = torch.Generator().manual_seed(0)
clicked = torch.randint(ITEMS, (USERS,), generator=generator)
random = torch.randn(USERS, ITEMS, generator=generator)
good = random.clone()
good[torch.arange(USERS), clicked] += 2.3
models = {
    "good": good,
    "random": random,
    "random, ReLU": random.relu(),
    "constant": torch.zeros(USERS, ITEMS),
    "NaN": torch.full((USERS, ITEMS), float("nan")),
}
found = {}
for name, scores in models.items():
    found[name] = [float(hit_rate(scores, clicked, k=k).mean()) for k in (1, 10, 60)]
    found[name].append(float(reciprocal_rank(scores, clicked).mean()))
    shuffled = (scores.nan_to_num() + 1e-6 * torch.rand(scores.shape, generator=generator)).argsort(dim=1, descending=True)
    places = (shuffled == clicked[:, None]).double().argmax(dim=1)
    chance = [float((places < k).double().mean()) for k in (1, 10, 60)] + [float((1 / (places + 1)).mean())]
    print(f"{name}: hit rate@1, @10, @60 and reciprocal rank " + ", ".join(f"{value:.3f}" for value in found[name])
          + "; with equal scores in a random order " + ", ".join(f"{value:.3f}" for value in chance))
    metric = HitRate(k=1)
    metric.update(scores, clicked)
    assert abs(float(metric.compute().mean()) - found[name][0]) < 1e-6
    assert name not in ("good", "random") or max(abs(a - b) for a, b in zip(found[name], chance)) < 0.005
    assert name not in ("constant", "NaN") or (found[name] == [1.0] * 4 and chance[0] < 0.03 and chance[3] < 0.1)
assert found["random, ReLU"][2] > 0.97 and found["random"][2] < 0.68
assert found["good"][0] < 0.7
PYTHON_SCRIPT
echo "as written"
