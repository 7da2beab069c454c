#!/usr/bin/env bash
# mlflow-skinny 3.17.2 with its SQLite store: a metric that is logged by epoch, and once more after the best epoch was restored.
#
# Guess: `run.data.metrics["ndcg"]`, and the column that runs are searched and sorted by, is the value that was logged last.
# Seen:  it is the value with the greatest step, and a call without a step has step 0: after 50 epochs the restored model's 0.40 is not seen, the
#        overfitted 0.27 of epoch 49 stands in the run, in `search_runs` and in the filter. The same where a resumed run counts its epochs from 0
#        again. With one step and one millisecond the larger value wins, so what is logged in a quick loop without steps is its maximum.
# So:    models are chosen by their last epochs, and "ndcg > 0.3" does not find the run. Log the final value under a name of its own, or with a
#        step above all others.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mlflow-skinny==3.17.2 sqlalchemy==2.0.44 alembic==1.17.2 pandas==2.3.3 numpy==2.4.6
cd "$work"
MLFLOW_DISABLE_TELEMETRY=true "$work/venv/bin/python" -W ignore - <<'PYTHON_SCRIPT'
import logging
from importlib.metadata import version
from pathlib import Path

logging.disable(logging.CRITICAL)
import mlflow
from mlflow import MlflowClient

EPOCHS = 50
CURVE = [0.4 - 0.00008 * (epoch - 8) ** 2 for epoch in range(EPOCHS)]  # best in epoch 8

print("mlflow-skinny", version("mlflow-skinny"))
assert version("mlflow-skinny") == "3.17.2"
mlflow.set_tracking_uri(f"sqlite:///{Path.cwd()}/runs.db")
client = MlflowClient()
experiment = client.create_experiment("models", artifact_location=Path("artifacts").absolute().as_uri())
clock = 1_700_000_000_000  # milliseconds, one more a call, so that nothing depends on the speed of this machine


def run(name, logged):
    """A run with these (value, step or None) in this order; step None is left out of the call."""
    global clock
    key = client.create_run(experiment, run_name=name).info.run_id
    for value, step in logged:
        clock += 1
        client.log_metric(key, "ndcg", value, timestamp=clock, **({} if step is None else {"step": step}))
    shown = client.get_run(key).data.metrics["ndcg"]
    history = client.get_metric_history(key, "ndcg")
    newest = max(history, key=lambda metric: metric.timestamp)
    print(f"{name}: shown {shown:.4f}, logged last {newest.value:.4f} with step {newest.step}, {len(history)} values kept")
    return shown, newest.value


by_epoch = [(value, epoch) for epoch, value in enumerate(CURVE)]
found = {
    "restored": run("restored", [*by_epoch, (max(CURVE), None)]),
    "restored, with a step": run("restored, with a step", [*by_epoch, (max(CURVE), EPOCHS)]),
    "resumed from 0": run("resumed from 0", [*by_epoch, *[(0.45, epoch) for epoch in range(20)]]),
    "no steps": run("no steps", [(value, None) for value in CURVE]),
}
assert [round(value, 4) for value in found["restored"]] == [round(CURVE[-1], 4), 0.4]
assert found["resumed from 0"] == (CURVE[-1], 0.45)
assert len(set(found["restored, with a step"])) == len(set(found["no steps"])) == 1
over = sorted(row.info.run_name for row in client.search_runs([experiment], filter_string="metrics.ndcg > 0.39"))
first = client.search_runs([experiment], order_by=["metrics.ndcg DESC"])[0].info.run_name
print("runs with ndcg > 0.39:", over, "- best:", first)
assert over == ["restored, with a step"] == [first]
key = client.create_run(experiment, run_name="one millisecond").info.run_id
for value in (0.1, 0.4, 0.2):
    client.log_metric(key, "ndcg", value, timestamp=clock, step=3)
print("0.1, 0.4, 0.2 in one millisecond with one step:", client.get_run(key).data.metrics["ndcg"])
assert client.get_run(key).data.metrics["ndcg"] == 0.4
PYTHON_SCRIPT
echo "as written"
