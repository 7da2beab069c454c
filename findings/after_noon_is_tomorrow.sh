#!/usr/bin/env bash
# DuckDB 2.0.0: days out of seconds, `cast(seconds / 86400 as int)`, for a split or a feature by day.
#
# Guess: a cast to an integer cuts the fraction off, as in Python, numpy, polars, Spark and SQLite: all rows of a day have its number.
# Seen:  it rounds: what happened after noon has the next day's number, so a "day" goes from noon to noon. With the last two days held out, 25 % of
#        the test part is the afternoon of the day before, which the others train on. Stars go the same way: 3.5 becomes 4, so
#        "rating as int >= 4" has half stars among the likes. In DuckDB `//` and `floor` cut.
# So:    a split that is made in DuckDB and one that is made in polars by the same expression have other rows, and counts by day mix two days. Use
#        `//` on whole seconds, or date_trunc.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.0 polars==1.44.2 pyarrow==26.0.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import sqlite3
from importlib.metadata import version

import duckdb
import numpy as np
import polars as pl

DAYS, ROWS = 30, 30_000
random = np.random.default_rng(0)
first = 1_704_067_200  # 2024-01-01, a midnight
seconds = first + random.integers(0, DAYS, ROWS) * 86_400 + random.integers(6 * 3600, 24 * 3600, ROWS)  # people are awake from six to midnight
stars = random.choice(np.arange(0.5, 5.1, 0.5), ROWS)

print("duckdb", version("duckdb"), "polars", version("polars"))
assert (version("duckdb"), version("polars")) == ("2.0.0", "1.44.2")
log = pl.DataFrame({"seconds": seconds, "stars": stars})
arrow = log.to_arrow()
lite = sqlite3.connect(":memory:")
lite.execute("create table log (seconds integer, stars real)")
lite.executemany("insert into log values (?, ?)", list(zip(seconds.tolist(), stars.tolist(), strict=True)))
day = {
    "numpy": (seconds / 86_400).astype(int),
    "polars": log.select((pl.col("seconds") / 86_400).cast(pl.Int64)).to_series().to_numpy(),
    "sqlite": np.array([row[0] for row in lite.execute("select cast(seconds / 86400.0 as integer) from log order by rowid")]),
    "duckdb cast": duckdb.sql("select cast(seconds / 86400 as int) as day from arrow").to_arrow_table()["day"].to_numpy(),
    "duckdb //": duckdb.sql("select seconds // 86400 as day from arrow").to_arrow_table()["day"].to_numpy(),
    "duckdb floor": duckdb.sql("select cast(floor(seconds / 86400) as int) as day from arrow").to_arrow_table()["day"].to_numpy(),
}
last = first // 86_400 + DAYS - 2  # the last two days are the test part
tested = {name: set(np.flatnonzero(days >= last).tolist()) for name, days in day.items()}
for name, days in day.items():
    own, other = tested[name], tested["numpy"]
    print(f"{name}: days {days.min() - first // 86_400} to {days.max() - first // 86_400}, {len(own):,} rows in the test part, {len(own - other)} more than numpy's")
    assert (days == day["numpy"]).all() == (name != "duckdb cast")
afternoon = seconds % 86_400 > 43_200
assert (day["duckdb cast"] - day["numpy"] == afternoon)[seconds % 86_400 != 43_200].all()
more = tested["duckdb cast"] - tested["numpy"]
share = len(more) / len(tested["duckdb cast"])
print(f"{share:.3f} of DuckDB's test part is of the day before")
assert tested["numpy"] < tested["duckdb cast"] and 0.2 < share < 0.3
likes = {
    "polars": log.filter(pl.col("stars").cast(pl.Int64) >= 4).height,
    "sqlite": lite.execute("select count(*) from log where cast(stars as integer) >= 4").fetchall()[0][0],
    "duckdb": duckdb.sql("select count(*) from arrow where cast(stars as int) >= 4").fetchall()[0][0],
}
print("ratings of 4 and more as integers:", likes)
assert likes["polars"] == likes["sqlite"] == int((stars >= 4).sum()) and likes["duckdb"] == int((stars >= 3.5).sum())
PYTHON_SCRIPT
echo "as written"
