#!/usr/bin/env bash
# torch 2.13.0: what one epoch of a shuffled DataLoader takes from its generator.
#
# Guess: one permutation. A loop that draws torch.randperm(n, generator=g) for each epoch and takes batches of it has the loader's order,
#        epoch after epoch.
# Seen:  the first epoch agrees only after one more number has been drawn before it (a seed for worker processes, drawn without workers
#        too), and every later one only if a second permutation is drawn at the end of each epoch and thrown away.
# So:    a faster loop in the place of DataLoader, as RecBole's loaders invite to, gives other batches from the same seed, and a run resumed
#        from a stored generator goes another way, unless both draws are made. Compare generator.get_state() after an epoch.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import torch
from torch.utils.data import DataLoader

ROWS, EPOCHS = 10, 3


def generator():
    return torch.Generator().manual_seed(5)


def by_hand(seed_first, second_order):
    """The orders of the epochs by torch.randperm, and the generator's state at the end."""
    source, orders = generator(), []
    for _ in range(EPOCHS):
        if seed_first:
            torch.empty((), dtype=torch.int64).random_(generator=source)
        orders.append(torch.randperm(ROWS, generator=source).tolist())
        if second_order:
            torch.randperm(ROWS, generator=source)
    return orders, source.get_state()


source = generator()
loader = DataLoader(range(ROWS), batch_size=4, shuffle=True, generator=source)
orders = [torch.cat(list(loader)).tolist() for _ in range(EPOCHS)]
print("torch", torch.__version__.split("+")[0])
agree = {}
for seed_first in (False, True):
    for second_order in (False, True):
        found, state = by_hand(seed_first, second_order)
        same = [one == other for one, other in zip(found, orders)]
        agree[seed_first, second_order] = same, torch.equal(state, source.get_state())
        print(f"a seed before {seed_first!s:5}, a second order after {second_order!s:5}: epochs agree {same}")
assert torch.__version__.split("+")[0] == "2.13.0"
assert agree[False, False][0] == [False, False, False]
assert agree[True, False][0] == [True, False, False]
assert agree[True, True] == ([True, True, True], True)
PYTHON_SCRIPT
echo "as written"
