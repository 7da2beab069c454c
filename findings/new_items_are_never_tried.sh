#!/usr/bin/env bash
# mabwiser 2.7.4: `LearningPolicy.UCB1` and items that are new, with `add_arm` or among the arms from the start.
#
# Guess: an item that was never shown comes first, as in UCB1 each arm is played once: that is what its bonus is for.
# Seen:  it has an expectation of 0 without a bonus until the log has a row of it, and all others are above 0: in 2,000 rounds it is never shown,
#        though half of all users would click, five times as many as for the best old item, with alpha 10 too. After one row of it, without a
#        click, it is shown in each round. EpsilonGreedy and ThompsonSampling find it.
# So:    in a simulation UCB1 explores only what the log has, and loses to all others where items are added. Log each new item once by hand.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mabwiser==2.7.4 numpy==2.4.6 pandas==2.3.3 scipy==1.17.1 scikit-learn==1.9.1
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from mabwiser.mab import MAB, LearningPolicy

ROUNDS = 2000
RATES = {"old": 0.10, "older": 0.05, "new": 0.50}

print("mabwiser", version("mabwiser"), f"click rates {RATES}, {ROUNDS} rounds")
assert version("mabwiser") == "2.7.4"
policies = {
    "UCB1": LearningPolicy.UCB1(alpha=1.25),
    "UCB1, alpha 10": LearningPolicy.UCB1(alpha=10.0),
    "ThompsonSampling": LearningPolicy.ThompsonSampling(),
    "EpsilonGreedy": LearningPolicy.EpsilonGreedy(epsilon=0.1),
}


def rounds(policy, declared, first=()):
    """How often each item is shown; the new one is added later, or among the arms from the start."""
    random = np.random.default_rng(0)
    model = MAB(arms=["old", "older"] + ["new"] * declared, learning_policy=policy, seed=1)
    log = ["old"] * 100 + ["older"] * 100
    model.fit(log, [int(random.random() < RATES[arm]) for arm in log])
    if not declared:
        model.add_arm("new")
    before = {arm: round(float(value), 3) for arm, value in model.predict_expectations().items()}
    for reward in first:
        model.partial_fit(["new"], [reward])
    shown = dict.fromkeys(RATES, 0)
    for _ in range(ROUNDS):
        arm = model.predict()
        shown[arm] += 1
        model.partial_fit([arm], [int(random.random() < RATES[arm])])
    return before, shown


for name, policy in policies.items():
    for declared in (False, True):
        before, shown = rounds(policy, declared)
        print(f"{name}, {'among the arms from the start' if declared else 'added later'}: expectations {before}, shown {shown}")
        if name.startswith("UCB1"):
            assert before["new"] == 0 and shown["new"] == 0
        else:
            assert shown["new"] > 1000
_, shown = rounds(policies["UCB1"], False, first=(0,))
print("UCB1 after one row of the new item, without a click: shown", shown)
assert shown["new"] > 1500
PYTHON_SCRIPT
echo "as written"
