#!/usr/bin/env bash
# PyTorch Geometric 2.8.1: `LightGCN` (and `LGConv`) over the edges that a file of interactions has, from users to items.
#
# Guess: items are averages of their users, users, whom no edge reaches, stay as they are: half of the graph model.
# Seen:  nothing at all passes. An edge is weighed by the root of both degrees, and both are counted as in-degrees: users have none, so their edges
#        weigh 0. Vectors are the rows of the table by the number of layers and one, to the last bit of the sum, and recall@10 is 0.110, that of
#        no layers; with each edge in both directions it is 0.357. From items to users it is the same. No message says so.
# So:    "LightGCN gains nothing over matrix factorization" may be this. Give it torch.cat([edges, edges.flip(0)], dim=1), and compare the vectors
#        with the table once.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-geometric==2.8.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch
from torch_geometric.nn import LightGCN

USERS, ITEMS, GROUPS, FACTORS, LAYERS, EPOCHS, ROWS, K = 400, 300, 10, 16, 2, 50, 3, 10

print("torch_geometric", version("torch_geometric"), f"LightGCN with {LAYERS} layers")
assert version("torch_geometric") == "2.8.1"
torch.manual_seed(0)
liked = torch.rand(USERS, ITEMS) + 1.0 * (torch.arange(USERS)[:, None] % GROUPS == torch.arange(ITEMS) % GROUPS)
chosen = liked.topk(20).indices[:, torch.randperm(20)]  # of the 30 items of the user's group
train, test = chosen[:, :ROWS], chosen[:, ROWS:]
users = torch.arange(USERS).repeat_interleave(ROWS)
forth = torch.stack([users, USERS + train.flatten()])  # user -> item, as the file of interactions has it
graphs = {"user -> item": forth, "item -> user": forth.flip(0), "both": torch.cat([forth, forth.flip(0)], 1)}


def trained(edges, layers):
    """The model after training, its vectors, and its recall."""
    torch.manual_seed(1)
    model = LightGCN(USERS + ITEMS, FACTORS, num_layers=layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        vectors = model.get_embedding(edges)
        wrong = vectors[USERS + torch.randint(ITEMS, (len(users),))]
        margin = (vectors[users] * (vectors[forth[1]] - wrong)).sum(1)
        loss = -torch.nn.functional.logsigmoid(margin).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        vectors = model.get_embedding(edges)
    scores = vectors[:USERS] @ vectors[USERS:].T
    scores.scatter_(1, train, -torch.inf)
    lists = scores.topk(K).indices
    recall = (lists[:, :, None] == test[:, None, :]).any(1).double().mean()
    return model, vectors, float(recall)


recall = {}
for name, edges in graphs.items():
    model, vectors, recall[name] = trained(edges, LAYERS)
    same = torch.allclose(vectors, model.embedding.weight / (LAYERS + 1))
    print(f"{name}: recall@{K} {recall[name]:.3f}, vectors are the rows of the table by {LAYERS + 1}: {same}")
    assert same == (name != "both")
_, _, recall["no layers"] = trained(forth, 0)
print(f"no layers, matrix factorization: recall@{K} {recall['no layers']:.3f}")
assert recall["user -> item"] == recall["item -> user"] and abs(recall["user -> item"] - recall["no layers"]) < 0.03
assert recall["both"] > recall["no layers"] + 0.15
PYTHON_SCRIPT
echo "as written"
