#!/usr/bin/env bash
# datasets 5.2.0 (Hugging Face): a float64 column read with `with_format("numpy")` or `with_format("torch")`.
#
# Guess: the format changes the container, not the numbers: float64 comes back as float64, as int64 comes back as int64.
# Seen:  floats of all kinds come back as float32 by both, and as they are by format None, "pandas" and "arrow". Ids that are floats
#        because a cell of their column was empty once (as pandas reads them) share numbers above 16,777,216: of 1,000 neighbouring users from
#        76,561,000 on 126 are left; seconds since 1970 are 128 apart, so of events half a minute apart no order is left. Features() with
#        float64 changes nothing; `with_format("numpy", dtype="float64")` does, for all columns at once.
# So:    rows of several users become one user's without an error, and a metric by format "pandas" cannot be had again by "numpy". Cast ids and
#        times to int64 before they are in the dataset.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==2.3.3 numpy==2.4.6 torch==2.13.0
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import io
from importlib.metadata import version

import numpy as np
import pandas as pd
from datasets import Dataset, Features, Value

USERS, FIRST, START = 1000, 76_561_000, 1_700_000_000
lines = [f"{FIRST + user},{START + 30 * user},{user % 7}" for user in range(USERS)]
frame = pd.read_csv(io.StringIO("\n".join(["user,seconds,item", ",1700000000,3", *lines]))).dropna()  # one row without a user
frame["seconds"] = frame["seconds"] + 0.5
assert frame["user"].dtype == np.float64 and frame["user"].nunique() == frame["seconds"].nunique() == USERS

print("datasets", version("datasets"), f"{USERS:,} users, a row each")
assert version("datasets") == "5.2.0"
features = Features({"user": Value("float64"), "seconds": Value("float64"), "item": Value("int64")})
data = {"": Dataset.from_pandas(frame, preserve_index=False), ", float64 in Features": Dataset.from_dict(frame.to_dict("list"), features=features)}
for told, dataset in data.items():
    for name in ("numpy", "torch", "pandas", "arrow", None):
        rows = dataset.with_format(name)[:]
        users, seconds, items = (np.asarray(rows[column]) for column in ("user", "seconds", "item"))
        kept = len(np.unique(users)), len(np.unique(seconds))
        print(f"format {name}{told}: users {users.dtype}, {kept[0]} of them left; {kept[1]} different times; items {items.dtype}")
        assert items.dtype == np.int64
        if name in ("numpy", "torch"):
            assert users.dtype == np.float32 and 100 < kept[0] < 150 and kept[1] < 300
        else:
            assert users.dtype == np.float64 and kept == (USERS, USERS)
whole = data[""].with_format("numpy", dtype="float64")[:]
print('with_format("numpy", dtype="float64"):', len(np.unique(whole["user"])), "users; items", whole["item"].dtype)
assert len(np.unique(whole["user"])) == USERS and whole["item"].dtype == np.float64
PYTHON_SCRIPT
echo "as written"
