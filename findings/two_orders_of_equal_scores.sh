#!/usr/bin/env bash
# ir-measures 0.4.3: equal scores in one call.
#
# Guess: all measures of a call read one ranking, so that RR@10 is at most RR, and is 1 only where P@1 is.
# Seen:  RR@10 comes from another provider than RR, P, AP and nDCG, and orders equal scores by id the other way round: first in the alphabet
#        first, where the others have it last. Of four items with one score and "a" held out RR is 0.25, P@1 is 0, and RR@10 is 1. Over 50
#        users of a popularity model with whole counts RR is 0.38 and RR@10 0.56, which cannot be. Scores that differ by less than one part
#        in 16 million are equal for the others, not for RR@10.
# So:    in a table of nDCG@10 and RR@10 the two columns are of different lists wherever scores tie: counts, quantized or constant scores.
#        Two models can change places between them. Replace scores by ranks first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check ir-measures==0.4.3 pytrec-eval-terrier==0.5.11 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from ir_measures import AP, RR, P, calc_aggregate, nDCG

MEASURES = [RR @ 10, RR, P @ 1, AP, nDCG @ 10]
USERS, ITEMS = 50, 40


def measured(held_out, run):
    found = calc_aggregate(MEASURES, held_out, run)
    return {str(measure): round(float(found[measure]), 4) for measure in MEASURES}


def by_hand(held_out, run, first_in_alphabet, cut=None):
    """Mean reciprocal rank where equal scores stand in the order of ids, from either end."""
    found = []
    for user, scores in run.items():
        listed = sorted(scores, reverse=not first_in_alphabet)
        listed = sorted(listed, key=lambda item: -scores[item])[:cut]  # a stable sort
        places = [place for place, item in enumerate(listed, start=1) if held_out[user].get(item)]
        found.append(1 / places[0] if places else 0.0)
    return round(float(np.mean(found)), 4)


print("ir-measures", version("ir-measures"), "pytrec-eval-terrier", version("pytrec-eval-terrier"))
assert (version("ir-measures"), version("pytrec-eval-terrier")) == ("0.4.3", "0.5.11")
equal = {"u": dict.fromkeys("abcd", 1.0)}
for item in "ad":
    found = measured({"u": {item: 1}}, equal)
    print(f"four equal scores, {item} held out: {found}")
    assert (found["RR"], found["P@1"], found["RR@10"]) == ((0.25, 0.0, 1.0) if item == "a" else (1.0, 1.0, 0.25))

near = measured({"u": {"a": 1}}, {"u": {"a": 1 + 1e-8, "b": 1.0}})
print(f"a held out, with 1 + 1e-8, before b with 1: {near}")
assert (near["RR"], near["RR@10"]) == (0.5, 1.0)

random = np.random.default_rng(0)
names = [f"i{item:02}" for item in range(ITEMS)]
counts = dict(zip(names, np.sort(random.poisson(3, ITEMS))[::-1].astype(float)))
chance = 1 / np.arange(1, ITEMS + 1)
held_out = {f"u{user}": {names[item]: 1 for item in random.choice(ITEMS, 2, False, chance / chance.sum())} for user in range(USERS)}
run = {user: counts for user in held_out}
found = measured(held_out, run)
print(f"popularity, {len(set(counts.values()))} different counts of {ITEMS} items: {found}")
assert found["RR"] == by_hand(held_out, run, False) and found["RR@10"] == by_hand(held_out, run, True, cut=10)
assert found["RR@10"] > found["RR"]

ranked = {user: {item: -place for place, item in enumerate(sorted(scores, key=lambda item: -scores[item]))} for user, scores in run.items()}
found = measured(held_out, ranked)
print(f"ranks in place of counts: {found}")
assert found["RR@10"] <= found["RR"]
PYTHON_SCRIPT
echo "as written"
