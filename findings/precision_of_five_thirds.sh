#!/usr/bin/env bash
# RecTools 0.19.0: metrics where a held-out item was used more than once, as in any log of plays, clicks or orders.
#
# Guess: an item is relevant or not, so a hit counts once; a precision, a recall or an NDCG is at most 1.
# Seen:  a hit counts as often as the pair stands in the held-out rows. A user who played one song five times and two others once gives a
#        list with the one song Precision@3 of 1.67 and NDCG@3 of 2.35, and the list with the other two 0.67 and 0.77: the worse list by
#        distinct items wins. Recall divides by rows too (5 of 7 where it is 1 of 3), MAP passes 1, HitRate and MRR do not move. No warning.
# So:    on logs with repetition numbers above 1 are the lucky case, since they are noticed; mostly they are just too high, and they favour
#        models that bring back what is repeated. Drop duplicates of user and item from the held-out rows first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rectools==0.19.0 scipy==1.17.1 pandas==2.3.3
"$work/venv/bin/python" -W ignore::FutureWarning - <<'PYTHON_SCRIPT'
from importlib.metadata import version
from math import log2

import pandas as pd
from rectools import Columns
from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

PLAYS = ["a"] * 5 + ["b", "c"]
LISTS = {"the song played five times": ["a", "x", "y"], "the two others": ["b", "c", "x"], "all three": ["a", "b", "c"]}
METRICS = {kind.__name__: kind for kind in (Precision, Recall, NDCG, MAP, HitRate, MRR)}


def measured(listed, plays):
    """Each metric at 3 of one user's list."""
    lists = pd.DataFrame({Columns.User: "u", Columns.Item: listed, Columns.Rank: [1, 2, 3]})
    held_out = pd.DataFrame({Columns.User: "u", Columns.Item: plays})
    chosen = {name: kind(k=3) for name, kind in METRICS.items()}
    return {name: round(float(value), 4) for name, value in calc_metrics(chosen, lists, interactions=held_out).items()}


def by_hand(listed, plays):
    """Precision, recall and NDCG at 3 where a hit counts once a row of `plays`."""
    hits = [plays.count(item) for item in listed]
    gains, best = (sum(hit / log2(place + 2) for place, hit in enumerate(row)) for row in (hits, [1, 1, 1]))
    return {"Precision": sum(hits) / 3, "Recall": sum(hits) / len(plays), "NDCG": gains / best}


print("RecTools", version("rectools"))
assert version("rectools") == "0.19.0"
seen = {}
for name, listed in LISTS.items():
    rows, pairs = measured(listed, PLAYS), measured(listed, sorted(set(PLAYS)))
    seen[name] = rows, pairs
    print(f"{name}: {' '.join(listed)}\n  rows as played {rows}\n  each pair once {pairs}")
    for found, plays in ((rows, PLAYS), (pairs, sorted(set(PLAYS)))):
        assert all(abs(found[metric] - value) < 1e-4 for metric, value in by_hand(listed, plays).items())
    assert all(rows[metric] == pairs[metric] for metric in ("HitRate", "MRR"))
one, two = seen["the song played five times"], seen["the two others"]
assert one[0]["Precision"] == 1.6667 and one[0]["NDCG"] > 2
assert one[0]["Precision"] > two[0]["Precision"] and one[1]["Precision"] < two[1]["Precision"]
assert one[0]["NDCG"] > two[0]["NDCG"] and one[1]["NDCG"] < two[1]["NDCG"]
assert seen["all three"][0]["MAP"] > 1
PYTHON_SCRIPT
echo "as written"
