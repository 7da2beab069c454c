#!/usr/bin/env bash
# deepsig 1.2.8: `bootstrap_test(scores_a, scores_b)`, in its own words an "implementation of paired bootstrap test", of two models' NDCG of the same users.
#
# Guess: users are drawn, each with both scores, so the spread between users cancels out and p is about that of a paired t-test.
# Seen:  scores of A and of B are drawn apart, so the pairs are lost: a mean gain of 0.01, which 82 % of 200 users share in, has a p of 0.37 where users have a
#        deviation of 0.30, as in a t-test of two groups of other users; the paired t-test has 3e-27 and its own `permutation_test` 0.001, the least it can.
#        B in another order gives about the same p. Of 40 experiments with a true gain of half a deviation it finds 0, the others all.
# So:    "not significant by a paired bootstrap" says that users differ. Draw the differences: `scipy.stats.bootstrap((a - b,), np.mean)`, or take the permutation test.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check deepsig==1.2.8 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 joblib==1.6.0
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from deepsig import bootstrap_test, permutation_test
from scipy import stats

print("deepsig", version("deepsig"))
assert version("deepsig") == "1.2.8"
assert "paired bootstrap test" in bootstrap_test.__doc__

USERS = 200


def paired(gains, draws, seed):
    """The same test with users drawn: how often the mean gain of as many users reaches twice what was seen."""
    drawn = np.random.default_rng(seed).choice(gains, (draws, len(gains)))
    return float((drawn.mean(axis=1) >= 2 * gains.mean()).mean())


def all_tests(a, b, seed=0, draws=1_000):
    return {
        "deepsig's bootstrap": bootstrap_test(a, b, num_samples=draws, seed=seed),
        "deepsig's permutation": permutation_test(a, b, num_samples=draws, seed=seed),
        "users drawn": paired(a - b, draws, seed),
        "paired t-test": float(stats.ttest_rel(a, b, alternative="greater").pvalue),
        "t-test of two groups": float(stats.ttest_ind(a, b, alternative="greater").pvalue),
    }


rng = np.random.default_rng(0)
b = rng.random(USERS)
a = b + 0.01 + 0.01 * rng.normal(size=USERS)
found = all_tests(a, b)
print(f"deviation of users {b.std():.2f}, {(a > b).mean():.0%} of them gain:", {name: float(f"{p:.2g}") for name, p in found.items()})
shuffled = bootstrap_test(a, rng.permutation(b), seed=0)
print(f"B in another order of users: {shuffled:.2f}")
assert 0.3 < found["deepsig's bootstrap"] < 0.45 and 0.3 < shuffled < 0.45
assert abs(found["deepsig's bootstrap"] - found["t-test of two groups"]) < 0.06
assert found["deepsig's permutation"] < 0.0011 and found["users drawn"] == 0 and found["paired t-test"] < 1e-20

experiments = []
for number in range(40):
    b = rng.random(USERS)
    a = b + 0.01 + 0.02 * rng.normal(size=USERS)
    experiments.append({name: p < 0.05 for name, p in all_tests(a, b, seed=1_000 * number, draws=200).items()})
power = {name: float(np.mean([one[name] for one in experiments])) for name in found}
print("a gain of half a deviation is found in", power)
assert power["deepsig's bootstrap"] < 0.1 and min(power[name] for name in ("deepsig's permutation", "users drawn", "paired t-test")) > 0.95
PYTHON_SCRIPT
echo "as written"
