"""The folder of a sweep: its record, its trials as run folders, its table, its best configuration."""

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from recbole_diffusion.errors import UsageError
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.atomic import write_text
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.run_folder import make_empty_folder, unique_name
from recbole_diffusion.tuning.record import SweepRecord

COLUMNS = (
    "number",
    "state",
    "score",
    "best_epoch",
    "epochs",
    "seconds",
    "startup_seconds",
    "failures",
    "seed",
    "folder",
    "host",
)


class SweepFolder:
    """The files of one sweep.

    Attributes:
        path: the folder.
        record: ``sweep.json``, the whole record, rewritten whenever a trial ends.
        table: ``trials.csv``, one row per trial.
        best: ``best.yaml``, the winner's options, for ``--config_files``.
        pictures: folder of the figures.
        ray: Ray Tune's own files, which nothing reads; removed at the end.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self.record = self.path / "sweep.json"
        self.table = self.path / "trials.csv"
        self.best = self.path / "best.yaml"
        self.pictures = self.path / "pictures"
        self.ray = self.path / "ray"

    @classmethod
    def create(cls, model: str, dataset: str, storage: str, sweep_dir: str | None) -> "SweepFolder":
        """Create the folder of a new sweep.

        Raises:
            UsageError: it exists and is not empty, or cannot be created.
        """
        folder = cls(sweep_dir or Path(storage) / unique_name(f"sweep-{model}-{dataset}"))
        make_empty_folder(folder.path, "sweep", "sweep_dir", "storage")
        return folder

    @classmethod
    def existing(cls, path: str | Path) -> tuple["SweepFolder", SweepRecord]:
        """Open the folder of an earlier sweep, with its record.

        Raises:
            UsageError: there is no sweep in it.
        """
        folder = cls(path)
        try:
            return folder, SweepRecord.from_json(json.loads(folder.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = (
                "is missing"
                if not folder.record.is_file()
                else f"cannot be read ({type(error).__name__}: {error})"
            )
            raise UsageError(
                f"no sweep in {folder.path}: sweep.json {why}; tune --resume takes a folder that an earlier "
                "tune has made"
            ) from error

    def discard(self) -> None:
        """Remove the folder of a sweep that cannot be run."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other drivers out while the block runs; the lock of a killed driver ends with it.

        Raises:
            UsageError: another process runs this sweep.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path / "lock"))
            except TimeoutError:
                raise UsageError(
                    f"another process is running the sweep in {self.path}; wait for it, or end it first"
                ) from None
            yield

    def write(self, record: SweepRecord) -> None:
        """Write record and table."""
        advice = f"Free some space, then continue with tune --resume={self.path}"
        write_text(self.record, json.dumps(record.to_json(), indent=2) + "\n", advice)
        names = list(dict.fromkeys(name for trial in record.trials for name in trial.options))
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([*COLUMNS, *names, "error"])
        for trial in record.trials:
            values = [
                yaml_io.dump_value(trial.options[name]) if name in trial.options else "" for name in names
            ]
            rows.writerow(
                [
                    *("" if (value := getattr(trial, name)) is None else value for name in COLUMNS),
                    *values,
                    trial.error,
                ]
            )
        write_text(self.table, text.getvalue(), advice)

    def write_best(self, record: SweepRecord) -> None:
        """Write the winner's configuration."""
        best = record.best()
        if best is None:
            return
        score = f"{record.valid_metric} {best.score:.6g} on {record.selection}"
        head = f"# {record.model} on {record.dataset}: {score}, trial {best.name}\n"
        options = {
            "model": record.model,
            "dataset": record.dataset,
            **record.options,
            **best.options,
            "seed": record.seed,
        }
        lines = "".join(f"{name}: {yaml_io.dump_value(value)}\n" for name, value in options.items())
        write_text(self.best, head + lines, f"Free some space, then run tune --resume={self.path}")
