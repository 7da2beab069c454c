#!/usr/bin/env bash
# Optuna 5.0.0, hyperopt 0.3.0: the TPE search where a part of the space gives NaN, a learning rate that diverges.
#
# Guess: a loss of NaN is the worst there is: it never becomes the best trial, and the search keeps away from where it came from.
# Seen:  it never becomes the best, and the search goes there most of all. A trial with NaN is left out of what TPE learns from: the next
#        suggestion is the same as if it had never run, so the region looks unexplored for ever. A factorization whose learning rate diverges
#        above 0.05, the upper half of the range: of 60 trials after the first 20, 48 to 55 diverge in each library, more than at random,
#        where it is 18 to 26 when the objective returns infinity instead.
# So:    most of a budget goes into runs of a kind that has failed before. Return infinity, which both take, in place of NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check optuna==5.0.0 hyperopt==0.3.0 numpy==2.4.6 scipy==1.17.1
OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON_SCRIPT'
import logging
import math
from importlib.metadata import version

import hyperopt
import numpy as np
import optuna

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
logging.getLogger("hyperopt").setLevel(logging.CRITICAL)
LOW, HIGH, AT_RANDOM, TRIALS = 1e-4, 10.0, 20, 80
random = np.random.default_rng(0)
ratings = random.normal(size=(60, 4)) @ random.normal(size=(4, 40)) / 2
known = random.random(ratings.shape) < 0.7


def error(rate):
    """RMSE over the unknown ratings after 60 steps of gradient descent on a factorization."""
    start = np.random.default_rng(1)
    users, items = 0.1 * start.normal(size=(60, 4)), 0.1 * start.normal(size=(4, 40))
    with np.errstate(all="ignore"):
        for _ in range(60):
            missing = (ratings - users @ items) * known
            users, items = users + rate * missing @ items.T, items + rate * users.T @ missing
        return float(np.sqrt(np.mean((ratings - users @ items)[~known] ** 2)))


def by_optuna(seed, diverged):
    """The rates of a search, where a NaN is given to Optuna as `diverged`; its study."""
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=AT_RANDOM)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: as_given(error(trial.suggest_float("rate", LOW, HIGH, log=True)), diverged), n_trials=TRIALS)
    return [trial.params["rate"] for trial in study.trials], study.best_value, study


def by_hyperopt(seed, diverged):
    """The same with hyperopt (which draws 20 trials at random too)."""
    trials, space = hyperopt.Trials(), hyperopt.hp.loguniform("rate", math.log(LOW), math.log(HIGH))
    hyperopt.fmin(lambda rate: as_given(error(rate), diverged), space, algo=hyperopt.tpe.suggest, max_evals=TRIALS, trials=trials,
                  rstate=np.random.default_rng(seed), show_progressbar=False)
    return trials.vals["rate"], trials.best_trial["result"]["loss"], trials


def as_given(value, diverged):
    return diverged if math.isnan(value) else value


print("Optuna", version("optuna"), "hyperopt", version("hyperopt"))
assert (version("optuna"), version("hyperopt")) == ("5.0.0", "0.3.0")
assert error(0.04) < 0.1 and math.isnan(error(0.08)) and math.isnan(error(HIGH))
for search in (by_optuna, by_hyperopt):
    for seed in (0, 1, 2):
        wasted = {}
        for diverged in (math.nan, math.inf):
            rates, best, _ = search(seed, diverged)
            assert len(rates) == TRIALS and best < 0.1
            wasted[diverged] = sum(math.isnan(error(rate)) for rate in rates[AT_RANDOM:])
        at_random = sum(math.isnan(error(rate)) for rate in rates[:AT_RANDOM])
        print(f"{search.__name__}, seed {seed}: diverged {at_random} of {AT_RANDOM} at random, then of {TRIALS - AT_RANDOM} "
              f"{wasted[math.nan]} as NaN, {wasted[math.inf]} as infinity")
        assert wasted[math.nan] > 36 and wasted[math.nan] > 1.5 * wasted[math.inf]

# The same next suggestion with the trials that gave NaN and without them; another one with infinity in their place.
suggested = {}
_, _, study = by_optuna(0, math.nan)
complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
infinite = [optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=trial.value if trial in complete else math.inf)
            for trial in study.trials]
for name, history in (("with", study.trials), ("without", complete), ("infinity", infinite)):
    another = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    another.add_trials(history)
    suggested["Optuna", name] = another.ask().suggest_float("rate", LOW, HIGH, log=True)

_, _, trials = by_hyperopt(0, math.nan)
domain = hyperopt.base.Domain(lambda rate: rate, hyperopt.hp.loguniform("rate", math.log(LOW), math.log(HIGH)))
for name in ("with", "without", "infinity"):
    docs = []
    for trial in trials.trials:
        diverged = math.isnan(trial["result"]["loss"])
        if diverged and name == "infinity":
            trial = {**trial, "result": {**trial["result"], "loss": math.inf}}
        if not (diverged and name == "without"):
            docs.append(trial)
    history = hyperopt.trials_from_docs(docs)
    suggested["hyperopt", name] = hyperopt.tpe.suggest([1000], domain, history, seed=5)[0]["misc"]["vals"]["rate"][0]
print({" ".join(key): float(f"{rate:.4g}") for key, rate in suggested.items()})
for library in ("Optuna", "hyperopt"):
    assert suggested[library, "with"] == suggested[library, "without"] != suggested[library, "infinity"]
PYTHON_SCRIPT
echo "as written"
