#!/usr/bin/env bash
# scipy 1.17.1: `wilcoxon`, the paired test over users that papers report, and users whose metric did not change.
#
# Guess: users without a difference are left out (zero_method "wilcox"), so p depends on the others alone: five users who gained have 2 / 2^5 =
#        0.0625 and cannot be significant at 0.05, however many did not change.
# Seen:  they are left out of the sum, but they choose the method: 14 users in all or more, one of them unchanged, and p is the normal
#        approximation of the few that are left. Five gains have 0.0625 among 13 users and 0.0431 among 14 or 10,000. Six gains and a loss have
#        0.125 among 7 users and 0.059 among 14 or more; the sign test has 0.125.
# So:    with Hit@k, MRR@k or NDCG@k most users are unchanged, so this is the usual case: a handful of users who gained is "p < 0.05". Drop zero
#        differences first, and pass a PermutationMethod where many of the others are equal.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from itertools import product

import numpy as np
import scipy
from scipy.stats import binomtest, rankdata, wilcoxon


def by_hand(changed):
    """The exact p: the signed rank sums of all choices of signs."""
    ranks = rankdata(np.abs(changed))
    seen = abs(float(np.sign(changed) @ ranks))
    sums = [abs(float(np.array(signs) @ ranks)) for signs in product((-1, 1), repeat=len(ranks))]
    return float(np.mean(np.array(sums) >= seen - 1e-9))


print("scipy", scipy.__version__)
assert scipy.__version__ == "1.17.1"
cases = {
    "five gains of NDCG": np.array([0.05, 0.11, 0.19, 0.24, 0.31]),
    "six hits more, one less": np.array([1.0, 1, 1, 1, 1, 1, -1]),
}
seen = {}
for name, changed in cases.items():
    for users in (len(changed), 13, 14, 1000, 10_000):
        differences = np.r_[changed, np.zeros(users - len(changed))]
        seen[name, users] = float(wilcoxon(differences).pvalue)
    print(f"{name}: p " + ", ".join(f"{seen[name, users]:.4f} of {users:,} users" for users in (len(changed), 13, 14, 1000, 10_000)))
    print(f"    by hand {by_hand(changed):.4f}, sign test {binomtest(int((changed > 0).sum()), len(changed)).pvalue:.4f}")
name, changed = "five gains of NDCG", cases["five gains of NDCG"]
assert by_hand(changed) == seen[name, 5] == 0.0625 and abs(seen[name, 13] - 0.0625) < 1e-9
for users in (14, 1000, 10_000):
    assert abs(seen[name, users] - 0.0431) < 1e-4
name, changed = "six hits more, one less", cases["six hits more, one less"]
assert by_hand(changed) == seen[name, 7] == 0.125
for users in (14, 1000, 10_000):
    assert abs(seen[name, users] - 0.0588) < 1e-4
PYTHON_SCRIPT
echo "as written"
