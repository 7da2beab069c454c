#!/usr/bin/env bash
# lion-pytorch 0.2.5: `Lion` on a table of items of which most are in no batch.
#
# Guess: an item's row goes on a little by momentum, as under Adam and SGD, less in each step, and stands still after some hundred.
# Seen:  the sign of the momentum is taken, so the row goes on by the whole learning rate until the momentum is exactly 0, which float32 never reaches: the
#        smallest number times 0.99 rounds back to itself. One gradient of a thousandth, with a rate of 0.0001, has moved a row by 3.0 after 30,000 steps,
#        Adam with ten times the rate by 0.006. Half of the items leave the catalog after step 200 of 2,000: their vectors grow from 1.7 to 23, and they are all of
#        each list over all items, under Adam and SGD none. A `weight_decay` of 1 keeps lengths at 4, and lists as they are.
# So:    rare items go along the sign of their last gradient until the next one. Lion is for dense weights; tables get another optimizer.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 lion-pytorch==0.2.5 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from lion_pytorch import Lion

print("lion-pytorch", version("lion-pytorch"), "torch", torch.__version__.split("+")[0])
assert version("lion-pytorch") == "0.2.5"


def moved(make, steps=30_000):
    """How far a row of one gradient, in step 0, has moved in the end, and in the last step alone, as shares of the learning rate."""
    row = torch.nn.Parameter(torch.zeros(1))
    optimizer = make([row])
    for step in range(steps):
        row.grad = torch.full((1,), 0.001 if step == 0 else 0.0)
        before = float(row.detach())
        optimizer.step()
    rate = optimizer.param_groups[0]["lr"]
    return abs(float(row.detach())), abs(float(row.detach()) - before) / rate


by_lion, last = moved(lambda rows: Lion(rows, lr=1e-4))
by_adam, last_of_adam = moved(lambda rows: torch.optim.Adam(rows, lr=1e-3))
by_sgd, last_of_sgd = moved(lambda rows: torch.optim.SGD(rows, lr=1e-1, momentum=0.9))
print(f"one gradient, 30,000 steps: Lion {by_lion:.3f}, the last step {last:.2f} of the rate; Adam {by_adam:.4f}, {last_of_adam:.2f}; "
      f"SGD {by_sgd:.4f}, {last_of_sgd:.2f}")
assert by_lion > 2.9 and 0.98 < last < 1.02 and by_adam < 0.01 and by_sgd < 0.01 and last_of_adam == last_of_sgd == 0

USERS, ITEMS, WIDTH, GENRES = 400, 1_000, 16, 10
genre_of_user, genre_of_item = torch.arange(USERS) % GENRES, torch.arange(ITEMS) % GENRES
left = torch.arange(ITEMS) < ITEMS // 2


def trained(make, steps, all_items_until=200):
    """BPR; users take items of their genre. Lengths of the items that left and of the others, and the share of lists that left."""
    generator = torch.Generator().manual_seed(0)
    users = torch.nn.Parameter(0.1 * torch.randn(USERS, WIDTH, generator=generator))
    items = torch.nn.Parameter(0.1 * torch.randn(ITEMS, WIDTH, generator=generator))
    optimizer = make([users, items])
    for step in range(steps):
        user = torch.randint(0, USERS, (512,), generator=generator)
        taken = torch.randint(0, ITEMS // GENRES, (512,), generator=generator) * GENRES + genre_of_user[user]
        other = torch.randint(0, ITEMS, (512,), generator=generator)
        if step >= all_items_until:
            taken, other = (torch.where(left[item], item + ITEMS // 2, item) for item in (taken, other))
        loss = torch.nn.functional.softplus(-(users[user] * (items[taken] - items[other])).sum(dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        lists = (users @ items.T).topk(10).indices
        lengths = items.norm(dim=1)
    return float(lengths[left].mean()), float(lengths[~left].mean()), float(left[lists].float().mean())


optimizers = {
    "Lion": lambda rows: Lion(rows, lr=3e-3),
    "Lion, weight_decay=1": lambda rows: Lion(rows, lr=3e-3, weight_decay=1.0),
    "Adam": lambda rows: torch.optim.Adam(rows, lr=1e-2),
    "SGD": lambda rows: torch.optim.SGD(rows, lr=10.0, momentum=0.9),
}
for name, make in optimizers.items():
    before, _, share_before = trained(make, 200)
    after, of_others, share = trained(make, 2_000)
    print(f"{name}: lengths of items that leave {before:.2f} after step 200, {after:.2f} after step 2,000 (others {of_others:.2f}), "
          f"their share of the lists {share_before:.2f}, then {share:.2f}")
    assert 0.4 < share_before < 0.6
    if name.startswith("Lion"):
        assert share > 0.95 and after > 2 * before
    else:
        assert share < 0.05 and after < 1.1 * before
PYTHON_SCRIPT
echo "as written"
