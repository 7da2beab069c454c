#!/usr/bin/env bash
# MovieLens-100K, as recbole 1.2.1 ships it (943 users, 1,682 items, 100,000 ratings): the last rating of a user.
#
# Guess: times are in seconds, so "the last rating of a user" is one rating, but for 15 % of the users at most.
# Seen:  for 415 of 943 users (44 %) several ratings share the user's last second, up to ten of them; 76 % of all ratings share their
#        second with another of the same user: the site showed lists and took a page of ratings at once.
# So:    leave-one-out by time (RecBole's LS with order TO, RecTools' and RePlay's LastN) is decided by the order of rows for these users.
#        Two orders of the same file hold out another item for all 415, and the popularity ranking's hit@10 is another number.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==2.3.3
# The data alone: RecBole itself is not imported, nor what it needs.
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps recbole==1.2.1
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import distribution

import pandas as pd

K = 10
path = distribution("recbole").locate_file("recbole/dataset_example/ml-100k/ml-100k.inter")
ratings = pd.read_csv(path, sep="\t", names=["user", "item", "rating", "time"], header=0)
in_last_second = ratings[ratings.time == ratings.groupby("user").time.transform("max")].groupby("user").size()
shared = ratings.duplicated(["user", "time"], keep=False).mean()


def last_items(frame):
    return frame.sort_values(["user", "time"], kind="stable").groupby("user").item.last()


def popularity_hit(held_out):
    """Return hit@K of the most popular items that a user has not; ties by number, so that only the split decides."""
    pairs = set(held_out.items())
    train = ratings[[pair not in pairs for pair in zip(ratings.user, ratings.item, strict=True)]]
    counts = train.groupby("item").size().sort_index()
    order = counts.sort_values(ascending=False, kind="stable").index
    seen = train.groupby("user").item.agg(set)
    hits = 0
    for user, item in held_out.items():
        top = [one for one in order[: K + len(seen[user])] if one not in seen[user]][:K]
        hits += item in top
    return hits


as_they_stand, turned = last_items(ratings), last_items(ratings.iloc[::-1])
several = int((in_last_second > 1).sum())
other = int((as_they_stand != turned).sum())
hits = popularity_hit(as_they_stand), popularity_hit(turned)
print("recbole", distribution("recbole").version, "and", len(ratings), "ratings of", len(in_last_second), "users")
print(f"several ratings in the last second: {several} users ({several / len(in_last_second):.1%}), at most {in_last_second.max()}")
print(f"ratings that share user and second: {shared:.1%}")
print(f"rows in file order, and turned round: {other} users have another last item; hit@{K} of popularity: {hits[0]} and {hits[1]} users")

assert (len(ratings), len(in_last_second)) == (100_000, 943)
assert (several, other, in_last_second.max(), round(shared, 3)) == (415, 415, 10, 0.758)
assert hits[0] != hits[1]
PYTHON_SCRIPT
echo "as written"
