#!/usr/bin/env bash
# jurity 2.1.0: ranking metrics of two models, one after the other in one process.
#
# Guess: get_score depends on its two tables.
# Seen:  the sorted lists are kept for later calls under the bytes of the column of scores, without users and items. A second table with the
#        same scores, as where lists are told by places (3, 2, 1), has the first table's metrics: a model that hits nothing has the recall
#        1 of the one before, and in the other order the perfect one has 0. Another metric object, or another class of metric, makes no
#        difference. With scores that differ in one cell both are right.
# So:    a comparison of lists that carry ranks instead of scores gives each model the numbers of the first, of an earlier epoch too, and
#        equal lines in a table are its only trace. Real-valued scores, or one process for each model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" numpy==1.26.4 pandas==2.3.3 scikit-learn==1.6.1 scipy==1.15.3
"${pip[@]}" --no-deps jurity==2.1.0  # its metrics of lists need no more than these
cat > "$work/run.py" <<'PYTHON_SCRIPT'
import json
import sys
import warnings
from importlib.metadata import version

warnings.filterwarnings("ignore")
import pandas as pd
from jurity.recommenders import RankingRecoMetrics

assert version("jurity") == "2.1.0"
USERS, K = 20, 3
held_out = pd.DataFrame([(f"u{u}", f"i{u + place}", 1.0) for u in range(USERS) for place in range(K)], columns=["user", "item", "score"])


def lists(name, scores):
    """Lists of a model that hits all three held-out items of each user, or none."""
    item = {"all": "i{}", "none": "other{}"}[name]
    rows = [(f"u{u}", item.format(u + place), scores[place]) for u in range(USERS) for place in range(K)]
    return pd.DataFrame(rows, columns=held_out.columns)


columns = {"click_column": "score", "user_id_column": "user", "item_id_column": "item", "k": K}
measured = []
for step in sys.argv[1:]:
    metric, name, scores = step.split(":")
    table = lists(name, [float(score) for score in scores.split(",")])
    measured.append(float(getattr(RankingRecoMetrics, metric)(**columns).get_score(held_out, table)))
print(json.dumps(measured))
PYTHON_SCRIPT
"$work/venv/bin/python" - "$work/run.py" <<'PYTHON_SCRIPT'
import json
import subprocess
import sys

PLACES, OTHERS = "3,2,1", "3,2,1.5"


def steps(*given):
    """What get_score returns, step by step in one process."""
    print(f"{' '.join(given):55}", end=" ")
    done = subprocess.run([sys.executable, sys.argv[1], *given], stdout=subprocess.PIPE, check=True, text=True)
    print(done.stdout.strip())
    return json.loads(done.stdout)


print("jurity 2.1.0; metric:hits:scores of a list's places")
assert steps(f"Recall:none:{PLACES}") == [0]
assert steps(f"Recall:all:{PLACES}") == [1]
assert steps(f"Recall:all:{PLACES}", f"Recall:none:{PLACES}") == [1, 1]
assert steps(f"Recall:none:{PLACES}", f"Recall:all:{PLACES}") == [0, 0]
assert steps(f"Recall:none:{PLACES}", f"NDCG:all:{PLACES}") == [0, 0]
assert steps(f"Recall:none:{PLACES}", f"MAP:all:{PLACES}") == [0, 0]
assert steps(f"Recall:none:{PLACES}", f"Recall:all:{OTHERS}") == [0, 1]
PYTHON_SCRIPT
echo "as written"
