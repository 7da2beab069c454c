#!/usr/bin/env bash
# torch-rechub 0.9.0: `negative_sample` with method_id 3, "tencent RALM sampling", one of its four popularity samplers.
#
# Guess: as in RALM and TensorFlow's log-uniform sampler, (log(k + 2) - log(k + 1)) / log(n + 1) for the k-th most popular item: the most popular
#        one is drawn most.
# Seen:  k is the item's count, not its place, so it is the other way round: an item with 1 row has 406 times the weight of one with 1,000.
#        Where ten of 100 items have 57 % of the rows, they are 1 % of the negatives that are drawn, ten a call; with the formula over places
#        43 %, and with methods 1 and 2, other functions of the count, 42 % and 17 %.
# So:    a two-tower model trained with it hardly ever sees a popular item as a negative and puts popular items on top for everybody; methods 1
#        to 3 are no scale from weak to strong. Draw by place: pass {item: place}.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1 tqdm==4.67.1
"${pip[@]}" --no-deps torch-rechub==0.9.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from torch_rechub.utils.match import negative_sample

ITEMS, HEAD, DRAWN, TIMES = 100, 10, 10, 2000
counts = {item: 1000 // (item + 1) for item in range(ITEMS)}  # sorted from the most popular, as it is asked for
places = {item: item for item in range(ITEMS)}


def share_of_head(given, method):
    """The share of the most popular items among the negatives of many calls."""
    np.random.seed(0)
    drawn = np.concatenate([negative_sample(given, DRAWN, method) for _ in range(TIMES)])
    return float(np.mean(drawn < HEAD))


def first_drawn(given):
    """The share of each item among first draws."""
    np.random.seed(0)
    drawn = np.array([negative_sample(given, 1, 3)[0] for _ in range(5 * TIMES)])
    return np.bincount(drawn, minlength=ITEMS) / len(drawn)


print("torch-rechub", version("torch-rechub"))
assert version("torch-rechub") == "0.9.0"
rows = sum(counts.values())
print(f"the {HEAD} most popular of {ITEMS} items have {sum(counts[item] for item in range(HEAD)) / rows:.0%} of the rows")
seen = {method: share_of_head(counts, method) for method in (0, 1, 2, 3)}
for method, share in seen.items():
    print(f"method {method}: {share:.1%} of the negatives")
by_place = share_of_head(places, 3)
print(f"method 3 over places: {by_place:.1%}")
assert abs(seen[0] - HEAD / ITEMS) < 0.01 and seen[1] > seen[2] > seen[0] > 4 * seen[3] and by_place > 3 * seen[0]

weight = np.array([np.log(count + 2) - np.log(count + 1) for count in counts.values()])
drawn = first_drawn(counts)
tail, head = [item for item in counts if counts[item] < 20], [item for item in counts if counts[item] >= 100]
print(f"first draws: items with 10 to 19 rows {drawn[tail].mean():.4f} each, with 100 or more {drawn[head].mean():.4f} each")
assert np.abs(drawn - weight / weight.sum()).max() < 0.01
one, thousand = np.log(3) - np.log(2), np.log(1002) - np.log(1001)
print(f"weight of an item with 1 row by that of one with 1,000: {one / thousand:.0f}")
PYTHON_SCRIPT
echo "as written"
