#!/usr/bin/env bash
# datasets 5.2.0: `log.map(draw_negative)` at the start of each epoch, where `draw_negative` draws from
# numpy's global generator.
#
# Guess: the function runs each time, so each epoch has negatives of its own, and another seed has others.
# Seen:  for a log read from a file the result is kept under the function's source, not under the generator's
#        state: all epochs have the negatives of the first, 1,000 of 1,000 rows, and so has the next process,
#        with another seed, which draws none. For the same log made in memory (`Dataset.from_dict`) each epoch
#        and seed has others. A `default_rng` that the function refers to is part of the key, and
#        `load_from_cache_file=False` ends it.
# So:    sampled negatives are a fixed set, five seeds are one, and a test on a small table in memory shows
#        neither.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" datasets==5.2.0 numpy==2.4.6 pandas==3.0.1 pyarrow==26.0.1
cat > "$work/draw.py" <<'PYTHON_SCRIPT'
import json
import sys

import numpy as np
from datasets import Dataset, disable_progress_bars, load_dataset

disable_progress_bars()
folder, seed, source, way = sys.argv[1:]
ITEMS = 500
generator = np.random.default_rng(int(seed))
np.random.seed(int(seed))
if source == "file":
    log = load_dataset("csv", data_files=f"{folder}/log.csv", split="train", cache_dir=f"{folder}/{way}")
else:
    log = Dataset.from_dict({"user": [row // 10 for row in range(1000)]})


def from_global(row):
    return {"negative": int(np.random.randint(ITEMS))}


def from_own(row):
    return {"negative": int(generator.integers(ITEMS))}


draw = {"global": from_global, "own": from_own, "again": from_global}[way]
cached = False if way == "again" else None
print(json.dumps([log.map(draw, load_from_cache_file=cached)["negative"][:] for _ in range(3)]))
PYTHON_SCRIPT
export HF_HOME="$work/home" HF_DATASETS_OFFLINE=1 HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
"$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import json
import subprocess
import sys
from importlib.metadata import version

print("datasets", version("datasets"))
assert version("datasets") == "5.2.0"
folder = sys.argv[1]
with open(f"{folder}/log.csv", "w") as file:
    file.write("user,item\n" + "".join(f"{row // 10},{row * 7 % 500}\n" for row in range(1000)))


def drawn(seed, source, way):
    command = [sys.executable, "-W", "ignore", f"{folder}/draw.py", folder, str(seed), source, way]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def equal(first, second):
    return sum(a == b for a, b in zip(first, second))


seen = {}
for source, way in (("file", "global"), ("memory", "global"), ("file", "own"), ("file", "again")):
    zero, one = (drawn(seed, source, way) for seed in (0, 1))
    seen[source, way] = equal(zero[0], zero[1]), equal(zero[0], zero[2]), equal(zero[0], one[0])
    second, third, other = seen[source, way]
    print(
        f"log in {source}, generator {way}: of 1,000 negatives {second} and {third} are those of epoch 0 "
        f"in epochs 1 and 2, {other} those of seed 0 with seed 1"
    )
assert seen["file", "global"] == (1000, 1000, 1000)
assert all(max(counts) < 30 for key, counts in seen.items() if key != ("file", "global"))
PYTHON_SCRIPT
echo "as written"
