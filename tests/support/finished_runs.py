"""Run folders for the tests of ``report``: files as a run writes them, with numbers of choice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recbole_diffusion.report.runs import RunRecord, read_run
from recbole_diffusion.storage.run_folder import RunFolder

PARTS = {
    name: {"rows": 4, "fingerprint": f"{k:016x}"}
    for k, name in enumerate(("train", "valid", "test"), start=1)
}
GROUP = {
    "group": 0,
    "users": 3,
    "items": 4,
    "held_out": 5,
    "smallest_count": 1,
    "largest_count": 9,
    "members": 3,
}


def result(recall: float, seed: int, **other: Any) -> dict[str, Any]:
    """Return the content of a ``result.json``."""
    metrics = {"recall@20": recall, "ndcg@20": recall / 2, "mrr@20": recall / 3}
    groups = {
        kind: [{**GROUP, "recall@20": recall, "share@20": 1.0}]
        for kind in ("item_popularity", "user_activity")
    }
    usual = {
        "model": "BPR",
        "dataset": "toy",
        "selection": "validation",
        "seed": seed,
        "parameters": 10,
        "best_epoch": 1,
    }
    usual |= {
        "best_valid_score": 0.5,
        "valid": metrics,
        "test": metrics,
        "groups": {"test": groups},
        "parts": PARTS,
    }
    usual |= {
        "seconds": {"load": 1.0, "train": 4.0, "valid": 1.0, "test": 1.0},
        "epoch_seconds": [1.5, 2.5],
        "peak_rss_mb": 100.0,
    }
    return {**usual, "versions": {"python": "3.11"}, "command": "python run_recbole_diff.py", **other}


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a finished run and returns its folder."""

    def write(
        name: str = "BPR-0",
        recall: float = 0.2,
        seed: int = 0,
        users: Any = None,
        config: dict[str, Any] | None = None,
        **other: Any,
    ) -> Path:
        folder = RunFolder(tmp_path / "runs" / name)
        folder.path.mkdir(parents=True)
        content = result(recall, seed, **other)
        given = {
            "model": content["model"],
            "seed": seed,
            "valid_metric": "Recall@20",
            "benchmark_filename": ["train", "valid", "test"],
        }
        folder.write_config({**given, **(config or {})})
        folder.write_result(content)
        records = [
            {"epoch": k, "train_seconds": 1.0, "loss": {"total": 1.0 / (k + 1)}, "valid_seconds": 0.5}
            for k in range(3)
        ]
        folder.write_metrics(
            {**record, "valid": {"recall@20": recall * (record["epoch"] + 1) / 3}} for record in records
        )
        if users is not None:
            columns = users if isinstance(users, dict) else {"recall@20": users}
            tokens = np.array([f"u{k}" for k in range(len(next(iter(columns.values()))))])
            arrays = {f"test/{metric}": np.asarray(values, np.float32) for metric, values in columns.items()}
            np.savez_compressed(folder.user_metrics, **{"test/users": tokens}, **arrays)
        return folder.path

    return write


@pytest.fixture
def make_run(write_run: Callable[..., Path]) -> Callable[..., RunRecord]:
    """Return a function that writes a finished run and reads it."""
    return lambda *words, **named: read_run(write_run(*words, **named))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Return the folder of a sweep of four trials: two with scores, one that failed, one that waits."""
    folder = tmp_path / "sweep"
    trials = []
    states = (("finished", 0.2), ("stopped", 0.3), ("failed", None), ("waiting", None))
    for number, (state, score) in enumerate(states):
        of_trial = RunFolder(folder / "trials" / f"{number:03d}")
        of_trial.path.mkdir(parents=True)
        lines = [
            json.dumps({"epoch": k, "valid": {"recall@20": (score or 0.0) * (k + 1) / 2}}) for k in range(2)
        ]
        of_trial.metrics.write_text("\n".join(lines) + '\n{"epoch": 2, "val')  # killed while it wrote
        options = {"learning_rate": 10.0**-number, "sampler": ["uniform", "popularity"][number % 2]}
        one = {
            "number": number,
            "folder": f"trials/{number:03d}",
            "options": options,
            "seed": 1,
            "state": state,
            "score": score,
        }
        trials.append(
            {
                **one,
                "seconds": 2.0 + number,
                "epochs": 2,
                "best_epoch": 1,
                "error": "no luck" if state == "failed" else None,
            }
        )
    metrics = {"test": {"recall@20": {"mean": 0.25, "std": 0.01, "runs": 5}}}
    content = {
        "model": "BPR",
        "dataset": "toy",
        "options": {"epochs": 2},
        "valid_metric": "recall@20",
        "bigger": True,
    }
    content |= {
        "trials": trials,
        "final_metrics": metrics,
        "selection": "validation",
        "space": {},
        "command": "tune",
    }
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder
