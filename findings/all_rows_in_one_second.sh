#!/usr/bin/env bash
# pandas 3.0.1: times of interactions made to whole seconds by `times.astype("int64") // 10**9`, as recommender code does.
#
# Guess: a column of times holds nanoseconds, as ever, or is refused.
# Seen:  the unit is that of the source: `pd.to_datetime(seconds, unit="s")` holds seconds, so each row of the years 2001 to 2033 has the time 1,
#        and what read_csv parses holds microseconds, so rows within 1,000 seconds are equal. Leave-one-out by time then holds out the row that
#        stands last in the file: the newest one of 13 % of the users, without a message. as_unit("ns") first, and it is 100 %.
# So:    the same line is right, coarse or void by where the column came from, and a split by time is random. Subtract the epoch and divide by
#        pd.Timedelta("1s"), which knows the unit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.0.1 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import io
from importlib.metadata import version

import numpy as np
import pandas as pd

USERS, ROWS = 500, 10

print("pandas", version("pandas"), f"{USERS} users with {ROWS} rows each, some hours apart, in a random order")
assert version("pandas") == "3.0.1"
random = np.random.default_rng(0)
seconds = 1_682_935_200 + random.integers(0, 30 * 86_400, USERS * ROWS)
rows = pd.DataFrame({"user": np.repeat(np.arange(USERS), ROWS), "second": seconds}).sample(frac=1, random_state=0, ignore_index=True)
text = io.StringIO(rows.assign(time=pd.to_datetime(rows["second"], unit="s").astype(str)).to_csv(index=False))
newest = rows.groupby("user")["second"].max()
read = {
    "pd.to_datetime(seconds, unit='s')": pd.to_datetime(rows["second"], unit="s"),
    "pd.read_csv(..., parse_dates=...)": pd.read_csv(text, parse_dates=["time"])["time"],
    "the same, as nanoseconds": pd.to_datetime(rows["second"], unit="s").dt.as_unit("ns"),
}
found = {}
for name, times in read.items():
    frame = rows.assign(time=times.astype("int64") // 10**9)
    held_out = frame.sort_values("time", kind="stable").groupby("user").tail(1).set_index("user")["second"]
    right = float((held_out.sort_index() == newest).mean())
    found[name] = str(times.dtype), int(frame["time"].nunique()), right
    print(f"{name}: {times.dtype}, times {frame['time'].min():,} to {frame['time'].max():,}, {found[name][1]:,} different ones; "
          f"the newest row is held out for {right:.3f} of the users")
first, second, third = found.values()
assert first[:2] == ("datetime64[s]", 1) and first[2] < 0.25
assert second[0] == "datetime64[us]" and second[1] < 2500
assert third[0] == "datetime64[ns]" and third[2] == 1
PYTHON_SCRIPT
echo "as written"
