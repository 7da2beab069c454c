"""One run is one folder: configuration, log, metrics by epoch, checkpoints, result.

Every file is whole or absent. Longer than most files: each file of a run, how it is read, written, removed.
"""

import contextlib
import errno
import json
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.options.renamed import stored_config
from recbole_diffusion.storage import yaml_io
from recbole_diffusion.storage.atomic import write_text
from recbole_diffusion.storage.lock import locked
from recbole_diffusion.storage.result_form import damage_of_result


def unique_name(name: str) -> str:
    """Return a name with the time and a random suffix, so that no two folders have the same name."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def make_empty_folder(path: Path, what: str, option: str, place: str) -> None:
    """Create a folder, or accept an existing empty one, or one that a killed process has left without a file.

    Args:
        path: the folder.
        what: ``run`` or ``sweep``.
        option: the option that names such a folder.
        place: the option that names another place.

    Raises:
        UsageError: it is not empty, or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        left = list(path.iterdir())
        if all(is_left_over(entry) for entry in left):
            for entry in left:
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                elif entry.name.endswith(".part"):
                    entry.unlink(missing_ok=True)
        else:
            resume = f"{'tune ' if what == 'sweep' else ''}--resume={path}"
            raise UsageError(
                f"{option} {path} is not empty; name another, or continue that {what} with {resume}"
            )
    except OSError as error:
        raise UsageError(
            f"cannot make the {what} folder {path}: {error.strerror}; name another with --{place}"
        ) from error


def is_left_over(entry: Path) -> bool:
    """Return whether an entry is a lock, or what a killed process has made before its first whole file.

    That is a draft, or the copy of a table, which is written before the configuration.
    """
    if entry.is_dir():
        files = [one.name for one in entry.rglob("*") if one.is_file()]
        own = [name for name in files if name == DATA_RECORD or name.endswith(".inter.parquet")]
        return (entry.name == DATA and DATA_RECORD in files and own == files) or (
            entry.name.startswith(f".{DATA}.") and entry.suffix == ".part"
        )
    return entry.is_file() and (entry.name in LOCKS or (entry.name[0] == "." and entry.suffix == ".part"))


def rerun_hint(folder: Path) -> str:
    """Return the remedy for a damaged file of results: a resume writes it again."""
    return f"make it again with --resume={folder}"


LOCKS = (".lock", "lock")  # of a run and of a sweep
DATA = "data"  # the folder of a copy
DATA_RECORD = "data.json"  # beside a copy: what it was made of


