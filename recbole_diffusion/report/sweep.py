"""A sweep, read from its folder."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.storage import yaml_io

NEEDED = {"model": str, "dataset": str, "trials": list, "valid_metric": str, "bigger": bool, "options": dict}
OF_A_TRIAL = ("number", "folder", "options", "state", "score")


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is that of a sweep."""
    return (folder / "sweep.json").is_file()


def tied(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> str:
    """Return what is said where the best trial of a sweep is not alone, or an empty string."""
    others = sum(trial["score"] == best["score"] for trial in trials) - 1
    return f" (the first of {others + 1} with this score)" if others else ""


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return the content of ``sweep.json``.

    Raises:
        RunError: it is damaged.
        UsageError: no trial has a score yet.
    """
    sweep = sweep_content(folder)
    if not scored_trials(sweep):
        raise UsageError(
            f"no trial of the sweep in {folder} has a score yet; wait for one, or continue it with tune "
            f"--resume={folder}"
        )
    return sweep


def sweep_content(folder: Path) -> dict[str, Any]:
    """Return the content of ``sweep.json``, with or without scores.

    Raises:
        RunError: it is damaged.
    """
    file = folder / "sweep.json"
    try:
        sweep = json.loads(file.read_bytes())
    except ValueError as error:
        raise RunError(
            f"{file} is damaged: {error}; continue the sweep with tune --resume={folder} to write it anew"
        ) from error
    wrong = [
        name
        for name, kind in NEEDED.items()
        if not isinstance(sweep, dict) or not isinstance(sweep.get(name), kind)
    ]
    if not wrong:
        wrong = [
            f"trials.{name}" for name in OF_A_TRIAL if any(name not in trial for trial in sweep["trials"])
        ]
    if wrong:
        raise RunError(
            f"{file} is damaged: {', '.join(wrong)} missing or of the wrong type; repeat the sweep"
        )
    return sweep


def scored_trials(sweep: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials that have a score, the best first."""
    scored = [
        trial
        for trial in sweep["trials"]
        if isinstance(trial["score"], int | float) and math.isfinite(trial["score"])
    ]
    sign = -1 if sweep["bigger"] else 1
    return sorted(scored, key=lambda trial: (sign * trial["score"], trial["number"]))


def trial_name(trial: Mapping[str, Any]) -> str:
    """Return the name of a trial: the last part of its folder."""
    return str(trial["folder"]).rpartition("/")[2]


def is_number(value: Any) -> bool:
    """Return whether an option's value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def short(value: Any) -> str:
    """Return an option's value as a short text."""
    return f"{value:.4g}" if isinstance(value, float) else yaml_io.dump_value(value)
