#!/usr/bin/env bash
# polars 2.1.0: a split by `pl.col("user").hash(seed=0) % 10 == 0`, so that a user stays on one side on every day.
#
# Guess: the hash is of the user's name, whether the column is a String, a Categorical or an Enum, and does not depend on who else is there.
# Seen:  String and Categorical have hashes of their own, the same on both days, and an Enum has the hash of the name's number in its list. After one new
#        name at the head of the sorted list, 9 % of the tested users of the day before are still tested, as by chance: 91 % go to training, and 91 %
#        of the tested were trained on. String and Categorical of one day share 10 % too, and so do whole numbers and the same as floats.
# So:    a table that comes with an Enum in place of text, a list that gains a user or ids read as floats leak the test part, in the right sizes. Cast to
#        one type, String or Int64, before hashing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0
POLARS_MAX_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import polars as pl

print("polars", pl.__version__)
assert pl.__version__ == "2.1.0"
first = [f"user{number:05}" for number in range(10_000)]
second = ["user", *first]  # sorted, with one new name


def tested(names, column):
    side = pl.DataFrame({"name": names, "user": column}).filter(pl.col("user").hash(seed=0) % 10 == 0)
    return set(side["name"]) - {"user"}


kinds = {
    "String": lambda names: pl.Series(names),
    "Categorical": lambda names: pl.Series(names, dtype=pl.Categorical),
    "Enum": lambda names: pl.Series(names, dtype=pl.Enum(names)),
}
days = {kind: (tested(first, make(first)), tested(second, make(second))) for kind, make in kinds.items()}
for kind, (one, two) in days.items():
    kept = len(one & two) / len(one)
    with_text = len(one & days["String"][0]) / len(one)
    print(f"{kind}: {len(one)} and {len(two)} users tested, {kept:.0%} of the first day's on the second too; {with_text:.0%} of those of the text")
    assert 900 < len(one) < 1_100 and (kept == 1 if kind != "Enum" else kept < 0.2)
    assert with_text == 1 if kind == "String" else with_text < 0.2
whole = pl.Series(range(10_000))
sides = [tested(first, whole.cast(kind)) for kind in (pl.Int64, pl.Int32, pl.Float64)]
print(f"Int64 and Int32 share {len(sides[0] & sides[1]) / len(sides[0]):.0%} of the tested, Int64 and Float64 {len(sides[0] & sides[2]) / len(sides[0]):.0%}")
assert sides[0] == sides[1] and len(sides[0] & sides[2]) < 0.2 * len(sides[0])
PYTHON_SCRIPT
echo "as written"
