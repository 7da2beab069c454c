#!/usr/bin/env bash
# pytorch-metric-learning 2.9.0: `SmoothAPLoss` on batches of users' vectors and those of the items that they took, with one label for both.
#
# Guess: a pair counts as two rows of one class, since it asks for nothing but as many rows of each class, and raises otherwise; two heaps of pairs are bad.
# Seen:  the number of classes and that of rows in a class are taken for each other: 16 pairs are read as 2 classes of 16 rows, first half and second half, and
#        labels do not matter. Where each pair is one vector, far from the others, the loss is 0.40, where it is 0 by the paper; where all pairs lie in two
#        heaps it is 0.00, where it is 0.82. With `cat([users, items])` it becomes 0.00 as users lie in one heap and items in another: after 200 steps the item
#        is in the ten for next to none of 400 users, for 0.90 with pairs side by side, 1.00 with `NTXentLoss`. Four classes of four rows are right.
# So:    with two rows a user, as in each two-tower model, it is fitted to the places in the batch, and reports that all is well. Only batches with as many
#        classes as rows in a class are right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 pytorch-metric-learning==2.9.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import pytorch_metric_learning
import torch
from pytorch_metric_learning.losses import NTXentLoss, SmoothAPLoss

print("pytorch-metric-learning", pytorch_metric_learning.__version__)
assert pytorch_metric_learning.__version__ == "2.9.0"
torch.set_num_threads(1)


def by_the_paper(vectors, labels):
    """One minus the smoothed average precision, row by row; a row is no candidate of its own list, as in the library."""
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2)
    losses = []
    for row in range(len(vectors)):
        above = torch.sigmoid((cosines[row][None, :] - cosines[row][:, None]) / 0.01)  # [i, j]: j stands above i
        above.fill_diagonal_(0)
        mates = torch.nonzero(labels == labels[row]).flatten()
        precisions = (1 + above[mates][:, mates].sum(dim=1)) / (1 + above[mates].sum(dim=1))
        losses.append(1 - precisions.mean())
    return float(torch.stack(losses).mean())


torch.manual_seed(0)
pairs, grouped = torch.arange(16).repeat_interleave(2), torch.arange(4).repeat_interleave(4)
apart = torch.eye(16).repeat_interleave(2, dim=0)
heaps = torch.eye(2).repeat_interleave(16, dim=0)
random = torch.randn(16, 8)
found = {}
for name, vectors, labels in (
    ("16 pairs, each one vector", apart, pairs),
    ("16 pairs in two heaps", heaps, pairs),
    ("the same with other labels", heaps, pairs[torch.randperm(32)]),
    ("4 classes of 4 random rows", random, grouped),
):
    found[name] = float(SmoothAPLoss()(vectors, labels)), by_the_paper(vectors, labels)
    print(f"{name}: {found[name][0]:.3f}, by the paper {found[name][1]:.3f}")

USERS, BATCH, STEPS, WIDTH = 400, 16, 200, 16


def trained(loss, side_by_side):
    draw = torch.Generator().manual_seed(0)
    tables = [(0.1 * torch.randn(USERS, WIDTH, generator=draw)).requires_grad_() for _ in range(2)]  # item i belongs to user i
    optimizer = torch.optim.Adam(tables, lr=0.05)
    for _ in range(STEPS):
        users = torch.randperm(USERS, generator=draw)[:BATCH]
        vectors = torch.cat([table[users] for table in tables])
        order = torch.arange(2 * BATCH).view(2, BATCH).T.flatten() if side_by_side else torch.arange(2 * BATCH)
        value = loss(vectors[order], torch.cat([users, users])[order])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    user, item = (torch.nn.functional.normalize(table.detach(), dim=1) for table in tables)
    lists = (user @ item.T).topk(10).indices
    return float(value), float((lists == torch.arange(USERS)[:, None]).any(dim=1).float().mean())


for name, loss, side_by_side in (
    ("SmoothAPLoss, users and then items", SmoothAPLoss(), False),
    ("SmoothAPLoss, pairs side by side", SmoothAPLoss(), True),
    ("NTXentLoss, users and then items", NTXentLoss(temperature=0.1), False),
):
    found[name] = trained(loss, side_by_side)
    print(f"{name}: after {STEPS} steps a loss of {found[name][0]:.2f}, the item is in the ten for {found[name][1]:.2f} of the users")
one, heap, other, square, halves, _, right = found.values()
assert one[0] > 0.2 and one[1] < 0.01
assert heap[0] == other[0] < 0.01 and heap[1] > 0.7 and other[1] > 0.7
assert abs(square[0] - square[1]) < 1e-4
assert halves[0] < 0.01 and halves[1] < 0.1 and right[1] > 0.97
PYTHON_SCRIPT
echo "as written"
