#!/usr/bin/env bash
# ranx 0.3.21: `evaluate(qrels, run, "rbp.80")`, rank-biased precision, with the ratings as relevance.
#
# Guess: as its page says, "r_i is either 0 or 1": an item is relevant from a level on ("rbp.80-l4": from 4 on), and a precision is at most 1.
# Seen:  the level decides which items count, and then the rating itself is added up: twenty items rated 5 have 4.94 with p = 0.8, 0.99 by the formula of the
#        page, with "-l4" as without. precision, recall, MAP and MRR take them as relevant or not. Of two models the one that finds the seven items that users
#        rated 1 has 0.56, the one that finds the three that they rated 5 has 1.08; by the formula 0.53 and 0.24, and by MAP too the first is far ahead.
# So:    a table of these metrics mixes two notions of relevance, and RBP of a log with ratings and of one without cannot be compared. Set ratings to 1 first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ranx==0.3.21 numpy==2.4.6 numba==0.68.1
cd "$work"
NUMBA_DISABLE_JIT=1 NUMBA_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from ranx import Qrels, Run, evaluate

print("ranx", version("ranx"))
assert version("ranx") == "0.3.21"
P = 0.8


def by_the_page(ratings, lists, level=1):
    """(1 - p) times the sum of p ** place over the relevant items, places from 0; the mean over users."""
    weights = (1 - P) * P ** np.arange(50)
    return float(np.mean([sum(weights[place] for place, item in enumerate(lists[user]) if ratings[user].get(item, 0) >= level) for user in lists]))


def as_run(lists):
    return Run({user: {item: float(len(items) - place) for place, item in enumerate(items)} for user, items in lists.items()})


items = [f"item{number}" for number in range(20)]
ratings, lists = {"user": dict.fromkeys(items, 5)}, {"user": items}
perfect = [float(evaluate(Qrels(ratings), as_run(lists), metric)) for metric in ("rbp.80", "rbp.80-l4", "precision@10", "map")]
formula = by_the_page(ratings, lists)
print("twenty items rated 5: rbp.80 {:.2f}, rbp.80-l4 {:.2f}, precision@10 {:.2f}, map {:.2f}".format(*perfect), f"by the formula {formula:.2f}")
assert perfect[0] == perfect[1] > 4.9 and perfect[2] == perfect[3] == 1 and 0.98 < formula < 1

# Each user has rated 3 items with 5 and 7 with 1; the one model finds what was rated at all, the other items rated 5 alone.
rng = np.random.default_rng(0)
ratings, wide, narrow = {}, {}, {}
for number in range(500):
    own = [f"item{item}" for item in rng.permutation(200)]
    user = f"user{number}"
    ratings[user] = {item: 5 for item in own[:3]} | {item: 1 for item in own[3:10]}
    likes_all = {item: (2.2 if item in own[3:10] else 0.0) + rng.standard_normal() for item in own}
    likes_best = {item: (1.8 if item in own[:3] else 0.0) + rng.standard_normal() for item in own}
    wide[user], narrow[user] = (sorted(own, key=score.get, reverse=True)[:50] for score in (likes_all, likes_best))
found = {}
for name, lists in (("finds items rated 1", wide), ("finds items rated 5", narrow)):
    found[name] = [float(evaluate(Qrels(ratings), as_run(lists), metric)) for metric in ("rbp.80", "map")] + [by_the_page(ratings, lists)]
    print(f"{name}: rbp.80 {found[name][0]:.3f}, by the formula {found[name][2]:.3f}, map {found[name][1]:.3f}")
first, second = found.values()
assert first[0] < second[0] and first[1] > second[1] and first[2] > second[2]
PYTHON_SCRIPT
echo "as written"
