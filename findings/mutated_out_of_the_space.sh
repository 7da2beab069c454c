#!/usr/bin/env bash
# Ray 2.60.0: `PopulationBasedTraining(hyperparam_mutations={"dropout": tune.uniform(0, 0.5), "layers": tune.randint(1, 9), ...})`.
#
# Guess: a mutated value stays in its range, and a number of layers goes up as often as down.
# Seen:  the range is for values that are drawn. A mutated one is 0.8 or 1.2 times the old one, whatever the range: with the best dropout at 0.45, inside of
#        it, there are trials with 0.51 to 0.54, and an averaging decay between 0.9 and 0.999 leaves that at its first mutation, for 0.61 to
#        0.80 or for 1.08 to 1.20 and more, which no average survives. Whole numbers are rounded after that, so 1 and 2 layers stay 1 and 2.
# So:    what is said to be the space is not, and small whole numbers are hardly searched (the default draws a quarter of the mutations anew). Clip in
#        `custom_explore_fn`, or give a list, in which it moves one place up or down.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "ray[tune]==2.60.0"
cd "$work"
export RAY_USAGE_STATS_ENABLED=0 RAY_AIR_NEW_OUTPUT=0 TUNE_DISABLE_AUTO_CALLBACK_LOGGERS=1
OMP_NUM_THREADS=1 RAY_TMPDIR="$work" "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import json
import os
import random
import tempfile
from importlib.metadata import version

import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import PopulationBasedTraining

print("Ray", version("ray"))
assert version("ray") == "2.60.0"
random.seed(0)
np.random.seed(0)


def train(config):
    """NDCG is best with a dropout of 0.45, and knows nothing of the rest."""
    epoch, checkpoint = 0, tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "epoch.json")) as file:
            epoch = json.load(file)
    while True:
        epoch += 1
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "epoch.json"), "w") as file:
                json.dump(epoch, file)
            values = {key: config[key] for key in ("dropout", "decay", "layers")}
            tune.report({"ndcg": 0.9 - abs(config["dropout"] - 0.45), "values": values}, checkpoint=tune.Checkpoint.from_directory(folder))


class Kept(tune.Callback):
    rows = []

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.rows.append((result["training_iteration"], trial.trial_id, result["values"]))


space = {"dropout": tune.uniform(0, 0.5), "decay": tune.uniform(0.9, 0.999), "layers": tune.randint(1, 9)}
scheduler = PopulationBasedTraining(
    time_attr="training_iteration", metric="ndcg", mode="max", perturbation_interval=1, hyperparam_mutations=space, resample_probability=0, synch=True
)
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
tune.Tuner(
    train,
    param_space={**space, "layers": tune.choice([1, 2])},
    tune_config=tune.TuneConfig(num_samples=6, scheduler=scheduler, reuse_actors=True),
    run_config=tune.RunConfig(stop={"training_iteration": 6}, verbose=0, storage_path=os.getcwd(), callbacks=[Kept()]),
).fit()
ray.shutdown()

first = [values for epoch, _, values in Kept.rows if epoch == 1]
last = [values for epoch, _, values in Kept.rows if epoch == 6]
for name, rows in (("epoch 1", first), ("epoch 6", last)):
    print(name, "; ".join(f"{key} " + ", ".join(f"{values[key]:.3g}" for values in rows) for key in rows[0]))
everything = [values for _, _, values in Kept.rows]
assert len(first) == 6 and all(0 <= values["dropout"] <= 0.5 and 0.9 <= values["decay"] <= 0.999 for values in first)
assert any(values["dropout"] > 0.53 for values in everything)
decays = [values["decay"] for values in everything if not 0.9 <= values["decay"] <= 0.999]
assert decays and all(decay < 0.9 or decay > 1.05 for decay in decays)
assert {values["layers"] for values in everything} <= {1, 2}
PYTHON_SCRIPT
echo "as written"
