#!/usr/bin/env bash
# river 0.26.1: `metrics.ROCAUC`, the AUC of a stream of clicks.
#
# Guess: it is an approximation, as its page says, within a few hundredths of the AUC.
# Seen:  scores are told apart by ten thresholds, 0, 0.11, 0.22 and so on: most click rates of one or two per cent lie between the first two. Of
#        5,000 rows with 2 % clicks, calibrated predictions and an AUC of 0.860 it says 0.617; halved predictions, the same order, have 0.532, a
#        tenth of them 0.500. The predictions of the same model as sampled negatives would leave them, 20 times the odds, have 0.848.
# So:    the better calibrated a model of rare clicks is, the nearer to chance it is measured, and one trained on sampled negatives, whose
#        predictions are too high, wins. n_thresholds=500 is right for the first only (0.860, and 0.832 for a tenth): pass ranks, or measure with
#        sklearn.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check river==0.26.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
from importlib.metadata import version

import numpy as np
from river import metrics
from sklearn.metrics import roc_auc_score

ROWS, RATE = 5000, 0.02


def measured(clicks, predictions, metric):
    for click, prediction in zip(clicks, predictions):
        metric.update(bool(click), float(prediction))
    return float(metric.get())


print("river", version("river"))
assert version("river") == "0.26.1"
random = np.random.default_rng(0)
clicks = random.random(ROWS) < RATE
odds = np.exp(random.normal(size=ROWS) + 1.5 * clicks)
rates = odds / odds.mean() * RATE  # the mean prediction is the rate of clicks
rates = np.minimum(rates, 0.9)
true = roc_auc_score(clicks, rates)
print(f"{ROWS} rows, {clicks.mean():.1%} clicks, predictions from {rates.min():.4f} to {rates.max():.2f}, mean {rates.mean():.3f}; AUC {true:.3f}")
found = {}
for name, scale in (("as they are", 1.0), ("halved", 0.5), ("a tenth", 0.1)):
    found[name] = measured(clicks, rates * scale, metrics.ROCAUC())
    found[name, 500] = measured(clicks, rates * scale, metrics.ROCAUC(n_thresholds=500))
    print(f"predictions {name}: ROCAUC {found[name]:.3f}, with 500 thresholds {found[name, 500]:.3f}")
    assert abs(roc_auc_score(clicks, rates * scale) - true) < 1e-9
sampled = measured(clicks, 20 * rates / (20 * rates + 1 - rates), metrics.ROCAUC())
ranked = measured(clicks, rates.argsort().argsort() / ROWS, metrics.ROCAUC())
print(f"with 20 times the odds: {sampled:.3f}; ranks in place of predictions: {ranked:.3f}")
assert abs(found["as they are"] - 0.617) < 0.01 and abs(found["halved"] - 0.532) < 0.01 and abs(found["a tenth"] - 0.5) < 0.005
assert abs(found["as they are", 500] - true) < 0.01 and found["a tenth", 500] < true - 0.02
assert sampled > 0.8 and ranked > 0.8
PYTHON_SCRIPT
echo "as written"