class RunFolder:
    """The files of one run.

    Attributes:
        path: the folder.
        config: resolved configuration, which is enough to repeat the run.
        log: the run's log.
        metrics: one JSON line per epoch.
        checkpoint: the state after the last finished epoch, for resume.
        best: the weights of the best validation.
        rows: the ids and rows of the run, see ``data/kept_rows.py``; not of earlier versions, sequential and
            knowledge models, two domains, or trials of a sweep, nor with ``keep_rows: False``.
        result: the result, which ``compare``, ``tune`` and users' scripts read.
        user_metrics: the metrics of each user of the test parts, for paired tests.
        tensorboard: folder of TensorBoard events.
        data: the copy of a table that the run was given in Python, a data set by its name; most have none.
        lock: the file by which a process keeps others out while it trains.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().resolve()
        self._of_user = self.path.is_dir()
        self.lock = self.path / ".lock"
        self.config = self.path / "config.yaml"
        self.log = self.path / "log.txt"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoint = self.path / "checkpoint.pt"
        self.best = self.path / "best.pt"
        self.rows = self.path / "data.npz"
        self.result = self.path / "result.json"
        self.user_metrics = self.path / "user_metrics.npz"
        self.tensorboard = self.path / "tensorboard"
        self.data = self.path / DATA

    @classmethod
    def create(cls, model: str, dataset: str, runs_path: str, run_dir: str | None) -> "RunFolder":
        """Create the folder of a new run.

        Raises:
            UsageError: ``run_dir`` exists and is not empty, or the folder cannot be created.
        """
        folder = cls(run_dir or Path(runs_path) / unique_name(f"{model}-{dataset}"))
        make_empty_folder(folder.path, "run", "run_dir", "run_dir")
        return folder

    @classmethod
    def existing(cls, path: str | Path) -> "RunFolder":
        """Open the folder of an earlier run.

        Raises:
            UsageError: there is no run in it.
        """
        folder = cls(path)
        if not folder.config.is_file():
            raise UsageError(
                f"no run in {folder.path}: config.yaml is missing; name a folder that an earlier run has made"
            )
        return folder

    def read_config(self) -> dict[str, Any]:
        """Return the resolved configuration, options of an earlier version as they are written today.

        Raises:
            RunError: the file is damaged; the message names the run.
        """
        try:
            config = stored_config(yaml_io.load_yaml(self.config))
        except UsageError as error:
            raise RunError(
                f"the run in {self.path} cannot be used: {error}; restore its config.yaml, or leave it out"
            ) from error
        if "model" not in config:
            raise RunError(
                f"the run in {self.path} cannot be used: its config.yaml names no model; restore it, or "
                "leave it out"
            )
        if (self.data / str(config.get("dataset"))).is_dir():  # also after the folder has moved
            config["data_path"] = str(self.data)
        return config

    def read_result(self) -> dict[str, Any]:
        """Return the content of ``result.json``.

        Raises:
            UsageError: the run has not ended.
            RunError: the file is damaged.
        """
        if not self.result.is_file():
            raise UsageError(
                f"the run in {self.path} has not ended: result.json is missing; continue it with "
                f"--resume={self.path}"
            )
        try:
            result = json.loads(self.result.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{self.result} is damaged: {error}; {rerun_hint(self.path)}") from error
        if damage := damage_of_result(result):
            raise RunError(f"{self.result} is damaged: {damage}; {rerun_hint(self.path)}")
        return result

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out while the block runs; the lock of a killed process ends with it.

        Raises:
            UsageError: another process trains in this folder.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.lock))
            except TimeoutError:
                raise UsageError(
                    f"another process is running the run in {self.path}; wait for it, or end it first"
                ) from None
            yield

    def discard(self) -> None:
        """Remove the files of a run whose request was wrong, unless it has trained.

        The folder is removed with them if it was made for the run, and stays if the user had made it.
        """
        if any(file.exists() for file in (self.metrics, self.checkpoint, self.best, self.result)):
            return
        for file in (self.config, self.log, self.lock, self.rows):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        shutil.rmtree(self.tensorboard, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        with contextlib.suppress(OSError, RunError):
            self.remove_drafts()
            if not self._of_user:
                self.path.rmdir()

    def remove_drafts(self) -> None:
        """Remove the drafts of a process that was killed while it saved."""
        try:
            for draft in self.path.glob(".*.part"):
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"cannot remove {error.filename}: {error.strerror}. {self.advice_for(error)}"
            ) from error

    @property
    def advice(self) -> str:
        """The advice for a file of the run that cannot be written."""
        return f"Free some space, then continue with --resume={self.path}"

    def advice_for(self, error: OSError) -> str:
        """Return the advice for an error of the system."""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"Make it writable, then continue with --resume={self.path}"
        return self.advice

    def write_config(self, resolved: Mapping[str, Any]) -> None:
        """Write the resolved configuration."""
        again = "Free some space, and give the same command again"  # without this file nothing can be resumed
        write_text(self.config, yaml_io.dump_yaml(resolved), self.advice if self.config.exists() else again)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``."""
        write_text(self.result, json.dumps(result, indent=2) + "\n", self.advice)

    def write_metrics(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Rewrite ``metrics.jsonl``; a resumed run drops the lines after its checkpoint in this way."""
        write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in records), self.advice)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Append the line of one epoch."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise RunError(
                f"cannot write {self.metrics}: {error}; the lines before it stay. {self.advice}"
            ) from error
