#!/usr/bin/env bash
# pyarrow 26.0.1: ids that are read as dictionary codes, `read_table(path, read_dictionary=["user"])` and `ParquetFile.iter_batches`.
#
# Guess: a column has one dictionary, so code 7 is the same user in all chunks and batches, as with `dictionary_encode()` of a chunked column.
# Seen:  each row group brings its own, in the order in which its ids come: of 1,000 users in a log of four row groups code 7 is four users, and
#        taking the chunks' codes as user numbers gives 1,000 users of whom nearly all are a mixture. `iter_batches` is the same, with
#        batches that cross a row group too. `unify_dictionaries()` or `combine_chunks()` puts it right for a table; for a stream of batches nothing does.
# So:    a matrix or an embedding table that is filled batch by batch from `.indices` mixes users without an error: the numbers are in range.
#        A file with one row group, as in a test, is right. Number the ids before the file is written, or by a table of your own.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1 numpy==2.4.6
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from collections import defaultdict
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

USERS, ROWS, GROUPS = 1000, 40_000, 4
random = np.random.default_rng(0)
ids = np.array([f"u{user}" for user in range(USERS)])[random.integers(0, USERS, ROWS)]  # each user has about 40 rows, spread over the file
for groups in (1, GROUPS):
    pq.write_table(pa.table({"user": ids, "row": np.arange(ROWS)}), f"log{groups}.parquet", row_group_size=ROWS // groups)


def mixed(chunks, start=0):
    """How many codes stand for more than one user, and how many codes there are."""
    users_of = defaultdict(set)
    for chunk in chunks:
        codes = chunk.indices.to_numpy()
        for code, user in zip(codes.tolist(), ids[start : start + len(codes)].tolist(), strict=True):
            users_of[code].add(user)
        start += len(codes)
    assert start == ROWS
    return sum(len(users) > 1 for users in users_of.values()), len(users_of), sorted(users_of[7])


print("pyarrow", version("pyarrow"), f"{USERS:,} users, {ROWS:,} rows")
assert version("pyarrow") == "26.0.1"
found = {}
for groups in (1, GROUPS):
    column = pq.read_table(f"log{groups}.parquet", read_dictionary=["user"])["user"]
    file = pq.ParquetFile(f"log{groups}.parquet", read_dictionary=["user"])
    ways = {
        "read_table": column.chunks,
        "iter_batches": [batch.column("user") for batch in file.iter_batches(batch_size=2048)],
        "dictionary_encode after reading": pq.read_table(f"log{groups}.parquet")["user"].dictionary_encode().chunks,
        "unify_dictionaries": column.unify_dictionaries().chunks,
        "combine_chunks": pa.chunked_array([column.combine_chunks()]).chunks,
    }
    for name, chunks in ways.items():
        found[groups, name] = mixed(chunks)
        many, codes, seventh = found[groups, name]
        print(f"{groups} row groups, {name}: {many} of {codes} codes are several users; code 7 is {', '.join(seventh[:4])}")
for (groups, name), (many, codes, _) in found.items():
    if groups == GROUPS and name in ("read_table", "iter_batches"):
        assert codes == USERS and many > 0.95 * USERS
    else:
        assert codes == USERS and many == 0
PYTHON_SCRIPT
echo "as written"
