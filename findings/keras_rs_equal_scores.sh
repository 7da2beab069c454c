#!/usr/bin/env bash
# keras-rs 0.4.0: the same lists evaluated again.
#
# Guess: a metric of fixed scores is a number; equal scores stay in the order of the columns; a user without a held-out item is left out.
# Seen:  equal scores are shuffled at each update (shuffle_ties, on by default), so NDCG@3 of one list with five equal scores is 1, 0.63,
#        0.5 or 0 from call to call, unless a seed is given. A list without a relevant item counts as 0 in the mean.
# So:    a model that gives many items one score (popularity counts, rounded or clipped ratings, item-kNN) has another validation number
#        each time, and early stopping or a search on it follows the shuffle. Users without held-out items have to be dropped by the caller,
#        or every number is multiplied by the share of users that have some.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6 keras==3.15.1 keras-rs==0.4.0
KERAS_BACKEND=torch "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from keras_rs.metrics import NDCG

first, no_item = np.eye(5)[:1], np.zeros((1, 5))


def ndcg(held_out, scores, **options):
    """NDCG@3 of one batch of lists, each evaluation from a metric of its own."""
    metric = NDCG(k=3, **options)
    metric.update_state(held_out, scores)
    return round(float(metric.result()), 4)


print("keras-rs", version("keras-rs"), "keras", version("keras"))
assert version("keras-rs") == "0.4.0"
equal = [ndcg(first, np.ones((1, 5))) for _ in range(60)]
print("60 evaluations of one list of equal scores:", sorted(set(equal)))
assert set(equal) == {0.0, 0.5, 0.6309, 1.0}  # a chance of 5e-6 that one of the four places never comes
assert {ndcg(first, np.ones((1, 5)), shuffle_ties=False) for _ in range(5)} == {1.0}
falling = -np.arange(5.0)[None]
both = ndcg(np.concatenate([first, no_item]), np.concatenate([falling, falling]))
print("a perfect list alone:", ndcg(first, falling), "and with a user without held-out items:", both)
assert (ndcg(first, falling), both) == (1.0, 0.5)
PYTHON_SCRIPT
echo "as written"
