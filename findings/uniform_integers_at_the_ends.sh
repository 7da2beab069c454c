#!/usr/bin/env bash
# hyperopt 0.3.0: `hp.uniformint`, and `hp.qloguniform` for sizes.
#
# Guess: uniformint("layers", 1, 4) draws 1, 2, 3 and 4 alike, as its name says and as randint does; a quantized draw stays between its bounds.
# Seen:  uniformint rounds a uniform number between 1 and 4, so that each end comes half as often as what is between: 1/6, 1/3, 1/3, 1/6;
#        of 1, 2, 3 half of all trials are 2. qloguniform from 1 to 100 in steps of 10, a batch or an embedding size, is 0 in a third of all
#        draws, below its lower bound; quniform from 1 to 10 in steps of 3 is 0 too.
# So:    a random search looks at the smallest and the largest value of a range half as often as at those between, and a best value "in the
#        middle" was partly put there. Use randint(low, high + 1), or choice.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check hyperopt==0.3.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import logging
from importlib.metadata import version
from math import log

import numpy as np
from hyperopt import Trials, fmin, hp, rand

logging.getLogger("hyperopt").setLevel(logging.CRITICAL)
DRAWS = 1500
SPACE = {"uniformint(1, 4)": hp.uniformint("a", 1, 4), "uniformint(1, 3)": hp.uniformint("b", 1, 3), "randint(1, 5)": hp.randint("c", 1, 5),
         "quniform(1, 10, 3)": hp.quniform("d", 1, 10, 3), "qloguniform(log 1, log 100, 10)": hp.qloguniform("e", log(1), log(100), 10)}


def rounded(low, high, step=1.0, scale=lambda number: number):
    """Shares of the rounded values of scale(uniform(low, high)), from a million numbers in equal distances."""
    grid = scale(np.linspace(low, high, 1_000_001))
    values, counts = np.unique(np.round(grid / step) * step, return_counts=True)
    return dict(zip(values.tolist(), (counts / counts.sum()).tolist()))


EXPECTED = {"uniformint(1, 4)": rounded(1, 4), "uniformint(1, 3)": rounded(1, 3), "randint(1, 5)": dict.fromkeys([1.0, 2.0, 3.0, 4.0], 0.25),
            "quniform(1, 10, 3)": rounded(1, 10, 3), "qloguniform(log 1, log 100, 10)": rounded(log(1), log(100), 10, np.exp)}

print("hyperopt", version("hyperopt"))
assert version("hyperopt") == "0.3.0"
trials = Trials()
fmin(lambda point: 0.0, SPACE, algo=rand.suggest, max_evals=DRAWS, trials=trials, rstate=np.random.default_rng(0), show_progressbar=False)
seen = {}
for name, label in zip(SPACE, "abcde"):
    values, counts = np.unique(np.asarray(trials.vals[label], float), return_counts=True)
    seen[name] = dict(zip(values.tolist(), (counts / DRAWS).round(3).tolist()))
    print(name, seen[name])
    assert seen[name].keys() == EXPECTED[name].keys()
    assert all(abs(share - EXPECTED[name][value]) < 0.05 for value, share in seen[name].items())
assert seen["uniformint(1, 4)"][1] < 0.2 and seen["uniformint(1, 4)"][4] < 0.2 and seen["uniformint(1, 3)"][2] > 0.45
assert seen["qloguniform(log 1, log 100, 10)"][0] > 0.3 and seen["quniform(1, 10, 3)"][0] > 0
PYTHON_SCRIPT
echo "as written"
