#!/usr/bin/env bash
# polars 1.44.2, numpy 2.4.6: counts of a group, and what is done with them.
#
# Guess: the count of this week less the count of last week is negative where an item loses, and np.argsort(-counts) begins with the greatest.
# Seen:  a count is 32 bits without a sign, in len(), value_counts(), the sum of a comparison and the place of rank("ordinal"), and goes on from
#        4,294,967,295 below 0: sorted by growth all items that lost rows stand before those that won some, and the mean growth is above two
#        billion. In numpy -counts goes round too, except for 0: items without a row stand first, before the most popular one. polars refuses
#        -counts, not the difference, and fill_null(0) after a join keeps the type.
# So:    lists of what is trending, of changed places and of popularity begin with the wrong items, without a word. Cast counts to Int64 first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==1.44.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import numpy as np
import polars as pl

ROWS = {"rising": (10, 30), "steady": (20, 20), "falling": (30, 10), "gone": (5, 0)}

print("polars", pl.__version__, "numpy", np.__version__)
assert (pl.__version__, np.__version__) == ("1.44.2", "2.4.6")
log = pl.DataFrame(
    [(item, week) for item, rows in ROWS.items() for week, number in enumerate(rows) for _ in range(number)],
    schema=["item", "week"],
    orient="row",
)
counts = log.group_by("item").agg(before=(pl.col("week") == 0).sum(), now=(pl.col("week") == 1).sum())
grown = counts.with_columns(growth=pl.col("now") - pl.col("before")).sort("growth", descending=True)
print(grown)
assert grown["growth"].dtype == pl.UInt32
assert grown["item"].to_list() == ["gone", "falling", "rising", "steady"]
assert dict(zip(grown["item"], grown["growth"])) == {"gone": 2**32 - 5, "falling": 2**32 - 20, "rising": 20, "steady": 0}
assert grown["growth"].mean() > 2e9

whole = counts.with_columns(growth=pl.col("now").cast(pl.Int64) - pl.col("before").cast(pl.Int64)).sort("growth", descending=True)
print("as Int64:", dict(zip(whole["item"], whole["growth"])))
assert whole["item"].to_list() == ["rising", "steady", "gone", "falling"]

first = log.filter(pl.col("week") == 0)["item"].value_counts().rename({"count": "before"})
second = log.filter(pl.col("week") == 1)["item"].value_counts().rename({"count": "now"})
joined = first.join(second, on="item", how="left").with_columns(pl.col("now").fill_null(0))
assert joined["now"].dtype == pl.UInt32
places = counts.select("item", up=pl.col("before").rank("ordinal", descending=True) - pl.col("now").rank("ordinal", descending=True))
print("places won:", dict(zip(places["item"], places["up"])))
assert dict(zip(places["item"], places["up"]))["falling"] == 2**32 - 2

now = joined.sort("item")["now"].to_numpy()
names = np.array(joined.sort("item")["item"].to_list())
print("np.argsort(-counts):", names[np.argsort(-now)].tolist(), "of the same as int64:", names[np.argsort(-now.astype(np.int64))].tolist())
assert names[np.argsort(-now)].tolist() == ["gone", "rising", "steady", "falling"]
assert names[np.argsort(-now.astype(np.int64))].tolist() == ["rising", "steady", "falling", "gone"]
PYTHON_SCRIPT
echo "as written"
