#!/usr/bin/env bash
# pytorch-metric-learning 2.9.0: a loss between two towers, `loss(users, labels, ref_emb=items, ref_labels=labels)`, row i of one belonging to row i of
# the other.
#
# Guess: equal labels are positive pairs, so user i and item i are one.
# Seen:  where both arguments are one tensor object the diagonal is taken out, as if users and items were the same vectors. With a number for each row
#        no positive pair is left, and NTXentLoss and its gradient are 0 in each step; with `ref_labels=labels.clone()`, the same numbers, it
#        begins at 5.05. With item ids only rows whose item another row of the batch has too are trained on: recall@10 of the log's rows is 0.18,
#        and 0.61 with the clone.
# So:    a loss of 0 from the first step on, or one that looks healthy and trains on few rows. Clone the labels, or use `SelfSupervisedLoss(loss)`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 pytorch-metric-learning==2.9.0 scikit-learn==1.7.2 scipy==1.15.3 numpy==1.26.4 tqdm==4.67.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from pytorch_metric_learning.losses import NTXentLoss

print("pytorch-metric-learning", version("pytorch-metric-learning"), "torch", torch.__version__.split("+")[0])
assert version("pytorch-metric-learning") == "2.9.0"
USERS, ITEMS, GROUPS, SIZE, BATCH, K = 300, 300, 30, 16, 64, 10
torch.manual_seed(0)
group = torch.arange(ITEMS) % GROUPS
user = torch.arange(USERS).repeat_interleave(5)  # five rows a user, items of one group
item = torch.stack([torch.nonzero(group == place % GROUPS)[torch.randperm(ITEMS // GROUPS)[:5], 0] for place in range(USERS)]).flatten()
loss_of = NTXentLoss(temperature=0.2)


def trained(labels_of, ref_labels_of, steps=80):
    """First loss, its gradient, and how many of a user's trained items are among the ten nearest after training."""
    torch.manual_seed(1)
    users, items = (torch.nn.Embedding(size, SIZE) for size in (USERS, ITEMS))
    optimizer = torch.optim.Adam([*users.parameters(), *items.parameters()], lr=0.05)
    for step in range(steps):
        rows = torch.randperm(len(user))[:BATCH]
        labels = labels_of(rows)
        loss = loss_of(users(user[rows]), labels, ref_emb=items(item[rows]), ref_labels=ref_labels_of(labels))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            first = float(loss), max(0.0 if table.weight.grad is None else float(table.weight.grad.abs().max()) for table in (users, items))
        optimizer.step()
    near = torch.nn.functional.normalize(users.weight) @ torch.nn.functional.normalize(items.weight).T
    lists = near.topk(K, dim=1).indices
    found = (lists[user] == item[:, None]).any(dim=1).float().mean()
    return *first, float(loss), float(found)


labels = {"a number for each row": lambda rows: torch.arange(len(rows)), "item ids": lambda rows: item[rows]}
seen = {}
for name, labels_of in labels.items():
    for way, ref_labels_of in (("labels", lambda labels: labels), ("labels.clone()", lambda labels: labels.clone())):
        seen[name, way] = loss, gradient, last, recall = trained(labels_of, ref_labels_of)
        print(f"{name}, ref_labels={way}: first loss {loss:.2f}, greatest gradient {gradient:.4f}, last loss {last:.2f}, recall@10 of its rows {recall:.2f}")
loss, gradient, last, recall = seen["a number for each row", "labels"]
assert loss == gradient == last == 0 and recall < 0.1
for name in labels:
    assert seen[name, "labels.clone()"][3] > seen[name, "labels"][3] + 0.1 and seen[name, "labels.clone()"][0] > 4
PYTHON_SCRIPT
echo "as written"
