#!/usr/bin/env bash
# Ray 2.60.0: the priority at which tasks and trials run.
#
# Guess: a worker has the priority of the program that started Ray, so that a trial beside another program gets half of a core.
# Seen:  workers are 15 steps of niceness below it (at most 19), whoever starts them. Beside a busy program of ordinary priority such a
#        worker is owed 1/29 of a core (the kernel's weights of 0 and 15 are 1024 and 36). The environment variable
#        RAY_worker_niceness, set before Ray starts, is what it takes; no argument of ray.init or Tuner names it.
# So:    seconds of a trial that shared its machine say nothing about the model: the same training alone, or started without Ray, can be
#        many times faster. Sweeps that are timed, or that have to finish beside a notebook, need RAY_worker_niceness=0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "ray[tune]==2.60.0"
cat > "$work/seen.py" <<'PYTHON_SCRIPT'
import os
import sys
from importlib.metadata import version

import ray
from ray import tune

assert version("ray") == "2.60.0"
expected = int(sys.argv[1])
ray.init(num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)


@ray.remote
def task():
    """The niceness of a task."""
    return os.nice(0)


def trial(config):
    """Report the niceness of a trial."""
    tune.report({"niceness": os.nice(0)})


own = os.nice(0)
found = tune.Tuner(trial, run_config=tune.RunConfig(storage_path=sys.argv[2], verbose=0)).fit()
of_task, of_trial = ray.get(task.remote()), found[0].metrics["niceness"]
print(f"RAY_worker_niceness={os.environ.get('RAY_worker_niceness', 'unset')}: program {own}, task {of_task}, trial {of_trial}")
assert of_task == of_trial == min(own + expected, 19)
PYTHON_SCRIPT
unset RAY_worker_niceness
"$work/venv/bin/python" "$work/seen.py" 15 "$work/one"
RAY_worker_niceness=0 "$work/venv/bin/python" "$work/seen.py" 0 "$work/two"
echo "as written"
