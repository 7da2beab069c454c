#!/usr/bin/env bash
# RecBole 1.2.1: ShannonEntropy and TailPercentage, its metrics of how diverse lists are.
#
# Guess: ShannonEntropy is the entropy of the recommended items, as its formula says: log 2 for two items, log n for n items, so that it grows as
#        lists become more diverse. An item without a row in training is the longest of the tail.
# Seen:  the entropy is divided by the number of different items: log(n) / n, which falls from three items on. One list of two for everybody
#        has 0.3466, lists that share no item 0.0265. And the tail is taken from the counts of training rows: items that have none count as
#        head, so that lists of nothing else have a TailPercentage of 0.
# So:    a table that ranks models by this entropy calls the most uniform one the most diverse, and a model that recommends new items gets a
#        smaller share of the tail for it. Multiplied by the number of different items (ItemCoverage has it) it is the entropy again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0
"${pip[@]}" --no-deps recbole==1.2.1 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings
from collections import Counter
from importlib.metadata import version

warnings.filterwarnings("ignore")
import numpy as np
import torch
from recbole.evaluator.collector import DataStruct
from recbole.evaluator.metrics import ShannonEntropy, TailPercentage
from scipy.stats import entropy

USERS, K = 100, 2


def metric(kind, lists, counts=None):
    """RecBole's value for lists of items, shape (users, K)."""
    data = DataStruct()
    data.set("rec.items", torch.tensor(lists))
    data.set("data.count_items", Counter(counts or {}))
    config = {"topk": [K], "metric_decimal_place": 6, "tail_ratio": 0.5}
    (value,) = kind(config).calculate_metric(data).values()
    return float(value)


print("RecBole", version("recbole"))
assert version("recbole") == "1.2.1"
print("different items   entropy by scipy   RecBole's ShannonEntropy")
seen = {}
for different in (2, 4, 20, 200):
    lists = (np.arange(USERS * K) % different + 1).reshape(USERS, K)
    right = float(entropy(np.bincount(lists.ravel())[1:]))
    seen[different] = metric(ShannonEntropy, lists)
    print(f"{different:15}   {right:16.4f}   {seen[different]:24.4f}")
    assert abs(right - np.log(different)) < 1e-9
    assert abs(seen[different] - right / different) < 1e-6
assert seen[2] == seen[4] > seen[20] > seen[200]

counts = {1: 50, 2: 40, 3: 2, 4: 1}  # rows of training: 3 and 4 are the half of the items with the fewest, 5 and 6 have none
tail = {name: metric(TailPercentage, [list(items)] * USERS, counts) for name, items in {"3 and 4": (3, 4), "5 and 6": (5, 6)}.items()}
for name, value in tail.items():
    print(f"TailPercentage of lists of items {name}: {value:g}")
assert tail == {"3 and 4": 1.0, "5 and 6": 0.0}
PYTHON_SCRIPT
echo "as written"
