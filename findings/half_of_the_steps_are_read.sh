#!/usr/bin/env bash
# tensorboard 2.21.0: `EventAccumulator(folder).Reload().Scalars("valid/ndcg")`, the usual way to read a run's metrics back.
#
# Guess: all values that were written, so their greatest is the best of the run.
# Seen:  10,000 of them, drawn at random, with the last one always among them: of 20,000 values half are gone, and
#        where the best one is among them nothing tells. The draw is the same each time, so reading again does not show it.
#        `size_guidance={"scalars": 0}` reads all.
# So:    a table of best values made from logs is too low for runs that are logged often (each batch, a long search in one folder) and right for
#        short ones; two runs of one length lose the same steps, runs of different lengths are not compared alike.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check tensorboard==2.21.0 numpy==2.4.6 setuptools==80.9.0
"$work/venv/bin/python" -W ignore - "$work" <<'PYTHON_SCRIPT'
import sys
from importlib.metadata import version
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

print("tensorboard", version("tensorboard"))
assert version("tensorboard") == "2.21.0"
BEST = 4  # the step of the best value


def read(folder, **options):
    return {scalar.step: scalar.value for scalar in EventAccumulator(str(folder), **options).Reload().Scalars("valid/ndcg")}


for steps in (5_000, 20_000):
    folder = Path(sys.argv[1]) / str(steps)
    writer = EventFileWriter(str(folder))
    for step in range(steps):
        value = Summary.Value(tag="valid/ndcg", simple_value=0.5 if step == BEST else 0.25)
        writer.add_event(Event(step=step, wall_time=float(step), summary=Summary(value=[value])))
    writer.close()
    found, again, everything = read(folder), read(folder), read(folder, size_guidance={"scalars": 0})
    lost = sorted(set(everything) - set(found))
    print(f"{steps:,} values written: {len(found):,} read, {len(everything):,} with size_guidance 0; first steps that are lost {lost[:5]}, last step kept "
          f"{steps - 1 in found}, the same again {found == again}")
    print(f"    best value read: {max(found.values())}, of all {max(everything.values())}")
    assert max(everything.values()) == 0.5 and max(found.values()) == (0.5 if steps <= 10_000 else 0.25)
    assert len(everything) == steps and len(found) == min(steps, 10_000) and found == again and steps - 1 in found
PYTHON_SCRIPT
echo "as written"
