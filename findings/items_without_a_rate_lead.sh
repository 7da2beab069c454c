#!/usr/bin/env bash
# polars 1.44.2, DuckDB 2.0.0: the best ten of a score that is NaN for some items, such as clicks / views of items without a view.
#
# Guess: NaN is no score: it stands last, as in pandas, numpy and pyarrow, and is skipped by top_k as it is by max().
# Seen:  in polars NaN is the largest value for sort, top_k, top_k_by and rank, while max() and arg_max() of the same column skip it: the item that
#        arg_max names is not in the ten of top_k. In DuckDB it is the largest in ORDER BY, max_by and max(). With 40 of 500 items never shown
#        all ten places of the list are theirs; nulls stand last in both.
# So:    the list of the best click rates is a list of the items that nobody has seen, and a diverged model's scores rank as the best. Turn NaN
#        into null (`fill_nan(None)`, `nullif(score, 'nan')`), or filter by views, before a list is cut.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==1.44.2 duckdb==2.0.0 pandas==2.3.3 pyarrow==26.0.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import duckdb
import numpy as np
import polars as pl
import pyarrow.compute as pc

ITEMS, UNSEEN, K = 500, 40, 10
random = np.random.default_rng(0)
views = random.integers(1, 200, ITEMS)
views[random.choice(ITEMS, UNSEEN, replace=False)] = 0
clicks = random.binomial(views, random.beta(2, 20, ITEMS))

print("polars", version("polars"), "duckdb", version("duckdb"), f"{ITEMS} items, {UNSEEN} without a view, lists of {K}")
assert (version("polars"), version("duckdb")) == ("1.44.2", "2.0.0")
table = pl.DataFrame({"item": np.arange(ITEMS), "clicks": clicks, "views": views}).with_columns(rate=pl.col("clicks") / pl.col("views"))
assert int(table["rate"].is_nan().sum()) == UNSEEN and table["rate"].null_count() == 0
frame = table.to_pandas()
arrow = table.to_arrow()
connection = duckdb.connect()
connection.sql("create table items as select item, clicks, views, clicks::double / views::double as rate from arrow")
lists = {
    "pandas sort_values": frame.sort_values("rate", ascending=False)["item"][:K],
    "pandas nlargest": frame.nlargest(K, "rate")["item"],
    "numpy argsort": np.argsort(-frame["rate"].to_numpy())[:K],
    "pyarrow select_k": pc.select_k_unstable(arrow["rate"], k=K, sort_keys=[("rate", "descending")]),
    "polars sort": table.sort("rate", descending=True)["item"][:K],
    "polars top_k": table.top_k(K, by="rate")["item"],
    "polars top_k_by": table.select(pl.col("item").top_k_by("rate", K))["item"],
    "polars rank": table.filter(pl.col("rate").rank("ordinal", descending=True) <= K)["item"],
    "duckdb order by": [row[0] for row in connection.sql(f"select item from items order by rate desc limit {K}").fetchall()],
    "duckdb max_by": connection.sql(f"select max_by(item, rate, {K}) from items").fetchall()[0][0],
    "polars top_k, fill_nan(None)": table.with_columns(pl.col("rate").fill_nan(None)).top_k(K, by="rate")["item"],
    "duckdb order by, nullif": [
        row[0] for row in connection.sql(f"select item from items order by nullif(rate, 'nan'::double) desc nulls last limit {K}").fetchall()
    ],
}
for name, items in lists.items():
    unseen = sum(int(views[int(item)]) == 0 for item in (items.to_pylist() if hasattr(items, "to_pylist") else items))
    print(f"{name}: {unseen} of {len(items)} have no view")
    nan_first = name in ("polars sort", "polars top_k", "polars top_k_by", "polars rank", "duckdb order by", "duckdb max_by")
    assert len(items) == K and unseen == (K if nan_first else 0)
best, place = table["rate"].max(), table["rate"].arg_max()
largest = connection.sql("select max(rate) from items").fetchall()[0][0]
print(f"polars max() {best:.3f}, arg_max() item {place} with {views[place]} views; duckdb max() {largest}")
assert not np.isnan(best) and views[place] > 0 and place not in list(lists["polars top_k"]) and np.isnan(largest)
PYTHON_SCRIPT
echo "as written"
