#!/usr/bin/env bash
# baycomp 1.0.3: `two_on_multiple(x, y)`, the Bayesian signed-rank test of two models on several data sets, some of them with equal results.
#
# Guess: a model is as likely to be better as worse than itself, and one gain on 12 data sets, the other 11 equal, says little: 0.75 perhaps.
# Seen:  the gain says all: the probability is 1.000, for 0.02 as for a millionth, on 5, 12 or 30 data sets, since equal ones are split in two halves that
#        cannot weigh against it. Two gains and one loss have 0.75. A model is better than itself with 0.28 and worse with 0.72. SignTest has 1.000 on
#        12 data sets and NaN on 30, and the p value of scipy's Wilcoxon test is 1.
# So:    with scores rounded to four digits, or an option that does nothing on most data sets, one of them decides, and it looks like certainty. Give a rope
#        (0.001): the same gain is 0.02 likely to matter.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check baycomp==1.0.3 numpy==1.26.4 scipy==1.15.3 matplotlib==3.10.8
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from baycomp import SignTest, two_on_multiple
from scipy.stats import wilcoxon

print("baycomp", version("baycomp"))
assert version("baycomp") == "1.0.3"


def better(sets, gains, losses, by=0.02, rope=0.0):
    """The probability that the second model is better, where it gains on some sets, loses on others and is equal on the rest."""
    first = np.random.default_rng(0).uniform(0.1, 0.5, sets)
    second = first.copy()
    second[:gains] += by
    second[gains : gains + losses] -= by
    sign = SignTest.probs(first, second)[-1] if not rope else float("nan")
    return float(two_on_multiple(first, second, rope=rope, random_state=1)[-1]), float(sign), first, second


found = {}
for sets, gains, losses, by in ((5, 1, 0, 0.02), (12, 1, 0, 0.02), (12, 1, 0, 1e-6), (30, 1, 0, 0.02), (12, 2, 1, 0.02), (12, 0, 0, 0)):
    signed, sign, first, second = better(sets, gains, losses, by)
    found[sets, gains, losses, by] = signed, sign
    print(f"{sets} sets, {gains} gains and {losses} losses of {by}: P(better) {signed:.3f}, by SignTest {sign:.3f}")
with_rope = better(12, 1, 0, rope=0.001)[0]
_, _, first, second = better(12, 1, 0)
p = wilcoxon(second, first).pvalue
print(f"12 sets and 1 gain with rope=0.001: {with_rope:.3f}; wilcoxon p {p:.2f}")
assert found[5, 1, 0, 0.02][0] == found[12, 1, 0, 0.02][0] == found[12, 1, 0, 1e-6][0] == found[30, 1, 0, 0.02][0] == 1
assert 0.7 < found[12, 2, 1, 0.02][0] < 0.85
assert 0.2 < found[12, 0, 0, 0][0] < 0.35
assert found[12, 1, 0, 0.02][1] > 0.999 and np.isnan(found[30, 1, 0, 0.02][1])
assert with_rope < 0.1 and p > 0.3
PYTHON_SCRIPT
echo "as written"
