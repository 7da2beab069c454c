#!/usr/bin/env bash
# polars 2.1.0: a LazyFrame with a drawn column, from which a training and a test part are filtered; DuckDB 2.0.0: a view with one.
#
# Guess: two `collect()` draw twice, but `pl.collect_all([train, test])` runs what the two have in common once, so each row is in one part; in
#        DuckDB a view has its rows as a common table expression has them.
# Seen:  `collect_all` draws for each part: of the rows of the test part 80 % are in the training part, as with two calls, and so it is in a single
#        query that joins the two. DuckDB's view draws each time too, its common table expression once. With a seed, or a `collect().lazy()`
#        after drawing, no row is in both; `cache()` does it within one `collect_all`.
# So:    the parts have the right sizes, and most of the test part was trained on, and as many rows are in none. Draw with a seed, or write the
#        drawn column out before it is used twice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 duckdb==2.0.0
POLARS_MAX_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import duckdb
import polars as pl

ROWS = 50_000

print("polars", version("polars"), "DuckDB", version("duckdb"), f"{ROWS:,} rows, four fifths for training")
assert (version("polars"), version("duckdb")) == ("2.1.0", "2.0.0")


def drawn(**seed):
    return pl.LazyFrame({"row": range(ROWS)}).with_columns(place=pl.int_range(pl.len()).shuffle(**seed))


def parts(frame):
    return frame.filter(pl.col("place") < ROWS * 4 // 5), frame.filter(pl.col("place") >= ROWS * 4 // 5)


def seen(train, test):
    assert (train.height, test.height) == (ROWS * 4 // 5, ROWS // 5)
    return train.join(test, on="row").height / test.height


def in_one_query(frame):
    train, test = parts(frame)
    return train.join(test, on="row").select(pl.len()).collect().item() / (ROWS // 5)


shares = {
    "two collects": seen(*(part.collect() for part in parts(drawn()))),
    "collect_all": seen(*pl.collect_all(parts(drawn()))),
    "one query": in_one_query(drawn()),
    "collect_all, cache()": seen(*pl.collect_all(parts(drawn().cache()))),
    "collect_all, with a seed": seen(*pl.collect_all(parts(drawn(seed=0)))),
    "two collects, with a seed": seen(*(part.collect() for part in parts(drawn(seed=0)))),
    "collect().lazy() before": seen(*(part.collect() for part in parts(drawn().collect().lazy()))),
}
base = duckdb.connect()
base.execute(f"create table log as select range as row from range({ROWS})")
select = "select row, random() < 0.8 as train from log"
base.execute(f"create view drawn as {select}")
both = "select (select count(*) from drawn a join drawn b using (row) where a.train and not b.train) / (select count(*) from drawn where not train)"
shares["DuckDB's view"] = base.execute(both).fetchone()[0]
shares["DuckDB's common table expression"] = base.execute(f"with drawn as ({select}) {both}").fetchone()[0]
for name, share in shares.items():
    print(f"{name}: {share:.0%} of the test part is in the training part")
again = ("two collects", "collect_all", "one query", "DuckDB's view")
assert all(0.75 < share < 0.85 if name in again else share == 0 for name, share in shares.items())
PYTHON_SCRIPT
echo "as written"
