#!/usr/bin/env bash
# FuxiCTR 2.3.10 and rexmex 0.1.3: the mean reciprocal rank.
#
# Guess: the reciprocal of the first relevant item's place: 1 for a perfect list, and another hit never lowers it.
# Seen:  both average over all relevant items of a user. A perfect list of three has 0.61, of ten 0.29, and a user's value falls with hits: one click
#        in place 1 has 1, with a second in place 2 it is 0.75, in place 50 0.51. For 300 users with 2 to 8 relevant items a model that puts one
#        first and the others last has 0.26, one that never has a hit in place 1 and puts all of them from place 2 on has 0.30; by first hits
#        they have 1 and 0.5. In FuxiCTR a user without a click counts 0 in MRR and NDCG, and is left out of gAUC.
# So:    the numbers are no MRR as papers on recommenders and trec_eval have it, are low where users are active, and two models change places.
#        Take the first hit by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rexmex==0.1.3 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1 six==1.17.0
# Its own list asks for Ray, which its metrics do not use
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps fuxictr==2.3.10 polars==1.44.2 polars-runtime-32==1.44.2
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from fuxictr.metrics import MRR, NDCG, gAUC
from rexmex.metrics.ranking import mean_reciprocal_rank

ITEMS, USERS = 50, 300

print("FuxiCTR", version("fuxictr"), "rexmex", version("rexmex"))
assert (version("fuxictr"), version("rexmex")) == ("2.3.10", "0.1.3")


def measured(places):
    """FuxiCTR's and rexmex' value for one user whose relevant items stand in these places, and the first place's reciprocal."""
    labels = np.isin(np.arange(1, ITEMS + 1), places).astype(int)
    scores = -np.arange(ITEMS, dtype=float)
    return float(MRR(labels, scores)), float(mean_reciprocal_rank(list(places), list(range(1, ITEMS + 1)))), 1 / min(places)


for places, wanted in (((1,), 1.0), ((1, 2), 0.75), ((1, 2, 3), 0.6111), (tuple(range(1, 11)), 0.2929), ((1, 50), 0.51)):
    fuxi, rex, first = measured(places)
    print(f"relevant items in places {places}: FuxiCTR {fuxi:.4f}, rexmex {rex:.4f}, first place {first:.4f}")
    assert abs(fuxi - wanted) < 1e-4 and abs(rex - wanted) < 1e-4 and first == 1

random = np.random.default_rng(0)
users = [random.integers(2, 9) for _ in range(USERS)]
one_first = [(1, *range(ITEMS - number + 2, ITEMS + 1)) for number in users]
all_early = [tuple(range(2, number + 2)) for number in users]
means = {}
for name, lists in (("one relevant item first, the others last", one_first), ("all of them from place 2 on", all_early)):
    means[name] = np.mean([measured(places) for places in lists], axis=0)
    print(f"{USERS} users, {name}: FuxiCTR {means[name][0]:.3f}, rexmex {means[name][1]:.3f}, first place {means[name][2]:.3f}")
low, high = means.values()
assert abs(low[0] - low[1]) < 1e-6 and abs(high[0] - high[1]) < 1e-6
assert low[0] < high[0] and low[2] == 1 > high[2] == 0.5  # the other way round by first hits

nobody = (np.zeros(5, dtype=int), np.arange(5.0))
print("a user without a click: MRR", float(MRR(*nobody)), "NDCG", float(NDCG(k=5)(*nobody)), "gAUC's sum and weight", gAUC(*nobody))
assert float(MRR(*nobody)) == float(NDCG(k=5)(*nobody)) == 0 and gAUC(*nobody) == (0, 0)
PYTHON_SCRIPT
echo "as written"
