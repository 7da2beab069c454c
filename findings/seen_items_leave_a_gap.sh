#!/usr/bin/env bash
# sqlite-vec 0.1.9 (with pysqlite3-binary 0.5.4.post2 for a SQLite that loads extensions): the k nearest items of a user, without the seen ones.
#
# Guess: `where vector match ? and k = 10 and id not in (select item from seen)` gives ten items, as `id in (select ...)` and conditions on
#        metadata columns do, which are applied while it searches.
# Seen:  "in" is applied to the search, "not in" to the ten that it found: a user who has seen eight of the ten nearest items gets two, one who has
#        seen all ten gets none. `id in (select id of unseen items)` gives ten.
# So:    who is served well before gets the shortest lists, heavy users none, and recall@10 falls with the length of the history. Turn the
#        condition round.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check sqlite-vec==0.1.9 pysqlite3-binary==0.5.4.post2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pysqlite3
import sqlite_vec

ITEMS, FACTORS, K = 2000, 16, 10

print("sqlite-vec", version("sqlite-vec"), "SQLite", pysqlite3.sqlite_version)
assert version("sqlite-vec") == "0.1.9"
random = np.random.default_rng(0)
items = random.standard_normal((ITEMS, FACTORS)).astype(np.float32)
user = random.standard_normal(FACTORS).astype(np.float32)
order = np.argsort(((items - user) ** 2).sum(axis=1)).tolist()
base = pysqlite3.connect(":memory:")
base.enable_load_extension(True)
sqlite_vec.load(base)
base.execute(f"create virtual table items using vec0(id integer primary key, vector float[{FACTORS}], year integer)")
base.executemany("insert into items values (?, ?, ?)", [(item, row.tobytes(), 2000 + item % 20) for item, row in enumerate(items)])
base.execute("create table seen (item integer)")


def nearest(condition):
    rows = base.execute(f"select id from items where vector match ? and k = {K} {condition} order by distance", (user.tobytes(),))
    return [item for (item,) in rows]


conditions = {
    "not in seen": "and id not in (select item from seen)",
    "in unseen": "and id in (select id from items where id not in (select item from seen))",
    "a year": "and year = 2003",
    "not a year": "and year != 2003",
}
assert nearest("") == order[:K]
for known in (0, 5, 8, 10, 50):
    base.execute("delete from seen")
    base.executemany("insert into seen values (?)", [(item,) for item in order[:known]])
    found = {name: nearest(condition) for name, condition in conditions.items()}
    print(f"{known} nearest items seen: " + ", ".join(f"{name} {len(rows)}" for name, rows in found.items()))
    assert found["not in seen"] == order[known:K]
    assert found["in unseen"] == order[known : known + K]
    assert found["a year"] == [item for item in order if item % 20 == 3][:K]
    assert found["not a year"] == [item for item in order if item % 20 != 3][:K]
PYTHON_SCRIPT
echo "as written"
