#!/usr/bin/env bash
# recmetrics 0.1.5: `catalog_coverage(lists, catalog, k)`, "k: the number of observed lists, chosen at random".
#
# Guess: with k = the number of lists all of them are looked at, so it is `prediction_coverage(lists, catalog)`.
# Seen:  lists are drawn with replacement: of 300 lists that share nothing, on a catalog of their 3,000 items, it is 63 % where the prediction coverage is
#        100 %, another value in each call, and 89 % with k = 600. One list for everybody loses nothing by it.
# So:    the more a model tells users apart, the more coverage it loses, up to 37 %. Take `prediction_coverage`, which has no draw.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==2.2.3 scipy==1.15.3 scikit-learn==1.6.1 matplotlib==3.10.8 seaborn==0.13.2 plotly==5.24.1 funcsigs==1.0.2
"${pip[@]}" --no-deps recmetrics==0.1.5  # its own list brings notebooks and a pandas without a wheel for this Python
OMP_NUM_THREADS=1 MPLCONFIGDIR="$work" "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import random
from importlib.metadata import version

from recmetrics.metrics import catalog_coverage, prediction_coverage

USERS, K = 300, 10

print("recmetrics", version("recmetrics"))
assert version("recmetrics") == "0.1.5"
random.seed(0)
catalog = list(range(USERS * K))
kinds = {
    "nothing in common": [list(range(user * K, user * K + K)) for user in range(USERS)],
    "ten users share a list": [list(range(user // 10 * K, user // 10 * K + K)) for user in range(USERS)],
    "one list for all": [list(range(K))] * USERS,
}
found = {}
for name, lists in kinds.items():
    whole = prediction_coverage(lists, catalog)
    drawn = [catalog_coverage(lists, catalog, USERS) for _ in range(5)]
    twice = catalog_coverage(lists, catalog, 2 * USERS)
    found[name] = whole, drawn, twice
    print(f"{name}: prediction_coverage {whole} %, catalog_coverage with k = {USERS} {drawn}, with k = {2 * USERS} {twice}")
whole, drawn, twice = found["nothing in common"]
assert whole == 100 and all(57 < one < 69 for one in drawn) and len(set(drawn)) > 1 and 80 < twice < 92
whole, drawn, twice = found["one list for all"]
assert {whole, twice, *drawn} == {whole}
PYTHON_SCRIPT
echo "as written"
