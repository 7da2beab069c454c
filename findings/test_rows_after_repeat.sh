#!/usr/bin/env bash
# grain 0.2.18: `log.shuffle(seed=7)`, cut into `[:200]` for the test part and `[200:]` for training, and `train.repeat(3)`.
#
# Guess: a slice is a set of rows, "only the elements with indices in" it: three epochs of the same 800 rows, shuffled anew at most among themselves.
# Seen:  `repeat` gives the shuffle before the cut another seed in each epoch, so that the cut takes other rows: none of the 200 test rows is in the first
#        epoch, 157 are in the second and 160 in the third, 194 in all. A shuffle of the training part alone, before `repeat`, changes nothing. Nothing of it
#        shows in lengths, and each `test[:]` and each first epoch is right.
# So:    a test of one epoch finds no leak, and a training run has nearly all of the test part in it. `repeat(3, reseed_each_epoch=False)` has none, with one
#        order for all epochs; or cut the list of rows before it becomes a data set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check grain==0.2.18 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import grain

print("grain", version("grain"))
assert version("grain") == "0.2.18"

ROWS, TEST, EPOCHS = 1_000, 200, 3
log = grain.MapDataset.source(list(range(ROWS)))
shuffled = log.shuffle(seed=7)
test, train = shuffled[:TEST], shuffled[TEST:]
held_out = set(test)
assert len(held_out) == TEST and not held_out & set(train) and held_out | set(train) == set(range(ROWS))


def leaked(rows):
    """How many test rows each epoch has."""
    size = ROWS - TEST
    assert len(rows) == EPOCHS * size
    epochs = [[rows[epoch * size + place] for place in range(size)] for epoch in range(EPOCHS)]
    assert all(len(set(epoch)) == size for epoch in epochs)
    return [len(held_out & set(epoch)) for epoch in epochs], epochs


found = {}
for name, rows in (
    ("train.repeat(3)", train.repeat(EPOCHS)),
    ("train.shuffle(seed=1).repeat(3)", train.shuffle(seed=1).repeat(EPOCHS)),
    ("train.repeat(3, reseed_each_epoch=False)", train.repeat(EPOCHS, reseed_each_epoch=False)),
    ("a data set of list(train), shuffled, repeated", grain.MapDataset.source(list(train)).shuffle(seed=1).repeat(EPOCHS)),
):
    found[name], epochs = leaked(rows)
    in_any = len(held_out & set().union(*epochs))
    print(f"{name}: of {TEST} test rows {', '.join(map(str, found[name]))} are in epochs 0, 1, 2 of training, {in_any} in any")
(repeated, shuffled_again, same_seed, apart) = found.values()
assert repeated[0] == shuffled_again[0] == 0
assert min(repeated[1:] + shuffled_again[1:]) > 120
assert same_seed == apart == [0, 0, 0]
PYTHON_SCRIPT
echo "as written"
