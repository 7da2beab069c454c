"""Measurements of several checkouts in turns: a process for each side, asked one after the other."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent.parent


class Cost(NamedTuple):
    """Medians of a side.

    Attributes:
        batch: milliseconds of CPU a batch.
        begin: of what precedes an epoch.
    """

    batch: float
    begin: float

    def epoch(self, batches: int) -> float:
        """Return the CPU seconds of an epoch of some batches."""
        return (self.begin + batches * self.batch) / 1000


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment of a process that computes with a checkout, on one thread."""
    one = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return {**os.environ, **one}


def in_turns(sides: dict[str, tuple[Path, dict[str, Any]]], rounds: int) -> dict[str, Cost]:
    """Return the cost of each side, by its name.

    Args:
        sides: checkout and case (see ``_batches.py``) by name.
        rounds: how often each side is asked.
    """
    processes = {}
    for name, (checkout, case) in sides.items():
        words = [sys.executable, "-P", str(HERE / "benchmarks" / "_batches.py"), json.dumps(case)]
        process = subprocess.Popen(
            words,
            cwd=checkout,
            env=environment(checkout),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in process.stdout:  # RecBole prints, too
            if line == "ready\n":
                break
        processes[name] = process
    found: dict[str, list[list[float]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, process in processes.items():
            process.stdin.write("go\n")
            process.stdin.flush()
            found[name].append([float(word) for word in process.stdout.readline().split()])
    for process in processes.values():
        process.stdin.close()
        process.wait()
    return {name: Cost(*map(statistics.median, zip(*rows, strict=True))) for name, rows in found.items()}
