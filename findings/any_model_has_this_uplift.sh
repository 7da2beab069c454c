#!/usr/bin/env bash
# scikit-uplift 0.5.1: `weighted_average_uplift`, one of its metrics of an uplift model, for what to recommend or whom to give a coupon.
#
# Guess: it tells models apart: users in the first tenths of the ranking count more, so the true effect has more than random scores, and those more
#        than the ranking upside down.
# Seen:  tenths are weighted by their number of treated users, which is the same whatever is in them, so the ranking cancels out: 0.193 for
#        all three, the average effect of the treatment. With one user in ten treated it is so too. `qini_auc_score` has 0.14, -0.01 and -0.14.
# So:    as an objective of a search, or as a column of a table, it ranks models by noise. Its table by tenths, `uplift_by_percentile`, and qini or
#        `uplift_at_k` see the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check scikit-uplift==0.5.1 scikit-learn==1.9.1 pandas==3.0.1 matplotlib==3.11.2 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from sklift.metrics import qini_auc_score, uplift_at_k, weighted_average_uplift

USERS = 10_000

print("scikit-uplift", version("scikit-uplift"), f"{USERS:,} users, the effect of a coupon is uniform between 0 and 0.4")
assert version("scikit-uplift") == "0.5.1"
random = np.random.default_rng(0)
effect = random.uniform(0, 0.4, USERS)
for share in (0.5, 0.1):
    treated = (random.random(USERS) < share).astype(int)
    bought = (random.random(USERS) < 0.2 + effect * treated).astype(int)
    average = bought[treated == 1].mean() - bought[treated == 0].mean()
    scores = {"the true effect": effect, "upside down": -effect, "random": random.random(USERS), "random again": random.random(USERS)}
    found = {}
    for name, given in scores.items():
        mean, area = weighted_average_uplift(bought, given, treated), qini_auc_score(bought, given, treated)
        first = uplift_at_k(bought, given, treated, strategy="overall", k=0.3)
        found[name] = mean, area, first
        print(f"{share:.0%} treated, {name}: weighted average uplift {mean:.3f}, qini {area:.3f}, uplift at 30 % {first:.3f}")
    means = [mean for mean, _, _ in found.values()]
    print(f"    the average effect {average:.3f}")
    assert max(abs(mean - average) for mean in means) < 0.01
    assert found["the true effect"][1] > 0.1 > abs(found["random"][1]) + 0.03 and found["upside down"][1] < -0.1
    assert found["the true effect"][2] > found["upside down"][2] + 0.15
PYTHON_SCRIPT
echo "as written"
