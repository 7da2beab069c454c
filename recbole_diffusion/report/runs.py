"""Finished runs, read from their folders; what is incomplete or damaged is refused by name."""

import glob
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.evaluation.lists import UserMetrics
from recbole_diffusion.report.user_metrics import user_metrics_of
from recbole_diffusion.storage.preset import preset_text
from recbole_diffusion.storage.result_form import damage_of_epoch
from recbole_diffusion.storage.run_folder import RunFolder, rerun_hint

# What every result.json has had from the first version on.
NEEDED: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("model", "dataset"), str),
    **dict.fromkeys(("valid", "test", "seconds"), dict),
    **dict.fromkeys(("seed", "parameters", "best_epoch"), int),
    "peak_rss_mb": (int, float),
    "best_valid_score": (int, float, type(None)),  # none where the split has no validation part
    "epoch_seconds": list,
}


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Attributes:
        path: its folder.
        config: content of ``config.yaml``.
        result: content of ``result.json``.
        epochs: content of ``metrics.jsonl``, one mapping per epoch.
    """

    path: Path
    config: dict[str, Any]
    result: dict[str, Any]
    epochs: list[dict[str, Any]]

    @property
    def model(self) -> str:
        """Return the model's name."""
        return self.result["model"]

    @property
    def seed(self) -> int:
        """Return the seed."""
        return self.result["seed"]

    @property
    def preset(self) -> str | None:
        """Return the name of the preset, None for a run without one, or of a time that had none."""
        return self.result.get("preset")

    @property
    def preset_text(self) -> str:
        """Return the preset for a reader, with the values that the run has in place of its own."""
        wanted = self.result.get("preset_replaced") or {}
        return preset_text(self.preset, {name: (self.config.get(name), one) for name, one in wanted.items()})

    @property
    def metrics_version(self) -> int:
        """Return what its metrics mean, see ``docs/metrics.md``; 1 for a run of a time without versions."""
        return self.result.get("metrics_version", 1)

    @property
    def selection(self) -> str:
        """Return what the epoch was chosen on: ``validation`` or ``test``; or what it is without a choice.

        ``last epoch``, ``given weights`` or ``no epoch``.
        """
        return self.result.get("selection", "validation")

    @property
    def chosen_by(self) -> str:
        """Return how the epoch was chosen, for a reader."""
        if self.selection.startswith(("validation", "test")):
            return f"{self.valid_metric} on {self.selection}"
        return f"nothing: {self.selection}"

    @property
    def validates_on_test(self) -> bool:
        """Return whether the validation part is a test part, whatever was chosen on it."""
        parts = self.result.get("parts") or {}
        tests = [part["fingerprint"] for name, part in parts.items() if name.startswith("test")]
        return self.selection == "test" or ("valid" in parts and parts["valid"]["fingerprint"] in tests)

    @property
    def test_parts(self) -> dict[str, dict[str, float]]:
        """Return the metrics of each test part: ``test``, or the parts named ``test_...``."""
        several = {name: values for name, values in self.result.items() if name.startswith("test_")}
        alone = not several or "test" in (self.result.get("parts") or {})
        return ({"test": self.result["test"]} if alone else {}) | several

    @property
    def valid_metric(self) -> str:
        """Return the name of the metric that chose the epoch, lower-case."""
        return str(self.config.get("valid_metric", "")).lower()

    @cached_property
    def users(self) -> dict[str, UserMetrics] | None:
        """Return the metrics of each user by part; None for a run that stored none.

        Raises:
            RunError: the file is damaged, or of another run or state than ``result.json``.
        """
        # In earlier versions lists of equal scores had another order than the metrics.
        told = self.test_parts if self.metrics_version > 1 else {}
        return user_metrics_of(RunFolder(self.path), told, self.config.get("metric_decimal_place"))


