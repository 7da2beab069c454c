#!/usr/bin/env bash
# pyarrow 26.0.1: item vectors as a fixed-size list, read in batches of a data set and turned into a matrix.
#
# Guess: `batch["vector"].values` and `.flatten()` are the batch's numbers, width times rows, an item without a vector as NaN.
# Seen:  `values` is what lies below, from the first row of the row group on. Batches of a data set are windows on it, although nothing was sliced by
#        hand: with row groups of 500 and batches of 300 the second batch's matrix begins with the first batch's vectors, and all its items get other
#        items' (those of `ParquetFile.iter_batches` are copies and right). `flatten()` knows the window, and leaves items without a vector out: with
#        one of them all items behind it get the vector of the next one.
# So:    neither is safe alone, and neither raises: the rows of a matrix are read by place, so the short one is seen only at the end. A
#        small file, read as one batch and without a gap, is right in both. Take out the rows without a vector first, ids and all, then `flatten()`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

ITEMS, WIDTH, GROUP, BATCH = 1_000, 8, 500, 300

print("pyarrow", version("pyarrow"))
assert version("pyarrow") == "26.0.1"
vectors = np.random.default_rng(0).normal(size=(ITEMS, WIDTH)).astype(np.float32)


def written(name, missing):
    rows = [None if item in missing else vectors[item].tolist() for item in range(ITEMS)]
    table = pa.table({"item": range(ITEMS), "vector": pa.array(rows, pa.list_(pa.float32(), WIDTH))})
    pq.write_table(table, name, row_group_size=GROUP)


def right(batches, matrix):
    """The share of items with a vector that have their own, read by place in the batch."""
    found = {}
    for batch in batches:
        if matrix is mended:
            batch = batch.filter(batch["vector"].is_valid())
        rows = matrix(batch["vector"])
        for place, (item, known) in enumerate(zip(batch["item"].to_pylist(), batch["vector"].is_valid().to_pylist())):
            if known:
                found[item] = place < len(rows) and bool(np.array_equal(rows[place], vectors[item]))
    return sum(found.values()) / len(found)


def mended(column):
    return column.flatten().to_numpy().reshape(-1, WIDTH)


ways = {
    "values": lambda column: column.values.to_numpy(zero_copy_only=False).reshape(-1, WIDTH),
    "flatten()": lambda column: column.flatten().to_numpy(zero_copy_only=False).reshape(-1, WIDTH),
    "rows without a vector taken out, flatten()": mended,
}
seen = {}
for missing in ((), (10,)):
    written("items.parquet", missing)
    for way, matrix in ways.items():
        for source, batches in (
            ("data set", ds.dataset("items.parquet").to_batches(batch_size=BATCH, use_threads=False)),
            ("iter_batches", pq.ParquetFile("items.parquet").iter_batches(batch_size=BATCH)),
        ):
            seen[way, source, len(missing)] = right(batches, matrix)
            print(f"{way}, {source}, {len(missing)} items without a vector: {seen[way, source, len(missing)]:.1%} of the items have their own")
assert abs(seen["values", "data set", 0] - 0.6) < 0.01 and seen["values", "iter_batches", 0] == 1
assert seen["flatten()", "data set", 0] == 1 and seen["flatten()", "data set", 1] < 0.75 and seen["flatten()", "iter_batches", 1] < 0.75
assert all(share == 1 for (way, *_), share in seen.items() if way.startswith("rows"))
PYTHON_SCRIPT
echo "as written"
