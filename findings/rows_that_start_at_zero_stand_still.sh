#!/usr/bin/env bash
# torch 2.13.0: a table of vectors compared by cosine (`F.normalize`), whose rows of new items start at 0.
#
# Guess: a row of zeros has no gradient, or an ordinary one, and is trained like the others from its first batch on.
# Seen:  the gradient of `F.normalize` at 0 is 1e12 times that of its result, since eps is 1e-12. With Adam a new row makes one step, and its second moment is
#        so great from then on that in 600 steps it does not turn (a cosine of 1.000 to where it was after step 1); 0.70 of its nearest items are of its genre,
#        1.00 where new rows start at a thousandth, or with the gradient cut to a norm of 1. Adagrad has 0.45. With SGD it has a length of 4e10 after step 1,
#        which no later gradient turns: 0.75. All other items have 1.00, and the loss falls as always. In `F.cosine_similarity` it is about 1e8.
# So:    zeros for the items by which a table grows fix them at what the first batch said, for tens of thousands of steps. Start them at random, or at a mean.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W error - <<'PYTHON_SCRIPT'
import torch
from torch.nn import functional

print("torch", torch.__version__.split("+")[0])
assert torch.__version__.startswith("2.13.0")

USERS, ITEMS, NEW, GENRES, WIDTH, STEPS = 500, 200, 20, 20, 16, 600
zero = torch.zeros(1, 4, requires_grad=True)
functional.normalize(zero).sum().backward()
print("gradient of the sum of normalize(0):", zero.grad[0].tolist())
assert bool((zero.grad > 9e11).all())


def trained(start, optimizer, clip=None):
    """Items 0 to 19 are new; the share of their nearest five old items that are of their genre, likewise for old ones, and how far they turned."""
    generator = torch.Generator().manual_seed(0)
    genre_of_user, genre_of_item = torch.arange(USERS) % GENRES, torch.arange(ITEMS) % GENRES
    users = torch.nn.Parameter(0.1 * torch.randn(USERS, WIDTH, generator=generator))
    items = 0.1 * torch.randn(ITEMS, WIDTH, generator=generator)
    items[:NEW] = start * torch.randn(NEW, WIDTH, generator=generator)
    items = torch.nn.Parameter(items)
    step_of = optimizer([users, items])
    first = None
    for _ in range(STEPS):
        user = torch.randint(USERS, (256,), generator=generator)
        item = torch.randint(ITEMS // GENRES, (256,), generator=generator) * GENRES + genre_of_user[user]
        scores = functional.normalize(users[user]) @ functional.normalize(items).T / 0.1
        step_of.zero_grad()
        functional.cross_entropy(scores, item).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([users, items], clip)
        step_of.step()
        first = functional.normalize(items.detach()).clone() if first is None else first
    vectors = functional.normalize(items.detach())
    turned = (first * vectors).sum(dim=1)[:NEW].mean()
    nearest = (vectors @ vectors[NEW:].T - 9.0 * torch.eye(ITEMS)[:, NEW:]).topk(5).indices + NEW
    right = (genre_of_item[nearest] == genre_of_item[:, None]).float().mean(dim=1)
    return float(right[:NEW].mean()), float(right[NEW:].mean()), float(turned), float(items.detach()[:NEW].norm(dim=1).mean())


KINDS = {
    "Adam": lambda rows: torch.optim.Adam(rows, lr=0.01),
    "SGD": lambda rows: torch.optim.SGD(rows, lr=1.0),
    "Adagrad": lambda rows: torch.optim.Adagrad(rows, lr=0.05),
}
found = {}
for name, kind, clip in (*((name, kind, None) for name, kind in KINDS.items()), ("Adam, norm cut to 1", KINDS["Adam"], 1.0)):
    for start in (0.0, 1e-3):
        found[name, start] = new, old, turned, length = trained(start, kind, clip)
        print(f"{name}, new items start at {start:g}: {new:.2f} of a new item's nearest are of its genre, {old:.2f} of an old one's; "
              f"cosine to the vector after step 1 {turned:.3f}, length {length:.2g}")
for name in KINDS:
    assert found[name, 0.0][0] < 0.85 and found[name, 0.0][2] > 0.999 and found[name, 0.0][1] > 0.97
    assert found[name, 1e-3][0] > 0.97
assert found["SGD", 0.0][3] > 1e9 and found["Adam, norm cut to 1", 0.0][0] > 0.95
zero = torch.zeros(1, 4, requires_grad=True)
functional.cosine_similarity(zero, torch.ones(1, 4)).sum().backward()
print("gradient of cosine_similarity(0, 1):", zero.grad[0].tolist())
assert bool((zero.grad > 1e7).all())
PYTHON_SCRIPT
echo "as written"
