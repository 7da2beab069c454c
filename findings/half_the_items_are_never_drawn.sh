#!/usr/bin/env bash
# torch 2.13.0: `multinomial(..., replacement=True)` with a weight for each item of a large catalog, as popularity negatives are drawn.
#
# Guess: an item is drawn by its share of the weights, and the order of the weights does not matter.
# Seen:  weights are summed one after the other in their own float32, and what is too small beside the sum so far is lost. With 10 million items
#        whose popularity falls as 1/place, numbered from the most popular one, the second half has 4.2 % of the weight and not one of 500,000
#        draws; numbered from the rarest it has 4.2 %. With 1 million items it has 4.6 % for 4.8 %. float64 weights are right in both orders.
# So:    the tail is no negative at all wherever ids go by popularity (a sorted vocabulary, `value_counts`), and nothing shows it. Pass
#        `weights.double()`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import torch

DRAWS = 500_000

print("torch", version("torch"), f"{DRAWS:,} draws")
assert version("torch").split("+")[0] == "2.13.0"


def share_of_the_rare_half(weights, rare):
    drawn = torch.multinomial(weights, DRAWS, replacement=True, generator=torch.Generator().manual_seed(0))
    return float(rare[drawn].double().mean())


for items in (1_000_000, 10_000_000):
    weights = 1 / torch.arange(1, items + 1, dtype=torch.float64)
    rare = torch.arange(items) >= items // 2
    wanted = float(weights[rare].sum() / weights.sum())
    found = {}
    for kind in (torch.float32, torch.float64):
        found[kind, "first"] = share_of_the_rare_half(weights.to(kind), rare)
        found[kind, "last"] = share_of_the_rare_half(weights.flip(0).to(kind), rare.flip(0))
    print(f"{items:,} items, the rarer half has {wanted:.2%} of the weight: " + "; ".join(
        f"{str(kind).split('.')[1]}, the popular ones {order}: {share:.2%} of the draws" for (kind, order), share in found.items()))
    sure = 4 * (wanted / DRAWS) ** 0.5  # four standard deviations
    assert all(abs(share - wanted) < sure for key, share in found.items() if key != (torch.float32, "first"))
    lost = found[torch.float32, "first"]
    assert lost == 0 if items == 10_000_000 else wanted - lost > sure
PYTHON_SCRIPT
echo "as written"
