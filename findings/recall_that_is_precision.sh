#!/usr/bin/env bash
# rexmex 0.1.3: `average_recall_at_k`, `mean_average_recall_at_k`.
#
# Guess: recall is hits by relevant items, averaged over places, hits or users; a list that finds all of them is above one that finds one.
# Seen:  it is the average precision by another name: hits so far by the place, not by the relevant items. Of two relevant items a list that finds
#        both, in places 9 and 10, has 0.16, and one that finds one, in place 1, has 0.50; all of ten found in places 11 to 20 have 0.33 at
#        k = 20. average_precision_at_k has the same number wherever k is not below the number of relevant items. `mark` of recmetrics 0.1.5,
#        "mean average recall", has the same lines.
# So:    a table with MAP@k and MAR@k has one column twice, and the claim "recall is higher" is one about the first places. Divide hits yourself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rexmex==0.1.3 numpy==1.26.4 pandas==2.3.3 scipy==1.15.3 scikit-learn==1.6.1 six==1.17.0
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from rexmex.metrics.ranking import average_precision_at_k, average_recall_at_k, mean_average_recall_at_k

print("rexmex", version("rexmex"))
assert version("rexmex") == "0.1.3"


def by_hand(relevant, listed, k):
    """Recall, and the mean of the recall after each hit, and after each place."""
    hits = np.cumsum([item in relevant for item in listed[:k]]) / len(relevant)
    after = [hits[place] for place, item in enumerate(listed[:k]) if item in relevant]
    return round(float(hits[-1]), 4), round(float(np.mean(after)), 4), round(float(np.mean(hits)), 4)


ten, two, others = list(range(10)), [0, 1], list(range(100, 120))
cases = {
    "1 of 10, in place 1 of 20": (ten, [0, *others[:19]], 20, 0.1),
    "10 of 10, in places 11 to 20": (ten, [*others[:10], *ten], 20, 0.3312),
    "1 of 2, in place 1 of 10": (two, [0, *others[:9]], 10, 0.5),
    "2 of 2, in places 9 and 10": (two, [*others[:8], 0, 1], 10, 0.1556),
}
for name, (relevant, listed, k, wanted) in cases.items():
    found = round(average_recall_at_k(relevant, listed, k), 4)
    precision = round(average_precision_at_k(relevant, listed, k), 4)
    print(f"{name}: average recall@{k} {found}, average precision {precision}; "
          f"by hand recall, mean after hits, after places {by_hand(relevant, listed, k)}")
    assert found == precision == wanted

random = np.random.default_rng(0)
users = [(random.choice(200, 8, replace=False).tolist(), random.choice(200, 50, replace=False).tolist()) for _ in range(500)]
early = [(relevant, [relevant[0], *(item for item in listed if item != relevant[0])]) for relevant, listed in users]
late = [(relevant, [*(item for item in listed if item not in relevant)][:42] + relevant) for relevant, listed in users]
for name, lists in (("one relevant item first, the rest at random", early), ("all relevant items last", late)):
    mean = mean_average_recall_at_k([relevant for relevant, _ in lists], [listed for _, listed in lists], 50)
    recall = float(np.mean([by_hand(relevant, listed, 50)[0] for relevant, listed in lists]))
    print(f"500 users, {name}: mean average recall@50 {mean:.3f}, recall@50 {recall:.3f}")
    if lists is early:
        first, less = mean, recall
assert mean < first and recall == 1 > less + 0.5
PYTHON_SCRIPT
echo "as written"
