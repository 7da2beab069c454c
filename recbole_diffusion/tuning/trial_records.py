"""What the records of a trial's epochs say: how far it is, and the scores that count."""

import contextlib
import json
from typing import Any

from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.run_folder import RunFolder


def validation_scores(folder: RunFolder) -> list[tuple[int, float]]:
    """Return epoch and score of each validation that the run's epoch can be chosen by.

    Epochs are counted from 0, those of a model that trains in stages in its last stage: only they can be
    compared with another trial's, whose earlier stages may be longer, or come from a cache. Unreadable lines
    are left out.
    """
    try:
        metric = yaml_io.load_yaml(folder.config)["valid_metric"].lower()
    except (OSError, UsageError, KeyError, AttributeError):
        return []
    scores = []
    for record in _records(folder):
        try:
            if record.get("chooses", True):
                epoch = record.get("stage_epoch", record["epoch"])
                scores.append((int(epoch), float(record["valid"][metric])))
        except (ValueError, KeyError, TypeError):
            continue
    return scores


def epochs_of(folder: RunFolder) -> dict[str, int]:
    """Return ``epoch``, the epochs that a run has trained in its present stage, and ``trained``, all of them.

    Empty without a record of an epoch.
    """
    records = _records(folder)
    if not records:
        return {}
    last = records[-1]
    return {"epoch": int(last.get("stage_epoch", last.get("epoch", 0))) + 1, "trained": len(records)}


def _records(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the records of a run's epochs, without unreadable lines."""
    try:
        lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict):
                found.append(record)
    return found
