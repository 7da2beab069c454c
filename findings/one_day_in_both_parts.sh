#!/usr/bin/env bash
# RePlay 0.22.0: `TimeSplitter(0.2125)` of one log, as a pandas and as a polars frame.
#
# Guess: it cuts by time: a fifth of the rows or more is held out, from one moment on, whatever kind of frame it is.
# Seen:  with pandas all rows from that moment on are held out. With polars it counts rows: what has the same time as the first test row is cut in
#        two by where it stands in the file. With times in days, 20 days of 50 rows and a cut within a day, pandas holds out 250 rows and polars
#        213: 37 rows of the first test day are trained on, others when the file is in another order, and parts of one basket are on both sides.
# So:    "the same split" in two libraries' frames is not, and a polars one tests on what happened together with a training row. Give a date in
#        place of a share (both then agree).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check replay-rec==0.22.0 polars==1.44.2 numpy==1.26.4 pandas==2.3.3 scipy==1.15.3 pyarrow==23.0.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from datetime import datetime, timedelta
from importlib.metadata import version

import pandas as pd
import polars as pl
from replay.splitters import TimeSplitter

DAYS, USERS, BASKET, SHARE = 20, 10, 5, 0.2125  # each day each user buys a basket of five
start = datetime(2024, 1, 1)
rows = [(user, (day * 7 + user * 3 + place) % 60, start + timedelta(days=day)) for day in range(DAYS) for user in range(USERS) for place in range(BASKET)]
log = pd.DataFrame(rows, columns=["query_id", "item_id", "timestamp"])


def held_out(frame, threshold):
    train, test = (part if isinstance(part, pd.DataFrame) else part.to_pandas() for part in TimeSplitter(threshold).split(frame))
    baskets = set(zip(train.query_id, train.timestamp, strict=True)) & set(zip(test.query_id, test.timestamp, strict=True))
    rows = frozenset(zip(test.query_id, test.item_id, test.timestamp, strict=True))
    return len(test), int((train.timestamp >= test.timestamp.min()).sum()), len(baskets), rows


print("replay-rec", version("replay-rec"), f"{len(log)} rows, {len(log) // DAYS} a day, a share of {SHARE}")
assert version("replay-rec") == "0.22.0"
found = {}
for order in ("in order", "shuffled"):
    frame = log if order == "in order" else log.sample(frac=1, random_state=0).reset_index(drop=True)
    for kind, made in (("pandas", frame), ("polars", pl.from_pandas(frame))):
        for name, threshold in (("share", SHARE), ("date", start + timedelta(days=15))):
            found[kind, name, order] = held_out(made, threshold)
            test, late, baskets, _ = found[kind, name, order]
            print(f"{kind}, {name}, {order}: {test} rows held out, {late} training rows of the first test day or later, {baskets} baskets in both parts")
for (kind, name, order), (test, late, baskets, _) in found.items():
    if kind == "polars" and name == "share":
        assert test == 213 and late == 37 and baskets >= 1
    else:
        assert (test, late, baskets) == (250, 0, 0)
assert found["polars", "share", "in order"][3] != found["polars", "share", "shuffled"][3]
assert found["pandas", "share", "in order"][3] == found["pandas", "share", "shuffled"][3]
PYTHON_SCRIPT
echo "as written"
