#!/usr/bin/env bash
# river 0.26.1: `reco.FunkMF.predict_one` and `rank`, scores of a user who has not been seen.
#
# Guess: a prediction leaves the model as it is, so a seed and a log give one model, and an unknown user gets the mean or the same list as any other.
# Seen:  an unknown user or item is given a vector at random and is kept: 12 visitors who were shown a list in between are 12 users more, all vectors
#        drawn after them are others, and lists of ten of the final model share 0.75 with those of the model that nobody asked. 50 new users
#        have 50 lists, which share 1 item of ten.
# So:    how often a model is evaluated decides what it learns: two runs with one seed differ if one logs a metric more often, and memory grows with
#        requests, not with rows. Ask only about users and items that have been learnt, or a `copy.deepcopy` of the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import copy
from importlib.metadata import version

import numpy as np
from river import optim, reco

print("river", version("river"))
assert version("river") == "0.26.1"
USERS, ITEMS, ROWS, K = 100, 200, 6000, 10
random = np.random.default_rng(0)
taste, kind = random.normal(size=(USERS, 4)), random.normal(size=(ITEMS, 4))
pairs = zip(random.integers(0, USERS, ROWS).tolist(), random.integers(0, ITEMS, ROWS).tolist())
log = [(user, item, float(3 + taste[user] @ kind[item] / 2)) for user, item in pairs]
items = set(range(ITEMS))


def learnt(asked="nobody"):
    """A model of the log; every 500 rows a visitor is shown a list, by the model or by a copy."""
    model = reco.FunkMF(n_factors=8, optimizer=optim.SGD(0.05), seed=7)
    for row, (user, item, rating) in enumerate(log):
        if row % 500 == 0 and asked != "nobody":
            (model if asked == "model" else copy.deepcopy(model)).rank(f"visitor {row}", items)
        model.learn_one(user, item, rating)
    return model


def lists(model, users):
    return [set(model.rank(user, items)[:K]) for user in users]


def shared(first, second):
    return float(np.mean([len(a & b) / K for a, b in zip(first, second)]))


models = {asked: learnt(asked) for asked in ("nobody", "copy", "model")}
for asked, model in models.items():
    print(f"asked: {asked:6}: {len(model.u_latents)} users are kept")
final = {asked: lists(model, range(USERS)) for asked, model in models.items()}
print(f"lists shared with those of the model that nobody asked: {shared(final['nobody'], final['copy']):.2f} where a copy was asked, "
      f"{shared(final['nobody'], final['model']):.2f} where the model was")
assert [len(model.u_latents) for model in models.values()] == [USERS, USERS, USERS + ROWS // 500]
assert final["copy"] == final["nobody"] and shared(final["nobody"], final["model"]) < 0.9
new = lists(models["nobody"], [f"new {number}" for number in range(50)])
print(f"50 new users: {len(set(map(frozenset, new)))} different lists, which share {shared(new[:-1], new[1:]):.2f} from one to the next")
assert len(set(map(frozenset, new))) > 45 and shared(new[:-1], new[1:]) < 0.3
PYTHON_SCRIPT
echo "as written"
