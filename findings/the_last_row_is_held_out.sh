#!/usr/bin/env bash
# vowpalwabbit 9.11.9: `--passes 10` over a log of interactions.
#
# Guess: each row is trained on ten times.
# Seen:  with more than one pass each tenth row is held out from all of them, for early stopping: of 1,000 rows with an item each the 100 in places
#        10, 20, 30 ... have a weight of 0. In a log of users with ten rows each, in order of time, these are all users' newest rows.
# So:    one pass knows more items than ten, and by the order of the file the same kind of row is missing each time: what a user did last, or the
#        one positive among nine negatives. `--holdout_off`, or shuffle the file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check vowpalwabbit==9.11.9
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import sys
from importlib.metadata import version

from vowpalwabbit import pyvw

print("vowpalwabbit", version("vowpalwabbit"))
assert version("vowpalwabbit") == "9.11.9"
work = sys.argv[1]
USERS, ROWS = 100, 10
rows = [(user, row) for user in range(USERS) for row in range(ROWS)]  # ordered by user and time
with open(f"{work}/log.vw", "w") as file:
    for user, row in rows:
        file.write(f"1 |i item{user * ROWS + row}\n")  # each row has an item of its own, to see which were trained on
seen = {}
for options in ("--passes 1", "--passes 10", "--passes 10 --holdout_off"):
    pyvw.Workspace(f"-d {work}/log.vw -b 24 --cache --kill_cache --cache_file {work}/cache {options} --noconstant --quiet -f {work}/model").finish()
    model = pyvw.Workspace(f"-i {work}/model -t --quiet")
    scores = [model.predict(f"|i item{user * ROWS + row}") for user, row in rows]
    model.finish()
    unknown = [place for place, score in zip(rows, scores) if score == 0]
    seen[options] = {row for _, row in unknown}, len(unknown)
    print(f"{options}: {len(unknown)} of {len(rows)} rows were never trained on, by their place in the user's history {sorted(seen[options][0])}")
assert seen["--passes 1"][1] == seen["--passes 10 --holdout_off"][1] == 0
assert seen["--passes 10"][:2] == ({ROWS - 1}, USERS)
PYTHON_SCRIPT
echo "as written"
