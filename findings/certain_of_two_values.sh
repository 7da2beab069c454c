#!/usr/bin/env bash
# scipy 1.17.1: ks_2samp with method="asymp", of samples as small as a user's ratings in a test part.
#
# Guess: the asymptotic p of two values beside two others is rough, but no more certain than four values can be: 0.27 by Kolmogorov's limit, Q(1), where
#        the exact test has 1/3. It cannot reject at 0.05, as no test of so few values can.
# Seen:  p is 0 as soon as the samples do not overlap, whatever their size: 0 for two beside two (exact 0.33), three beside three (exact 0.10) and four beside
#        four (exact 0.03), and NaN, with a warning of a division, for one beside one. Of 20,000 users whose predicted and actual values are of one law a
#        third is rejected at the level of 0.001 with two values each, a tenth with three. "Asymptotic" is the exact law of one sample of nm / (n + m) values,
#        rounded, against a known distribution, of which D is 1 with probability 0.
# So:    a test for each user, "asymp" for its speed, counts users of few ratings as apart from the model. The exact law of equal sizes is a short sum,
#        2 sum (-1)^(i + 1) C(2n, n - ik) / C(2n, n).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 scipy==1.17.1
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import math
import warnings

import numpy as np
import scipy
from scipy.stats import ks_2samp, kstwobign

print("scipy", scipy.__version__)
assert scipy.__version__ == "1.17.1"
for n in (2, 3, 4):
    low, high = np.arange(n) / 10, 5 + np.arange(n) / 10  # wholly apart
    found = {method: float(ks_2samp(low, high, method=method).pvalue) for method in ("asymp", "exact")}
    limit = float(kstwobign.sf(math.sqrt(n / 2)))
    print(f"{n} values beside {n}: asymp {found['asymp']:.4f}, exact {found['exact']:.4f}, Kolmogorov's limit {limit:.4f}")
    assert found["asymp"] == 0
    assert abs(found["exact"] - 2 / math.comb(2 * n, n)) < 1e-12
    assert limit > 0.03
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    one = float(ks_2samp([1.0], [1.0], method="asymp").pvalue)
print(f"1 value beside 1, the same: asymp {one}, exact {float(ks_2samp([1.0], [1.0], method='exact').pvalue)}")
assert math.isnan(one)
draw = np.random.default_rng(0)
for n, share in ((2, 1 / 3), (3, 1 / 10)):
    values = draw.random((20_000, 2, n))  # 20,000 users, predicted and actual values of one law
    # scipy's own test has no call for many users of their own: p as it has it where the samples do not overlap, and a few hundred by the test itself.
    apart = (values[:, 0].max(1) < values[:, 1].min(1)) | (values[:, 1].max(1) < values[:, 0].min(1))
    p = np.array([ks_2samp(predicted, actual, method="asymp").pvalue for predicted, actual in values[:600]])
    assert ((p < 0.001) == apart[:600]).all()
    print(f"one law, {n} values each: {apart.mean():.3f} of the users have p < 0.001 (600 of them by the test: {(p < 0.001).mean():.3f})")
    assert abs(apart.mean() - share) < 0.01
PYTHON_SCRIPT
echo "as written"
