#!/usr/bin/env bash
# rank-bm25 0.2.2: `BM25Okapi` over the tags of items, for content based lists.
#
# Guess: the more items have a tag, the less it weighs: a tag of 60 % of the items less than one of 45 %.
# Seen:  what is in more than half of the items has a quarter of the average weight of all tags, in place of a weight below 0. Of "drama" (60 %),
#        "comedy" (45 %), "action" (30 %) and "noir" (5 %) drama weighs 0.22 and comedy 0.20; the more rare tags there are, the more it
#        weighs: with 200 tags of one item each 1.60, more than action's 0.85. A tag of exactly half of the items weighs 0, of 51 % and
#        of 99 % of them 1.6.
# So:    the query "drama, comedy" puts dramas without comedy before comedies, and a few items more with a tag lift its weight from 0 to 1.6.
#        `BM25Plus` has weights that fall, as Lucene's log(1 + ...) does.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rank-bm25==0.2.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

from rank_bm25 import BM25Okapi, BM25Plus

print("rank-bm25", version("rank-bm25"))
assert version("rank-bm25") == "0.2.2"
ITEMS, SHARES = 1000, {"drama": 60, "comedy": 45, "action": 30, "noir": 5}


def tags(rare=0, **shares):
    """Items whose tags are spread evenly: item i has a tag of share s where (i * 37 + place) % 100 < s; the first `rare` have one of their own."""
    return [
        [name for place, (name, share) in enumerate(shares.items()) if (item * 37 + 13 * place) % 100 < share] + ["only" + str(item)] * (item < rare)
        for item in range(ITEMS)
    ]


plain, many = tags(**SHARES), tags(rare=200, **SHARES)
for name, share in SHARES.items():
    assert sum(name in item for item in plain) == ITEMS * share // 100
weights = {label: {name: BM25Okapi(items).idf[name] for name in SHARES} for label, items in (("few tags", plain), ("200 rare tags", many))}
plus = {name: BM25Plus(plain).idf[name] for name in SHARES}
for label, found in (*weights.items(), ("BM25Plus", plus)):
    print(f"{label:14}", {f"{name} {SHARES[name]} %": round(weight, 2) for name, weight in found.items()})
assert weights["few tags"]["drama"] > weights["few tags"]["comedy"]
assert weights["200 rare tags"]["drama"] > weights["200 rare tags"]["action"] > weights["200 rare tags"]["comedy"]
assert list(plus.values()) == sorted(plus.values())

scores = BM25Okapi(plain).get_scores(["drama", "comedy"])
only = {
    name: [score for score, item in zip(scores, plain) if name in item and len({"drama", "comedy"} & set(item)) == 1]
    for name in ("drama", "comedy")
}
print(f"'drama, comedy': items with drama alone {min(only['drama']):.2f} or more, with comedy alone {max(only['comedy']):.2f} or less")
assert min(only["drama"]) > max(only["comedy"])
found = {share: BM25Okapi(tags(rare=200, drama=share, comedy=45)).idf["drama"] for share in (49, 50, 51, 99)}
print("weight of a tag by its share:", {f"{share} %": round(weight, 2) for share, weight in found.items()})
assert found[50] == 0 < found[49] < 0.1 and found[51] > 1 and found[99] > 1
PYTHON_SCRIPT
echo "as written"
