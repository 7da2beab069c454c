#!/usr/bin/env bash
# pingouin 0.7.0: `ttest(second, first, paired=True)`, of which papers report cohen_d and power.
#
# Guess: both belong to the test beside them: d is of the differences, and power is the chance of this test to find a gain of this size.
# Seen:  d divides by the spread of the users, as if they were others in each group, and power takes that d for one of differences. A gain of 0.003
#        that T = 2.90 and p = 0.004 tell from 0 has a d of 0.014 and a power of 0.054, and 98 % of new draws of the noise are significant. The
#        same test as ttest(second - first, 0) has d 0.205 and power 0.823.
# So:    users differ far more than models, so a table of pairs says "no power" of what is found each time, and the number of users for a power of
#        0.8 by that d is 40,277 where it is 188. Test the differences against 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pingouin==0.7.0 numpy==2.4.6 scipy==1.17.1 pandas==2.3.3 statsmodels==0.15.0
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
import pingouin

USERS, GAIN, NOISE = 200, 0.003, 0.01

print("pingouin", version("pingouin"), f"{USERS} users, both models measured on each")
assert version("pingouin") == "0.7.0"
random = np.random.default_rng(0)
first = 0.2 + 0.5 * random.random(USERS)  # users differ much more than models
second = first + GAIN + NOISE * random.standard_normal(USERS)
table = pingouin.ttest(second, first, paired=True).iloc[0]
gain = second - first
by_hand = float(gain.mean() / gain.std(ddof=1))
power = float(pingouin.power_ttest(d=by_hand, n=USERS, contrast="paired"))
print(f"paired t-test: T {table['T']:.2f}, p {table['p_val']:.4f}, cohen_d {table['cohen_d']:.4f}, power {table['power']:.3f}")
print(f"d of the differences {by_hand:.3f}, its power {power:.3f}")

alone = pingouin.ttest(gain, 0).iloc[0]
print(f"ttest(differences, 0): T {alone['T']:.2f}, cohen_d {alone['cohen_d']:.4f}, power {alone['power']:.3f}")
significant = 0
for _ in range(200):
    drawn = pingouin.ttest(first + GAIN + NOISE * random.standard_normal(USERS), first, paired=True).iloc[0]
    significant += float(drawn["p_val"]) < 0.05
print(f"new draws of the noise: {significant / 200:.3f} of them significant at 0.05")
needed = [float(pingouin.power_ttest(d=d, power=0.8, contrast="paired")) for d in (float(table["cohen_d"]), by_hand)]
print(f"users needed for a power of 0.8, by cohen_d {needed[0]:,.0f}, by the differences {needed[1]:,.0f}")
assert table["p_val"] < 0.01 and table["power"] < 0.06 and table["cohen_d"] < 0.03
assert abs(alone["T"] - table["T"]) < 1e-6 and alone["power"] > 0.8 and abs(alone["cohen_d"] - by_hand) < 1e-6
assert significant > 180
assert needed[0] > 100 * needed[1]
PYTHON_SCRIPT
echo "as written"
