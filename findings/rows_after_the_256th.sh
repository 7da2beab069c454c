#!/usr/bin/env bash
# torch 2.13.0, on a CPU: the gradient of an embedding table in bfloat16, of an item with many rows in a batch, and counts by `index_add_`.
#
# Guess: gradients of the rows are added in float32 and rounded once, as `sum()` does it: 5,000 ones are 4,992.
# Seen:  `nn.Embedding` (dense and sparse), `nn.EmbeddingBag` and `weight[items]` round after each row, and 256 + 1 is 256 again in bfloat16: 5,000 ones are
#        256, in float16 2,048. Of gradients of 1 with a spread of 0.5 the sum is right for 500 rows, 0.32 of it for 2,000 and 0.18 for 5,000.
#        `weight.index_select(0, items)`, which is the same lookup, has 4,992. So with counts: index_add_ of ones into a vector ends at 256, so
#        ten items with 300 to 3,000 rows are equally popular; into a matrix of one column it does not.
# So:    a table in bfloat16 hears the first rows of a popular item in each batch, and the more rows the less. Keep it in float32 (under autocast it
#        is), or look rows up by index_select.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import torch

WIDTH = 16

print("torch", torch.__version__.split("+")[0])
assert torch.__version__.split("+")[0] == "2.13.0"
torch.manual_seed(0)
LOOKUPS = {
    "nn.Embedding": lambda table, items: table(items),
    "weight[items]": lambda table, items: table.weight[items],
    "index_select": lambda table, items: table.weight.index_select(0, items),
}


def gradients(values):
    """The mean gradient of item 0 by lookup, where `values` (rows, WIDTH) are the gradients of its rows."""
    items, found = torch.zeros(len(values), dtype=torch.long), {}
    for name, lookup in LOOKUPS.items():
        table = torch.nn.Embedding(2, WIDTH, dtype=values.dtype)
        (lookup(table, items) * values).sum().backward()
        found[name] = table.weight.grad[0].float().mean().item()
    table = torch.nn.Embedding(2, WIDTH, dtype=values.dtype, sparse=True)
    (table(items) * values).sum().backward()
    found["sparse=True"] = table.weight.grad.coalesce().to_dense()[0].float().mean().item()
    table = torch.nn.EmbeddingBag(2, WIDTH, dtype=values.dtype, mode="sum")
    (table(items[:, None]) * values).sum().backward()
    found["nn.EmbeddingBag"] = table.weight.grad[0].float().mean().item()
    return found


ones = {kind: gradients(torch.ones(5_000, WIDTH, dtype=kind)) for kind in (torch.float32, torch.float16, torch.bfloat16)}
for kind, row in ones.items():
    print(f"5,000 gradients of 1 in {kind}: " + ", ".join(f"{name} {value:.0f}" for name, value in row.items()))
shares = {}
for rows in (500, 2_000, 5_000):
    values = (1 + 0.5 * torch.randn(rows, WIDTH)).bfloat16()
    right = values.float().sum(dim=0).mean().item()
    shares[rows] = {name: value / right for name, value in gradients(values).items()}
    print(f"{rows} gradients around 1, share of their sum: " + ", ".join(f"{name} {share:.2f}" for name, share in shares[rows].items()))
often = torch.arange(1, 11) * 300
items = torch.repeat_interleave(torch.arange(10), often)
one = torch.ones(len(items), dtype=torch.bfloat16)
vector = torch.zeros(10, dtype=torch.bfloat16).index_add_(0, items, one)
matrix = torch.zeros(10, 1, dtype=torch.bfloat16).index_add_(0, items, one[:, None])[:, 0]
print(f"rows of ten items {often.tolist()}: index_add_ of a vector {vector.tolist()}, of one column {matrix.tolist()}")

rounded = ("nn.Embedding", "weight[items]", "sparse=True", "nn.EmbeddingBag")
assert all(abs(value - 5_000) < 1 for value in ones[torch.float32].values())
assert all(ones[torch.bfloat16][name] == 256 and ones[torch.float16][name] == 2_048 for name in rounded)
assert abs(ones[torch.bfloat16]["index_select"] - 5_000) < 20
assert all(shares[5_000][name] < 0.3 for name in rounded)
assert all(abs(row["index_select"] - 1) < 0.02 for row in shares.values())
assert set(vector.tolist()) == {256.0} and torch.allclose(matrix.float(), often.float(), rtol=0.01)
PYTHON_SCRIPT
echo "as written"
