#!/usr/bin/env bash
# Cornac 3.0.1: RMSE and MAE of an `Experiment`.
#
# Guess: RMSE is the root of the mean square over all test ratings, as in Surprise, RecBole and the papers on rating prediction.
# Seen:  it is the mean over users of each user's own RMSE (user_based=True is the default, and the table does not say so): a user with one test
#        rating counts as much as one with 40, and a single error as its absolute value. For the same predictions it prints 0.86
#        where the RMSE over ratings is 0.65, and a model that is better for users with few ratings beats it by 0.62, with an RMSE of 0.74.
# So:    its RMSE is no number to put beside those of another library: it may be above or below theirs, and the order of models changes. Pass
#        user_based=False.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cornac==3.0.1 numpy==2.4.6 scipy==1.17.1
cd "$work"  # where Cornac writes a log
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import contextlib
import io
from importlib.metadata import version

import numpy as np
from cornac import Experiment
from cornac.eval_methods import BaseMethod
from cornac.metrics import MAE, RMSE
from cornac.models import Recommender

HEAVY, LIGHT = 20, 180  # users with 40 test ratings, users with 2
random = np.random.default_rng(0)
items = [f"i{item}" for item in range(100)]
heavy, light = [f"heavy{user}" for user in range(HEAVY)], [f"light{user}" for user in range(LIGHT)]
train = [(user, item, 1.0 + place) for user in [*heavy, *light] for place, item in enumerate(items[:5])]
test = []
for user in [*heavy, *light]:
    chosen = random.choice(items, 40 if user in heavy else 2, replace=False)
    test.extend((user, item, float(value)) for item, value in zip(chosen, random.choice([2.0, 3.0, 4.0], len(chosen)), strict=True))
truth = {(user, item): value for user, item, value in test}


class Told(Recommender):
    """Predicts the test rating, off by so much for users with many and with few ratings."""

    def __init__(self, name, off_heavy, off_light):
        super().__init__(name, trainable=True, verbose=False)
        self.off = {"heavy": off_heavy, "light": off_light}

    def fit(self, train_set, val_set=None):
        super().fit(train_set, val_set)
        self.users, self.names = list(train_set.uid_map), list(train_set.iid_map)
        return self

    def score(self, user, item=None):
        user, item = self.users[user], self.names[item]
        return truth[user, item] + self.off[user[:5]] * (1 if hash_of(item) else -1)


def hash_of(item):
    return int(item[1:]) % 2


def measured(**options):
    method = BaseMethod.from_splits(train_data=train, test_data=test, exclude_unknowns=False, rating_threshold=1.0)
    models = [Told("good for many", 0.5, 0.9), Told("good for few", 0.8, 0.6)]
    experiment = Experiment(method, models, [RMSE(), MAE()], verbose=False, **options)
    with contextlib.redirect_stdout(io.StringIO()):
        experiment.run()
    return {result.model_name: round(float(result.metric_avg_results["RMSE"]), 3) for result in experiment.result}


print("cornac", version("cornac"), f"{len(test)} test ratings, {HEAVY} users with 40 and {LIGHT} with 2")
assert version("cornac") == "3.0.1"
share = HEAVY * 40 / len(test)
by_hand = {
    name: round(float(np.sqrt(share * many**2 + (1 - share) * few**2)), 3) for name, many, few in (("good for many", 0.5, 0.9), ("good for few", 0.8, 0.6))
}
found = {"by default": measured(), "user_based=False": measured(user_based=False)}
print("over ratings, by hand:", by_hand)
for name, values in found.items():
    print(f"Experiment {name}: {values}")
assert by_hand["good for many"] < by_hand["good for few"]
assert found["user_based=False"] == by_hand
assert found["by default"]["good for many"] > found["by default"]["good for few"]
users = {name: round((HEAVY * many + LIGHT * few) / (HEAVY + LIGHT), 3) for name, many, few in (("good for many", 0.5, 0.9), ("good for few", 0.8, 0.6))}
assert found["by default"] == users
PYTHON_SCRIPT
echo "as written"
