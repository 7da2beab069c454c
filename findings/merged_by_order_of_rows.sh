#!/usr/bin/env bash
# pandas 3.1.1: item ids of 64 bits that carry a shard (shard << 46 | type << 36 | number), unsigned in the table of items, as a hash or a database's
# "unsigned bigint" gives them, and signed in the log.
#
# Guess: the same whole number is the same item, as `==` and `isin` have it, or something is raised: no id is below 0, and both types hold all of them. In no
#        case does a merge depend on the order of rows.
# Seen:  `merge` of the two is right while both tables are sorted: 200 rows. With the rows of either in another order, or with a second key beside the item
#        in any order, it goes through floats, in silence: 6,310 rows, each id with all that lie within 16 of it, 200 of them the item's own, with
#        `validate="one_to_one"` and with UInt64 and Int64 too. `isin`, `map` and `join` on the index are right in any order. `concat` of both makes floats:
#        of 1,000 items 32 are left. numpy: `isin` and `==` are exact, `intersect1d` goes through floats and has 28 "common" items of a list of 10 and 20
#        held-out ones, of which 5 are the same.
# So:    features of other items are joined to a row of the log, and a test on a small sorted table says that all is well. Bring ids to one type as they are
#        read, and compare the number of rows before and after.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import warnings

import numpy as np
import pandas as pd

print("pandas", pd.__version__, "numpy", np.__version__)
assert (pd.__version__, np.__version__) == ("3.1.1", "2.4.6")
warnings.simplefilter("error")  # none is given

first = 3072 << 46 | 1 << 36 | 7_000_000
ids = np.arange(first, first + 1000)  # int64, the items of one shard
items = pd.DataFrame({"item": ids.astype(np.uint64), "number": np.arange(1000)})
log = pd.DataFrame({"item": ids[::5], "taken": np.arange(0, 1000, 5)})
ways = {"both sorted": (items, log), "items shuffled": (items.sample(frac=1, random_state=0), log),
        "log shuffled": (items, log.sample(frac=1, random_state=0)), "log twice": (items, pd.concat([log, log]))}
found = {}
for name, (left, right) in ways.items():
    merged = left.merge(right, on="item")
    own = int((merged["number"] == merged["taken"]).sum())
    known = int(left["item"].isin(right["item"]).sum()), int(left["item"].map(log.set_index("item")["taken"]).notna().sum())
    same = len(left.astype({"item": "int64"}).merge(right, on="item"))
    found[name] = len(merged), own, same
    print(f"{name}: {len(merged)} rows, {own} of them of the item itself; {same} with ids of one type; isin and map {known}")
    assert known == (200, 200)
assert found["both sorted"] == (200, 200, 200)
assert found["items shuffled"] == found["log shuffled"] and found["items shuffled"][1:] == (200, 200) and found["items shuffled"][0] > 6000
assert found["log twice"][0] > 12_000 and found["log twice"][1:] == (400, 400)
checked = log.sample(frac=1, random_state=0).merge(items, on="item", validate="one_to_one")
print('with validate="one_to_one":', len(checked), "rows")
two_keys = items.assign(user=1).merge(log.assign(user=1), on=["user", "item"])
nullable = ways["items shuffled"][0].astype({"item": "UInt64"}).merge(log.astype({"item": "Int64"}), on="item")
joined = ways["items shuffled"][0].set_index("item").join(log.set_index("item"), how="inner")
print("two keys, sorted:", len(two_keys), "UInt64 and Int64, shuffled:", len(nullable), "join on the index, shuffled:", len(joined))
assert len(checked) == len(two_keys) == len(nullable) == found["log shuffled"][0] and len(joined) == 200

both = pd.concat([items[["item"]], log[["item"]]])["item"]
print("concat:", both.dtype, both.nunique(), "items of 1000")
assert both.dtype == np.float64 and both.nunique() < 40 and log["item"].isin(items["item"]).all()
shown, held_out = items["item"].to_numpy()[:10], ids[5:25]
print("hits of a list of ten: isin", np.isin(shown, held_out).sum(), "intersect1d", len(np.intersect1d(shown, held_out)))
assert np.isin(shown, held_out).sum() == 5 and len(np.intersect1d(shown, held_out)) > 15
PYTHON_SCRIPT
echo "as written"