def read_run(path: str | Path) -> RunRecord:
    """Read the folder of a finished run.

    Raises:
        UsageError: there is no run, it has not ended, or its test part was not evaluated.
        RunError: a file is damaged.
    """
    folder = RunFolder(path)
    if not folder.path.is_dir():
        raise UsageError(f"no such folder: {folder.path}; name a run folder, or several with --glob=PATTERN")
    if (folder.path / "sweep.json").is_file():
        raise UsageError(
            f"{folder.path} is a sweep, not a run; 'report' takes it, 'compare' takes its final runs' folders"
        )
    if not folder.config.is_file():
        inside = sorted(file.parent.name for file in folder.path.glob("*/result.json"))
        hint = (
            f"{counted(len(inside), 'run', 'are')} inside, such as {inside[0]!r}: use "
            f"--glob='{folder.path}/*'"
            if inside
            else ""
        )
        raise UsageError(
            f"no run in {folder.path}: config.yaml is missing; {hint or 'name a folder that a run has made'}"
        )
    if not folder.result.is_file():
        raise UsageError(
            f"the run in {folder.path} has not ended: result.json is missing. Wait for it, continue it with "
            f"--resume={folder.path}, or leave it out"
        )
    result = _result(folder)
    return RunRecord(folder.path, folder.read_config(), result, _epochs(folder, len(result["epoch_seconds"])))


def _result(folder: RunFolder) -> dict[str, Any]:
    result = folder.read_result()
    wrong = [name for name, kind in NEEDED.items() if not isinstance(result.get(name), kind)]
    if wrong == ["test"]:
        raise UsageError(f"the run in {folder.path} was not evaluated on a test part; give one that was")
    if wrong:
        raise RunError(
            f"{folder.result} is damaged: {', '.join(wrong)} missing or of the wrong type; "
            f"{rerun_hint(folder.path)}"
        )
    for part in ("valid", "test"):
        bad = [
            name
            for name, value in result[part].items()
            if not isinstance(value, int | float) or not math.isfinite(value)
        ]
        if bad:
            raise RunError(
                f"{folder.result} is damaged: {part} {bad[0]} is {result[part][bad[0]]!r}; "
                f"{rerun_hint(folder.path)}"
            )
    return result


def _epochs(folder: RunFolder, trained: int) -> list[dict[str, Any]]:
    if not folder.metrics.is_file():
        return []  # a copy of a run that keeps its result alone
    lines = folder.metrics.read_bytes().splitlines()
    epochs = [_epoch(folder, number, line) for number, line in enumerate(lines, start=1)]
    numbers = [epoch.get("epoch", -1) for epoch in epochs]
    if numbers != sorted(set(numbers)) or len(epochs) < trained:
        raise RunError(
            f"{folder.metrics} is damaged: it has {counted(len(epochs), 'epoch')}, {numbers[:5]} first, and "
            f"{folder.result.name} {trained}; {rerun_hint(folder.path)}"
        )
    return epochs


def _epoch(folder: RunFolder, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{folder.metrics}, line {number} is damaged: {error}; {rerun_hint(folder.path)}"
        ) from error
    if damage := damage_of_epoch(value):
        raise RunError(f"{folder.metrics}, line {number} is damaged: {damage}; {rerun_hint(folder.path)}")
    return value


def find_folders(paths: Iterable[str | Path], pattern: str | None) -> list[Path]:
    """Return the named folders and then those that match a pattern, each once; files are left out.

    Raises:
        UsageError: none at all, or none that matches.
    """
    matched = (
        sorted(path for path in map(Path, glob.glob(str(Path(pattern).expanduser()))) if path.is_dir())
        if pattern
        else []
    )
    if pattern and not matched:
        raise UsageError(
            f"no folder matches --glob={pattern}; put quotes around the pattern, and check it with ls"
        )
    folders = list(dict.fromkeys(Path(path).expanduser().resolve() for path in [*paths, *matched]))
    if not folders:
        raise UsageError("no run is named; give run folders, or a pattern of them with --glob=PATTERN")
    return folders


def read_runs(folders: Sequence[Path], skip_unfinished: bool = False) -> tuple[list[RunRecord], list[str]]:
    """Read finished runs.

    Args:
        folders: run folders.
        skip_unfinished: leave out folders without a result, and say so.

    Returns:
        the runs, and what was left out.

    Raises:
        UsageError: see :func:`read_run`; or nothing is left. RunError: a file is damaged.
    """
    left_out = [folder for folder in folders if skip_unfinished and not RunFolder(folder).result.is_file()]
    runs = [read_run(folder) for folder in folders if folder not in left_out]
    if not runs:
        raise UsageError(f"there is no finished run in {counted(len(folders), 'folder')}")
    return runs, [f"{folder.name} is left out: no run has ended there" for folder in left_out]
