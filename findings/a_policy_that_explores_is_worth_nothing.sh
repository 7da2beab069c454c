#!/usr/bin/env bash
# obp 0.5.7 (Open Bandit Pipeline): `ReplayMethod`, the off-policy estimate of a policy's value from logged clicks.
#
# Guess: action_dist holds probabilities (they "can be deterministic"), so a policy that explores is estimated too, about as inverse propensity
#        scoring does it.
# Seen:  only rounds count in which the logged action has a probability of exactly 1. A policy that shows the best item with 0.95 is worth 0.58 and
#        is estimated at 0, with an interval from 0 to 0; so is the uniform one that wrote the log. Where a quarter of the users is not explored,
#        theirs is the value of all, 0.90 for 0.59, and a softmax in float32 has such users wherever the best item leads by 17 or more: 0.90 for
#        0.55, and 0 in float64.
# So:    a table of estimators shows a 0, or the value of the users of whom the model is surest, beside IPS and DR. Draw one action for each round,
#        or leave the row out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==2.4.6 scipy==1.17.1 pandas==3.0.1 scikit-learn==1.9.1 matplotlib==3.11.2 seaborn==0.13.2 tqdm==4.70.1 pyyaml==6.0.4
"${pip[@]}" --no-deps obp==0.5.7 pyieoe==0.1.1  # obp's own list asks for a torch without a wheel for this Python
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from obp.ope import InverseProbabilityWeighting, ReplayMethod

ROUNDS, ACTIONS = 40_000, 5

print("obp", version("obp"), f"{ROUNDS:,} rounds of a uniform policy, {ACTIONS} items")
assert version("obp") == "0.5.7"
random = np.random.default_rng(0)
every = np.arange(ROUNDS)
easy = random.random(ROUNDS) < 0.25  # a quarter of the users has an item that they nearly always take
chance = random.uniform(0.2, 0.4, (ROUNDS, ACTIONS))
best = random.integers(0, ACTIONS, ROUNDS)
chance[every, best] = np.where(easy, 0.9, 0.5)
action = random.integers(0, ACTIONS, ROUNDS)
log = {"reward": (random.random(ROUNDS) < chance[every, action]).astype(float), "action": action, "pscore": np.full(ROUNDS, 1 / ACTIONS)}


def shown(probability):
    """A policy that shows the best item so often, and the others alike: (rounds, actions, 1)."""
    policy = np.tile((1 - probability)[:, None] / (ACTIONS - 1), (1, ACTIONS))
    policy[every, best] = probability
    return policy[:, :, None]


def softmax(kind):
    scores = np.zeros((ROUNDS, ACTIONS), dtype=kind)
    scores[every, best] = np.where(easy, 20, 2)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True))[:, :, None]


policies = {
    "greedy": shown(np.ones(ROUNDS)),
    "best item with 0.95": shown(np.full(ROUNDS, 0.95)),
    "uniform": shown(np.full(ROUNDS, 1 / ACTIONS)),
    "0.95, 1 for a quarter": shown(np.where(easy, 1.0, 0.95)),
    "softmax in float32": softmax(np.float32),
    "softmax in float64": softmax(np.float64),
}
seen = {}
for name, policy in policies.items():
    true = float((chance * policy[:, :, 0]).sum(axis=1).mean())
    replay, weighted = (float(kind().estimate_policy_value(action_dist=policy, **log)) for kind in (ReplayMethod, InverseProbabilityWeighting))
    interval = ReplayMethod().estimate_interval(action_dist=policy, random_state=0, **log)
    ends = float(interval["95.0% CI (lower)"]), float(interval["95.0% CI (upper)"])
    seen[name] = replay
    print(f"{name}: worth {true:.2f}, replay {replay:.2f} (from {ends[0]:.2f} to {ends[1]:.2f}), inverse propensities {weighted:.2f}")
    assert abs(weighted - true) < 0.02
    if replay == 0:
        assert ends == (0, 0)
assert abs(seen["greedy"] - 0.6) < 0.02
assert seen["best item with 0.95"] == seen["uniform"] == seen["softmax in float64"] == 0
assert seen["0.95, 1 for a quarter"] == seen["softmax in float32"] and abs(seen["softmax in float32"] - 0.9) < 0.02
PYTHON_SCRIPT
echo "as written"
