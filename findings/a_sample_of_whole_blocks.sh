#!/usr/bin/env bash
# DuckDB 2.0.1: `select * from log using sample 10%` of a log of 5,000 rows, 50 a user.
#
# Guess: about 500 rows, some of nearly every user.
# Seen:  a percentage draws blocks of 2,048 rows whole: 0, 904, 2,048 or more of the 5,000 rows, nothing at all in most draws, and where there are
#        rows they are all rows of 19, 41 or 42 users who stand next to each other. `using sample 500 rows` and `10% (bernoulli)` are what was meant.
# So:    a test part drawn so is empty in a small test and right on average in a long log, where it holds out whole users in order of the file
#        (cold in training) or whole days, and its scores differ from draw to draw far more than their rows say. Name bernoulli, or
#        draw by a hash of user and item.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from collections import Counter
from importlib.metadata import version

import duckdb

print("DuckDB", version("duckdb"))
assert version("duckdb") == "2.0.1"
USERS, ROWS, DRAWS, BLOCK = 100, 50, 100, 2048
log = duckdb.connect()
log.execute("set threads = 1")
log.execute(f"create table log as select (n // {ROWS})::int as who, (hash(n) % 1000)::int as item from range({USERS * ROWS}) numbers(n)")


def drawn(sample):
    """Of 100 draws: (rows, users, users with some but not all rows) each."""
    query = f"select who, count(*) from (select * from log using sample {sample}) group by who"
    found = [[rows for _, rows in log.execute(query).fetchall()] for _ in range(DRAWS)]
    return [(sum(rows), len(rows), sum(count < ROWS for count in rows)) for rows in found]


blocks = drawn("10%")
sizes = Counter(rows for rows, _, _ in blocks)
print("using sample 10%: rows and how often:", dict(sorted(sizes.items())), "; users with rows:", sorted({users for _, users, _ in blocks}))
last = USERS * ROWS % BLOCK
assert set(sizes) <= {blocks_ * BLOCK + rest for blocks_ in (0, 1, 2) for rest in (0, last)} and sizes[0] > DRAWS / 3
assert all(cut <= 3 for _, _, cut in blocks)  # users with a part of their rows: at the ends of a block
for sample in ("10% (bernoulli)", "500 rows"):
    rows, users, cut = (sorted(values) for values in zip(*drawn(sample)))
    print(f"using sample {sample}: {rows[0]} to {rows[-1]} rows of {users[0]} to {users[-1]} users")
    assert 350 < rows[0] and rows[-1] < 650 and users[0] > 90
PYTHON_SCRIPT
echo "as written"
