#!/usr/bin/env bash
# pytrec_eval 0.5.11 (package pytrec-eval-terrier): lists by scores that differ in the tenth digit.
#
# Guess: scores are Python floats, so the item with the larger score stands first, however small the difference.
# Seen:  scores become float32, and what is equal then is ordered by id, the last in the alphabet first. The best of three items, ahead by
#        1e-8 at a score of 1, stands third if it is called a; 0.5000000001 stands behind 0.5, and swapping the two names swaps the result.
# So:    softmax probabilities, sums of many terms or scores near each other after many layers are evaluated in an order that the
#        model did not give, better for items whose ids are late in the alphabet. Hand over ranks (minus the place) instead of scores.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytrec-eval-terrier==0.5.11 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import pytrec_eval


def place(scores, wanted):
    """Place of an item in the list that the library makes of these scores."""
    measured = pytrec_eval.RelevanceEvaluator({"user": {wanted: 1}}, {"recip_rank"}).evaluate({"user": scores})
    found = round(1 / measured["user"]["recip_rank"])
    print(f"{scores}: {wanted} has place {found}, by score {sorted(scores, key=scores.get, reverse=True).index(wanted) + 1}")
    return found


print("pytrec-eval-terrier", version("pytrec-eval-terrier"))
assert version("pytrec-eval-terrier") == "0.5.11"
assert place({"a": 1 + 2e-8, "b": 1 + 1e-8, "c": 1.0}, "a") == 3
assert place({"a": 0.5000000001, "b": 0.5}, "a") == 2
assert place({"b": 0.5000000001, "a": 0.5}, "b") == 1
assert place({"a": 0.50001, "b": 0.5}, "a") == 1
assert place({"a": -1.0, "b": -2.0, "c": -3.0}, "a") == 1  # minus the place
PYTHON_SCRIPT
echo "as written"
