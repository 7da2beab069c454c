#!/usr/bin/env bash
# implicit 0.7.3: `leave_k_out_split` of implicit.evaluation, with random_state.
#
# Guess: with random_state=42 the same rows are held out each time, as by train_test_split beside it, and they carry the values they had.
# Seen:  random_state only chooses who is kept for training alone (train_only_size). What is held out of a user is drawn from numpy's global
#        generator: two calls with 42 share about a tenth of their held-out pairs (ten rows a user, one held out), and after
#        np.random.seed(0) the calls with 42 and 7 are equal. And where some users have too few rows to be tested, others are taken two or
#        more times and summed: in the test part of ratings from 1 to 5 there are 9, 12 and 15. The pairs themselves are right.
# So:    models that were compared "on the same split", each in a process of its own, were measured on different test parts, and a seed in a
#        paper does not bring its split back. Seed numpy's global generator. Held-out values cannot be used for a threshold, a gain or an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check implicit==0.7.3 numpy==1.26.4 scipy==1.15.3
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.evaluation import leave_k_out_split, train_test_split

USERS, ITEMS = 1000, 100
random = np.random.default_rng(0)


def ratings(rows_of_user):
    """A matrix with so many ratings from 1 to 5 in each user's row, in different items."""
    rows = np.repeat(np.arange(USERS), rows_of_user)
    items = np.concatenate([random.permutation(ITEMS)[:number] for number in rows_of_user])
    return sp.csr_matrix((random.integers(1, 6, len(rows)).astype(np.float32), (rows, items)), shape=(USERS, ITEMS))


def common(first, second):
    """Share of the held-out pairs of one split that the other has too."""
    return (first != 0).multiply(second != 0).nnz / first.nnz


print("implicit", version("implicit"))
assert version("implicit") == "0.7.3"
ten_each = ratings(np.full(USERS, 10))
one, two = (leave_k_out_split(ten_each, K=1, random_state=42)[1] for _ in range(2))
print(f"leave_k_out_split, random_state 42 twice: {one.nnz} and {two.nnz} pairs held out, {common(one, two):.0%} in common")
assert one.nnz == two.nnz == USERS and common(one, two) < 0.2
parts = []
for seed in (42, 7):
    np.random.seed(0)
    parts.append(leave_k_out_split(ten_each, K=1, random_state=seed)[1])
print(f"  after np.random.seed(0), random_state 42 and 7: {common(*parts):.0%} in common")
assert common(*parts) == 1
parts = [train_test_split(ten_each, random_state=42)[1] for _ in range(2)]
print(f"train_test_split, random_state 42 twice: {common(*parts):.0%} in common")
assert common(*parts) == 1

for name, rows_of_user in (("ten rows each", np.full(USERS, 10)), ("half of the users have three", np.tile([10, 10, 3, 3], USERS // 4))):
    given = ratings(rows_of_user)
    train, test = leave_k_out_split(given, K=2, random_state=42)
    before = np.asarray(given[test.nonzero()]).ravel()
    after = np.asarray(test[test.nonzero()]).ravel()
    changed, tested = float(np.mean(before != after)), np.unique(np.diff(test.indptr)[rows_of_user > 3])
    print(f"{name}: two of each tested user held out, {changed:.0%} of the values changed, values {np.unique(after).astype(int)}")
    assert list(tested) == [2] and train.nnz + test.nnz == given.nnz and train.multiply(test).nnz == 0
    if name == "ten rows each":
        assert changed == 0
    else:
        assert 0.4 < changed < 0.6 and set(after / before) == {1, 3} and after.max() == 15
PYTHON_SCRIPT
echo "as written"
