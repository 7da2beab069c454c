#!/usr/bin/env bash
# torch 2.13.0: `multinomial(weights, n, replacement=False)` and `WeightedRandomSampler(..., replacement=False)` with fewer weights above 0 than draws.
#
# Guess: it raises, as numpy's choice does ("Fewer non-zero entries in p than size"), or gives fewer; a weight of 0 is never drawn.
# Seen:  the rest is filled with entries of weight 0, without a word: a user who has 92 of 100 items gets 12 of them as negatives when 20 are
#        asked for, in each draw. A sampler over 1,000 rows, 200 of them held out with a weight of 0, goes through all 1,000 in an epoch with
#        num_samples=len(rows): the test part is trained on. With replacement=True a weight of 0 is never drawn.
# So:    weights of 0 are no mask for draws without replacement. Count what is above 0, or draw from the ids that are left.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import torch
from torch.utils.data import WeightedRandomSampler

ITEMS, SEEN, NEGATIVES, ROWS, HELD_OUT = 100, 92, 20, 1000, 200

print("torch", version("torch"), "numpy", version("numpy"))
assert version("torch").split("+")[0] == "2.13.0"
torch.manual_seed(0)
seen = torch.zeros(50, ITEMS, dtype=torch.bool)  # [users, items]
for user in range(len(seen)):
    seen[user, torch.randperm(ITEMS)[:SEEN]] = True
popularity = torch.rand(ITEMS) + 0.1
weights = popularity * ~seen  # 0 for what a user has already
for replacement in (False, True):
    drawn = torch.multinomial(weights, NEGATIVES, replacement=replacement)  # [users, negatives]
    positives = seen.gather(1, drawn).sum(dim=1)
    print(f"replacement={replacement}: of {NEGATIVES} negatives {positives.min()} to {positives.max()} are items that the user has")
    assert set(positives.tolist()) == ({NEGATIVES - (ITEMS - SEEN)} if not replacement else {0})
enough = torch.multinomial(weights, ITEMS - SEEN, replacement=False)
print(f"as many as there are, {ITEMS - SEEN}: {int(seen.gather(1, enough).sum())} that the user has")
assert not seen.gather(1, enough).any()
try:
    chances = weights[0].double().numpy()
    np.random.default_rng(0).choice(ITEMS, NEGATIVES, replace=False, p=chances / chances.sum())
    raise SystemExit("numpy draws too")
except ValueError as error:
    print("numpy:", error)

of_rows = torch.ones(ROWS)
of_rows[-HELD_OUT:] = 0  # the newest rows are the test part
for replacement in (False, True):
    epoch = list(WeightedRandomSampler(of_rows, num_samples=ROWS, replacement=replacement, generator=torch.Generator().manual_seed(0)))
    held_out = sum(row >= ROWS - HELD_OUT for row in epoch)
    print(f"WeightedRandomSampler, replacement={replacement}: {len(set(epoch)):,} different rows in an epoch, {held_out} draws of held-out rows")
    assert held_out == (HELD_OUT if not replacement else 0)
PYTHON_SCRIPT
echo "as written"
