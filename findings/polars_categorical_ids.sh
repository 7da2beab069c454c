#!/usr/bin/env bash
# polars 1.44.2: numbers of Categorical columns as ids of users and items.
#
# Guess: to_physical() of a Categorical column gives 0 to n - 1, as pandas' codes do.
# Seen:  all Categorical columns of a process share one numbering. In a frame of users and items, items begin where users end; a second
#        frame goes on after the first, if the first is still held, and begins at 0 if it is not.
# So:    an embedding table with n_unique rows is indexed beyond its end, and a sparse matrix whose shape is taken from the ids has
#        n_users + n_items columns, most of them empty, without an error. Named categories (pl.Categories) or a dense rank begin at 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check polars==1.44.2
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import polars as pl

ratings = pl.DataFrame({"user": ["u1", "u2", "u3", "u1"], "item": ["i1", "i2", "i1", "i3"]})


def numbers(frame):
    return {name: column.to_list() for name, column in frame.select(pl.all().to_physical()).to_dict().items()}


held = ratings.with_columns(pl.all().cast(pl.Categorical))
first = numbers(held)
unseen = pl.DataFrame({"item": ["i9", "i3"]})
later = numbers(unseen.with_columns(pl.all().cast(pl.Categorical)))
del held
released = numbers(unseen.with_columns(pl.all().cast(pl.Categorical)))
named = {name: pl.Categorical(pl.Categories(name)) for name in ratings.columns}
apart = numbers(ratings.with_columns(pl.col(name).cast(kind) for name, kind in named.items()))
ranked = ratings.select(pl.all().rank("dense") - 1).to_dict(as_series=False)

print("polars", pl.__version__)
print("Categorical      ", first)
print("a later frame    ", later)
print("the same, when the first is released", released)
print("named categories ", apart)
print("dense rank       ", ranked)

assert pl.__version__ == "1.44.2"
assert first == {"user": [0, 1, 2, 0], "item": [3, 4, 3, 5]}, "items no longer begin where users end"
assert later == {"item": [6, 5]}, "a later frame no longer goes on after the first"
assert released == {"item": [0, 1]}, "released categories are no longer numbered anew"
assert apart == ranked == {"user": [0, 1, 2, 0], "item": [0, 1, 0, 2]}
PYTHON_SCRIPT
echo "as written"
