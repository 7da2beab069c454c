#!/usr/bin/env bash
# scikit-surprise 1.1.5: `accuracy.fcp`, the fraction of concordant pairs.
#
# Guess: the pairs of all users that are in the right order, over all pairs, as in the paper of Koren and Sill that it names: a pair put right
#        never lowers it.
# Seen:  right pairs are averaged over the users who have a right pair, wrong ones over the users who have a wrong one. With two held-out
#        ratings a user, one pair each, it is 0.5 whether 1 or 99 of 100 users are in order. With longer lists it can fall as the model
#        improves: a user whose ten pairs are all wrong is not in the first average; with one of them right it goes from 0.50 to 0.38.
# So:    FCP of two models, or of one model on lists of another length, cannot be compared, and a search that maximises it prefers a model
#        that is wholly wrong about a user. Sum the pairs yourself; a pair with equal predictions counts as wrong here.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-surprise==1.1.5 numpy==1.26.4 scipy==1.15.3
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version
from itertools import combinations

from surprise import Prediction, accuracy


def predictions(users):
    """Surprise's predictions of users, each given as (ratings, predicted ratings)."""
    return [Prediction(user, item, rating, predicted, {})
            for user, rows in enumerate(users) for item, (rating, predicted) in enumerate(zip(*rows))]


def by_hand(users, over="pairs"):
    """Share of pairs in the right order among those with different ratings; over "pairs" of all users, or as seen."""
    right, wrong = [], []
    for rows in users:
        pairs = [(a, b) if a[0] > b[0] else (b, a) for a, b in combinations(zip(*rows), 2) if a[0] != b[0]]
        right.append(sum(better[1] > worse[1] for better, worse in pairs))
        wrong.append(len(pairs) - right[-1])
    if over == "pairs":
        return sum(right) / (sum(right) + sum(wrong))
    right, wrong = ([n for n in counts if n] for counts in (right, wrong))
    right, wrong = (sum(counts) / len(counts) if counts else 0.0 for counts in (right, wrong))
    return right / (right + wrong)


def shown(users):
    value = float(accuracy.fcp(predictions(users), verbose=False))
    assert abs(value - by_hand(users, over="users who have such a pair")) < 1e-12
    return value


print("scikit-surprise", version("scikit-surprise"))
assert version("scikit-surprise") == "1.1.5"
in_order, reversed_ = ([2, 5], [2.5, 4.5]), ([2, 5], [4.5, 2.5])
for right in (0, 1, 50, 99, 100):
    users = [in_order] * right + [reversed_] * (100 - right)
    print(f"two ratings each, {right:3} of 100 users in order: fcp {shown(users):.4f}, of all pairs {by_hand(users):.4f}")
    assert by_hand(users) == right / 100 and shown(users) == {0: 0.0, 100: 1.0}.get(right, 0.5)

stars = [1, 2, 3, 4, 5]
before = [(stars, stars), (stars, [5, 4, 3, 2, 1])]
after = [(stars, stars), (stars, [5, 4, 3, 1, 2])]
print(f"five ratings each, one user in order, one reversed: fcp {shown(before):.4f}, of all pairs {by_hand(before):.4f}")
print(f"one pair of the second user put right:              fcp {shown(after):.4f}, of all pairs {by_hand(after):.4f}")
assert (by_hand(before), by_hand(after)) == (0.5, 0.55)
assert shown(before) == 0.5 and round(shown(after), 4) == 0.3793

equal = [(stars, [3] * 5)]
print(f"equal predictions: fcp {shown(equal):.4f}")
assert shown(equal) == 0.0
PYTHON_SCRIPT
echo "as written"
