#!/usr/bin/env bash
# ranx 0.3.21: `fuse` of the candidate lists of several recommenders, with min-max, its default normalization, and with "zmuv".
#
# Guess: an item that a source proposes is above one that no source proposes, and what two sources propose gains by it.
# Seen:  min-max gives the last item of each list 0, as much as what is not in it, and 0 to a whole list of equal scores or of one item: a source
#        that says "bought by friends" (1 for each) changes nothing, a user's single sure candidate is last. With "zmuv" an item's score is below 0 in
#        the lower half of a list, and one that is missing there has 0: what both sources propose falls behind what one does. "rank", and the
#        method "rrf", do neither.
# So:    a rule or a source of a few items looks useless in the tables of a hybrid, and tuned weights of it go anywhere. Use ranks for such sources.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ranx==0.3.21 numpy==2.4.6 numba==0.68.1
cd "$work"
NUMBA_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

from ranx import Run, fuse

print("ranx", version("ranx"))
assert version("ranx") == "0.3.21"
model = Run({"user": {"a": 9.0, "b": 8.0, "c": 7.0, "d": 2.0, "e": 1.0}}, name="model")
sources = {
    "bought by friends": Run({"user": {"x": 1.0, "y": 1.0, "d": 1.0}}, name="friends"),
    "one sure item": Run({"user": {"x": 50.0}}, name="rule"),
    "a second model": Run({"user": {"x": 0.9, "y": 0.8, "z": 0.7, "b": 0.3, "d": 0.2}}, name="second"),
}
fused = {}
for source, run in sources.items():
    for norm, method in (("min-max", "sum"), ("zmuv", "sum"), ("rank", "sum"), (None, "rrf")):
        scores = dict(fuse(runs=[model, run], norm=norm, method=method)["user"])
        fused[source, norm or method] = {item: round(float(score), 3) for item, score in scores.items()}
        print(f"{source}, {norm or method}: {fused[source, norm or method]}")
friends, rule, second = (fused[source, "min-max"] for source in sources)
assert friends == {"a": 1.0, "b": 0.875, "c": 0.75, "d": 0.125, "e": 0.0, "x": 0.0, "y": 0.0}  # the model's own, min-max
assert rule["x"] == rule["e"] == min(rule.values()) == 0
both = fused["a second model", "zmuv"]
assert both["b"] < 0 < both["z"] < both["c"] < both["y"] and min(both, key=both.get) == "d"
assert second["b"] == max(second.values()) and second["d"] == friends["d"]
for source in sources:
    for kind in ("rank", "rrf"):
        scores = fused[source, kind]
        assert scores["x"] >= scores["a"] - 0.001 and scores["d"] >= fused["one sure item", kind]["d"] - 0.001
assert max(fused["bought by friends", "rrf"], key=fused["bought by friends", "rrf"].get) == "d"
PYTHON_SCRIPT
echo "as written"
