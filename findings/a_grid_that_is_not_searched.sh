#!/usr/bin/env bash
# RecBole 1.2.1: `HyperTuning` with algo="exhaustive", its grid search, and the hyperopt that it asks for, 0.2.5.
#
# Guess: it runs all combinations of the given values, and max_evals is their number.
# Seen:  it draws them in a random order and ends after 10 that did not beat the best (early_stop, 10 by default), without a word: of 100
#        combinations 10 to 22 are run, others in each search, and the best of the grid is in none of ten searches. With early_stop=101 all 100
#        are run, and it is found.
# So:    "the best of the grid" in a table is the best of a random tenth or fifth of it, less for the model whose first draw was good, and two
#        searches of one grid give two winners. Pass an early_stop above the grid's size.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
pip=("$work/venv/bin/pip" install --quiet --disable-pip-version-check)
"${pip[@]}" torch==2.13.0 numpy==1.26.4 scipy==1.15.3 pandas==2.2.3 scikit-learn==1.6.1 tensorboard==2.19.0 colorama==0.4.6 \
    colorlog==6.9.0 pyyaml==6.0.2 tqdm==4.67.1 tabulate==0.9.0 texttable==1.7.0 psutil==7.0.0 setuptools==80.9.0 \
    future==1.0.0 networkx==3.4.2 cloudpickle==3.1.1 six==1.17.0
"${pip[@]}" --no-deps recbole==1.2.1 hyperopt==0.2.5 thop==0.1.1.post2209072238  # RecBole's own list asks for a Ray without a wheel for this Python
cd "$work"
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import contextlib
import io
import logging
import os
from importlib.metadata import version

from recbole.trainer import HyperTuning

logging.disable(logging.CRITICAL)
GRID = {
    "choice": {
        "learning_rate": [0.1, 0.03, 0.01, 0.003, 0.001],
        "embedding_size": [16, 32, 64, 128, 256],
        "n_layers": [1, 2, 3, 4],
    }
}


def objective(given, files):
    """In place of a training: a score that is best for the last value of each."""
    parts = [0.02 * GRID["choice"]["learning_rate"].index(given["learning_rate"])]
    parts += [0.01 * GRID["choice"]["embedding_size"].index(given["embedding_size"]), 0.005 * given["n_layers"]]
    score = round(0.1 + sum(parts), 4)
    return {"model": "a", "best_valid_score": score, "valid_score_bigger": True, "best_valid_result": {}, "test_result": {}}


def searched(grid, seed, **options):
    os.environ["HYPEROPT_FMIN_SEED"] = str(seed)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        search = HyperTuning(objective, params_dict=grid, algo="exhaustive", **options)
        search.run()
    assert len(set(search.params_list)) == len(search.params_list)
    return int(search.max_evals), len(search.params_list), max(search.score_list)


print("RecBole", version("recbole"), "hyperopt", version("hyperopt"))
assert (version("recbole"), version("hyperopt")) == ("1.2.1", "0.2.5")
best = 0.1 + 0.08 + 0.04 + 0.02
found = [searched(GRID, seed) for seed in range(10)]
missed = sum(score < best - 1e-9 for _, _, score in found)
print(f"a grid of 100, max_evals {found[0][0]}: {[runs for _, runs, _ in found]} run, best scores {[score for _, _, score in found]}, "
      f"the best of the grid {best:.2f}")
assert all(size == 100 and 10 <= runs <= 22 for size, runs, _ in found) and missed == 10
whole = searched(GRID, 0, early_stop=101)
print("early_stop=101:", whole)
assert whole[1] == 100 and abs(whole[2] - best) < 1e-9
few = {"choice": {**GRID["choice"], "learning_rate": [0.001], "embedding_size": [256]}}
print("a grid of 4:", searched(few, 0))
assert searched(few, 0)[1] == 4
PYTHON_SCRIPT
echo "as written"
