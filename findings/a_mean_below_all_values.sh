#!/usr/bin/env bash
# polars 2.1.0: `pl.mean_horizontal` and `pl.sum_horizontal` of columns of small whole numbers, as `Series.shrink_dtype` makes them.
#
# Guess: the mean of 100 and 100 is 100, and a sum across columns is as wide as `sum()` down a column, which turns 8 bits into 64 "to prevent overflow".
# Seen:  the mean is -28: both add in the columns' own 8 bits, and nothing is raised. Of 1,000 items with counts of eight weeks, each below 128, the ten with
#        the greatest mean share none with the right ten, and 34 % of the means lie below the least of their eight values. Down the column, in numpy and in 64
#        bits all are right.
# So:    a table that was shrunk to save memory has other most popular items. Cast before adding across: `mean_horizontal(pl.all().cast(pl.Int64))`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6
POLARS_MAX_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import numpy as np
import polars as pl

ITEMS, WEEKS, K = 1_000, 8, 10

print("polars", pl.__version__)
assert pl.__version__ == "2.1.0"
two = pl.DataFrame({"story": [100], "pictures": [100]}, schema={"story": pl.Int8, "pictures": pl.Int8})
mean, total = two.select(pl.mean_horizontal("story", "pictures")).item(), two.select(pl.sum_horizontal("story", "pictures")).item()
print(f"100 and 100 in {two.schema['story']}: mean {mean}, sum {total}")
assert mean == -28 and total == -56

random = np.random.default_rng(0)
wide = random.gamma(1.0, 1.0, size=(ITEMS, 1)) * random.uniform(0.5, 1.5, size=(ITEMS, WEEKS)) * 15
counts = np.minimum(wide, 127).astype(np.int64)
table = pl.DataFrame(counts, schema=[f"week{week}" for week in range(WEEKS)])
small = pl.DataFrame([column.shrink_dtype() for column in table])
print("columns of", set(small.dtypes))
assert set(small.dtypes) == {pl.Int8} and np.array_equal(small.to_numpy(), counts)


def across(frame):
    return frame.select(pl.mean_horizontal(pl.all())).to_series().to_numpy()


def top(values):
    return set(np.argsort(-values, kind="stable")[:K].tolist())


right = counts.mean(axis=1)
found = {"Int64": across(table), "Int8": across(small), "Int8, cast": across(small.select(pl.all().cast(pl.Int64)))}
found["numpy, int8"] = small.to_numpy().mean(axis=1)
for name, values in found.items():
    below = np.mean(values < counts.min(axis=1))
    print(f"{name}: the best {K} share {len(top(values) & top(right)) / K:.2f} with the right ones, {below:.0%} of the means lie below all of their values")
    assert np.allclose(values, right) if name != "Int8" else (len(top(values) & top(right)) <= 2 and below > 0.2)
down = small.sum().row(0)
assert down == tuple(counts.sum(axis=0)) and max(down) > 127
PYTHON_SCRIPT
echo "as written"
