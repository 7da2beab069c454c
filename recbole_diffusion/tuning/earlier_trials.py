"""Trials of an earlier version in a sweep that goes on: what makes their scores others than those to come."""

import dataclasses
from pathlib import Path
from typing import Any

from recbole_diffusion.config import Config
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.storage.result_form import ordered_by_rounded_times
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.tuning.record import SweepRecord
from recbole_diffusion.tuning.trial import finished_result


def notes_on_earlier(folder: Path, record: SweepRecord, config: Any) -> list[str]:
    """Return a line for each way in which finished trials were judged or computed otherwise than new ones.

    Args:
        folder: the sweep's.
        record: its record.
        config: the configuration without the space.
    """
    sampled = config["eval_args"]["mode"]["valid"].startswith(("uni", "pop"))
    found: dict[str, int] = {}
    for trial in record.trials:
        result = finished_result(RunFolder(folder / trial.folder))
        if result is None:
            continue
        options = {**record.options, **trial.options, "model": record.model}
        if sampled and "candidates_seed" not in result:
            why = "other items beside the held-out ones, drawn anew in each"
            found[why] = found.get(why, 0) + 1
        if ordered_by_rounded_times(options, result):
            why = "items in the order of times that are 128 seconds apart"
            found[why] = found.get(why, 0) + 1
        for why in _other_values(RunFolder(folder / trial.folder), config, trial.options):
            found[why] = found.get(why, 0) + 1
    return [
        f"{counted(count, 'trial')} of an earlier version had {why}: scores of new trials are not comparable "
        "with theirs; begin a new sweep"
        for why, count in found.items()
    ]


def _other_values(folder: RunFolder, config: Config, searched: dict[str, Any]) -> list[str]:
    """Return what a trial had in options of the model that no space names: its preset's of then."""
    if config.options is None:  # of RecBole, whose options no preset has
        return []
    try:
        then = Config(overrides=folder.read_config(), stored=True).options
    except (RunError, UsageError):
        return []
    names = [field.name for field in dataclasses.fields(config.options) if field.name not in searched]
    pairs = [(name, getattr(then, name, None), getattr(config.options, name)) for name in names]
    return [f"{name}: {old}, where it is {new} now" for name, old, new in pairs if old != new]
