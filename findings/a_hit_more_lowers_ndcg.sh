#!/usr/bin/env bash
# LibRecommender 1.5.2: what its NDCG and MAP are divided by.
#
# Guess: NDCG@10 is divided by the gain of a list that begins with held-out items, MAP@10 by how many could be hit; another hit in the place of
#        a miss never lowers either.
# Seen:  both are divided by what the list itself hits: the ideal of NDCG is the same list with its hits moved to the front, and MAP is the mean
#        over hits. For a user with ten held-out items a hit in place 1 alone has NDCG 1 and MAP 1; with a second hit in place 10 they are 0.79
#        and 0.60, while recall doubles. Ten hits and one are equally perfect.
# So:    they tell how early hits stand among themselves, not how many there are. A model that hits more, in later places too, loses; a choice
#        of epoch or of hyperparameters by them can go to the worse model, and no number from them stands beside another library's.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1
"${pip[@]}" --no-deps LibRecommender==1.5.2
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import math
from importlib.metadata import distribution, version
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np

# The module of its metrics alone: its package would import TensorFlow.
path = distribution("LibRecommender").locate_file("libreco/evaluation/metrics.py")
spec = spec_from_file_location("metrics", path)
metrics = module_from_spec(spec)
spec.loader.exec_module(metrics)
K = 10
held_out = np.arange(10)


def listed(*places):
    """A list of ten with held-out items in these places (from 1)."""
    items = np.arange(100, 100 + K)
    items[np.array(places) - 1] = held_out[: len(places)]
    return items


def measured(items):
    functions = (metrics.recall_at_k, metrics.average_precision_at_k, metrics.ndcg_at_k)
    return tuple(round(float(function(held_out, items, K)), 4) for function in functions)


def usual_ndcg(items):
    gain = sum(1 / math.log2(place + 1) for place, item in enumerate(items.tolist(), 1) if item < len(held_out))
    return round(gain / sum(1 / math.log2(place + 1) for place in range(1, K + 1)), 4)


print("LibRecommender", version("LibRecommender"), "(ten held-out items)")
assert version("LibRecommender") == "1.5.2"
seen = {}
for places in ((1,), (1, 10), (1, 2, 9, 10), tuple(range(1, 11))):
    seen[places] = measured(listed(*places))
    print(f"hits in places {str(places):32} recall, MAP, NDCG@{K} {seen[places]}, NDCG over the ideal of the user {usual_ndcg(listed(*places))}")
assert seen[1,] == (0.1, 1.0, 1.0)
assert seen[1, 10] == (0.2, 0.6, 0.7904)
assert seen[tuple(range(1, 11))] == (1.0, 1.0, 1.0)
usual = [usual_ndcg(listed(*places)) for places in seen]
assert usual == sorted(usual) and usual[0] < 0.25
PYTHON_SCRIPT
echo "as written"
