#!/usr/bin/env bash
# statsmodels 0.15.0: `multipletests` over the data sets of a comparison, on one of which both models have the same lists.
#
# Guess: the NaN that scipy's tests give for it stays NaN, and the others are what they are without it.
# Seen:  it counts as a comparison and is the largest: with 0.001, 0.01 and 0.03 Holm has two significant results in place of three (0.06 for
#        0.03). All adjusted values of Hochberg, Hommel, BH and BY are NaN. Hommel then rejects nothing, BH still rejects three, but
#        `adjusted <= 0.05` none.
# So:    the same table has 0, 2 or 3 significant data sets by method and by the column that is read, and no warning. Take NaN out first, or say
#        that no difference is p = 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==2.3.3
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from scipy.stats import ttest_rel, wilcoxon
from statsmodels.stats.multitest import multipletests

TOLD = [0.001, 0.010, 0.030]  # of three data sets
REJECTED = {"bonferroni": 2, "holm": 2, "simes-hochberg": 2, "hommel": 0, "fdr_bh": 3, "fdr_by": 2}  # of the three, with the NaN

print("statsmodels", version("statsmodels"), "scipy", version("scipy"))
assert version("statsmodels") == "0.15.0" and version("scipy") == "1.17.1"
metric = np.random.default_rng(0).random(50)
same = [float(test(metric, metric).pvalue) for test in (ttest_rel, wilcoxon)]
print("p of two models with the same lists, t-test and Wilcoxon:", same)
assert np.isnan(same).all()
for method, expected in REJECTED.items():
    rejected, adjusted, *_ = multipletests(TOLD, alpha=0.05, method=method)
    with_nan, adjusted_nan, *_ = multipletests([*TOLD, same[0]], alpha=0.05, method=method)
    with_one, adjusted_one, *_ = multipletests([*TOLD, 1.0], alpha=0.05, method=method)
    print(f"{method}: {int(rejected.sum())} significant {np.round(adjusted, 4)}; with the NaN {int(with_nan.sum())} {np.round(adjusted_nan, 4)}; "
          f"with 1 in its place {int(with_one.sum())} {np.round(adjusted_one, 4)}")
    assert int(with_nan.sum()) == expected
    if method in ("bonferroni", "holm"):  # four comparisons where three have a result
        assert np.allclose(adjusted_nan[:3], adjusted_one[:3])
    else:
        assert np.isnan(adjusted_nan).all()
rejected, adjusted, *_ = multipletests([*TOLD, np.nan], alpha=0.05, method="fdr_bh")
print("fdr_bh: by its list", int(rejected.sum()), "significant, by adjusted <= 0.05", int((adjusted <= 0.05).sum()))
assert int(rejected.sum()) == 3 and int((adjusted <= 0.05).sum()) == 0
PYTHON_SCRIPT
echo "as written"
