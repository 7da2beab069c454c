#!/usr/bin/env bash
# optuna 5.0.0: a study in a file, `create_study(storage=..., load_if_exists=True,
# sampler=RandomSampler(seed=0))`, run again to go on.
#
# Guess: a study knows its trials, so 20 more trials are 20 other points.
# Seen:  the sampler starts from its seed in each process or call, whatever the study holds: 20 trials and 20
#        more are 20 points, each run twice, and five runs, or five workers, of 20 are one run of 20: the best
#        loss of 100 trials is 0.0103, that of the first 20, and 0.0069 in one go. `TPESampler(seed=0)` draws
#        its first ten trials at random, so a study that goes on five trials at a time runs the first five
#        twice. Without a seed, or with one for each run, all points differ.
# So:    a seed in the script, meant to make a search repeatable, makes what was resumed a repetition, and
#        workers copies of each other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import sys
from importlib.metadata import version

import optuna
from optuna.samplers import RandomSampler, TPESampler

optuna.logging.set_verbosity(optuna.logging.ERROR)
print("optuna", version("optuna"))
assert version("optuna") == "5.0.0"


def loss(trial):
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    dropout, temperature = trial.suggest_float("dropout", 0, 0.5), trial.suggest_float("temperature", 0.05, 1)
    return (10 * rate - 0.1) ** 2 + (dropout - 0.2) ** 2 + (temperature - 0.3) ** 2


def searched(name, sampler, runs):
    """After several runs of the script, each with a new sampler: trials, different points, best loss."""
    for number, trials in enumerate(runs):
        storage = f"sqlite:///{sys.argv[1]}/searches.db"
        study = optuna.create_study(
            study_name=name, storage=storage, load_if_exists=True, sampler=sampler(number)
        )
        study.optimize(loss, n_trials=trials)
    points = [tuple(sorted(trial.params.items())) for trial in study.trials]
    print(
        f"{name}, runs of {runs}: {len(points)} trials, {len(set(points))} points, {study.best_value:.4f}"
    )
    return len(points), len(set(points)), study.best_value


again = searched("random, seed 0", lambda run: RandomSampler(seed=0), [20, 20])
five = searched("random, seed 0, five runs", lambda run: RandomSampler(seed=0), [20] * 5)
once = searched("random, seed 0, one run", lambda run: RandomSampler(seed=0), [100])
other = searched("random, a seed for each run", lambda run: RandomSampler(seed=run), [20] * 5)
tpe = searched("TPE, seed 0", lambda run: TPESampler(seed=0), [5, 5, 5])
assert again[:2] == (40, 20) and five[:2] == (100, 20) and once[:2] == other[:2] == (100, 100)
assert five[2] > once[2]
assert tpe[:2] == (15, 10)
PYTHON_SCRIPT
echo "as written"
