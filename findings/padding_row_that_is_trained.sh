#!/usr/bin/env bash
# torch 2.13.0: `Embedding(padding_idx=0)`, whose table also scores all items: `logits = state @
# table.weight.T`, as SASRec and GRU4Rec with cross entropy do.
#
# Guess: the padding's row "is not updated during training", as the documentation says, and stays 0, so that a
#        session has the same list whatever length it is padded to.
# Seen:  only the look-up passes no gradient to it. As item 0 of the softmax it is trained like any other row:
#        after 600 steps it has a length of 0.13, each padding adds it once more to the sum over a session,
#        and lists of ten for sessions padded to 200 places share 0.58 with those padded to 20, as in
#        training. With a table of its own for scores, or with item 0 taken out of the loss, the row is 0 and
#        lists are the same.
# So:    sums and means over places count on a zero that is none, and serving with another maximum length
#        serves other lists. Score by `table.weight[1:]`, or mask the paddings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch
from torch import nn

print("torch", torch.__version__.split("+")[0])
assert torch.__version__.split("+")[0] == "2.13.0"
ITEMS, SIZE, LENGTH, K = 200, 32, 20, 10
kind = torch.arange(1, ITEMS + 1) % 10


def sessions(count):
    """Items of one kind, padded on the right: [count, LENGTH]; the next one: [count]; lengths: [count, 1]."""
    rows, following = torch.zeros(count, LENGTH, dtype=torch.long), torch.zeros(count, dtype=torch.long)
    known = torch.randint(3, 10, (count,))
    for place in range(count):
        of_kind = torch.nonzero(kind == place % 10)[:, 0] + 1
        drawn = of_kind[torch.randperm(len(of_kind))]
        rows[place, : known[place]], following[place] = drawn[: known[place]], drawn[known[place]]
    return rows, following, known[:, None]


torch.manual_seed(0)
train, test = sessions(1000), sessions(500)


def trained(way):
    torch.manual_seed(1)
    table = nn.Embedding(ITEMS + 1, SIZE, padding_idx=0)
    scored = nn.Embedding(ITEMS + 1, SIZE) if way == "a table of its own" else table
    optimizer = torch.optim.Adam({*table.parameters(), *scored.parameters()}, lr=0.01)
    rows, following, known = train
    for _ in range(600):
        batch = torch.randint(len(rows), (128,))
        logits = table(rows[batch]).sum(dim=1) / known[batch] @ scored.weight.T
        if way == "item 0 left out":
            logits = logits[:, 1:]
        loss = nn.functional.cross_entropy(logits, following[batch] - int(way == "item 0 left out"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return table.weight.detach(), scored.weight.detach()


@torch.no_grad()
def lists(tables, length):
    rows, _, known = test
    padded = torch.zeros(len(rows), length, dtype=torch.long)
    padded[:, :LENGTH] = rows
    scores = tables[0][padded].sum(dim=1) / known @ tables[1].T
    return scores[:, 1:].topk(K).indices


def shared(first, second):
    return float((first[:, :, None] == second[:, None, :]).any(dim=2).float().mean())


for way in ("one table", "a table of its own", "item 0 left out"):
    tables = trained(way)
    length = float(tables[0][0].norm())
    same = {places: shared(lists(tables, LENGTH), lists(tables, places)) for places in (50, 200)}
    print(
        f"{way}: the padding's row has a length of {length:.3f}; lists shared with those padded to {LENGTH}:",
        {places: round(share, 2) for places, share in same.items()},
    )
    if way == "one table":
        assert length > 0.05 and same[50] < 0.97 and same[200] < 0.8
    else:
        assert length == 0 and same[50] > 0.999 and same[200] > 0.999
PYTHON_SCRIPT
echo "as written"
