"""The kills of ``benchmarks.faults``: a command ends at a random moment and is run again."""

import hashlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks._fault_data import header, lines, write
from benchmarks._fault_runs import ended, result_of, started

COUNTS = ("results", "kills", "same", "different", "failed")
LONGEST = 120.0


class Command(NamedTuple):
    """A command that is killed.

    Attributes:
        name: for the page.
        argv: the command line; it writes to ``run``.
        again: what goes on after a kill; it is taken if ``run`` has something in it.
        read: what it has made.
    """

    name: str
    argv: Sequence[str]
    again: Sequence[str]
    read: Callable[[Path], object]


@dataclass
class Killed:
    """What kills of one command gave."""

    name: str
    results: int = 0
    kills: int = 0
    same: int = 0
    different: int = 0
    failed: int = 0


def _train(model: str, *options: str) -> Command:
    argv = (f"--model={model}", "--dataset=d", "--data_path=data", "--topk=5", "--valid_metric=Recall@5")
    return Command(
        model, (*argv, "--checkpoint_interval=1", *options, "--run_dir=run"), ("--resume=run",), result_of
    )


def _files(folder: Path) -> dict[str, str]:
    """Return the content of all files of a folder, hashed, without those that tell the time of writing.

    Hidden files are drafts that a kill has left beside; the next command does not read them.
    """
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.name not in ("split.json", "export.json")
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    }


def commands(trained: Path) -> list[Command]:
    """Return the commands; those that serve read a run at ``trained``."""
    split = ("split", "--dataset=d", "--data_path=data", "--shift=popularity", "--output=run/split")
    serve = ("recommend", f"--run={trained}", "--all", "--k=5", "--output=run/lists.csv")
    export = ("export", f"--run={trained}", "--output=run/vectors")
    return [
        _train("TVDiff", "--epochs=6", "--hidden_size=8"),
        _train("CNSDiff", "--epochs=4", "--embedding_size=8"),
        _train("DGRM", "--epochs=6", "--hidden_size=8", "--steps=3", "--rating_scale=[1, 5]"),
        _train("BPR", "--epochs=8", "--embedding_size=8"),
        _train("LightGCN", "--epochs=6", "--embedding_size=8"),
        _train("MultiVAE", "--epochs=6"),
        _train("EASE"),
        Command("split", split, split, _files),
        Command("recommend", serve, (*serve, "--overwrite"), _files),
        Command("export", export, (*export, "--overwrite"), _files),
    ]


def killed(folder: Path, kills: int, seed: int) -> list[Killed]:
    """Kill each command at random moments until ``kills`` of all took place.

    Args:
        folder: where the runs go.
        kills: the number of kills of all commands together; 0: none.
        seed: of the moments.
    """
    if not kills:
        return []
    draw, data = random.Random(f"{seed} kills"), header() + "".join(lines())
    base = folder / "kills"
    write(base / "data", data)
    model = _train("BPR", "--epochs=1", "--embedding_size=8")
    if ended(started(model.argv, base, base / "output.txt"), LONGEST):
        raise RuntimeError((base / "output.txt").read_text())
    trained = (base / "run").rename(base / "trained")
    found = []
    todo = commands(trained)
    for number, command in enumerate(todo):
        wanted = kills // len(todo) + (number < kills % len(todo))
        found.append(_kills_of(command, wanted, base / str(number), data, draw))
    return found


def _kills_of(command: Command, wanted: int, folder: Path, data: str, draw: random.Random) -> Killed:
    """Kill one command ``wanted`` times, in as many runs as that takes."""
    counts = Killed(command.name)
    began = time.monotonic()
    right = _undisturbed(command, folder, data)
    took = time.monotonic() - began
    while counts.kills < wanted:
        counts.results += 1
        _fresh(folder, data)
        code = None
        while code is None:
            may = counts.kills < wanted
            code = _once(command, folder, draw.uniform(0, took) if may else LONGEST)
            counts.kills += code is None
        # Killed behind its last file, a command may refuse to make anew what is whole.
        if code and command.read(folder / "run") != right:
            counts.failed += 1
            print(f"{command.name}: {code}: {(folder / 'output.txt').read_text()[-400:]}", flush=True)
        elif command.read(folder / "run") == right:
            counts.same += 1
        else:
            counts.different += 1
            print(f"{command.name}: another result", flush=True)
    shutil.rmtree(folder)
    return counts


def _once(command: Command, folder: Path, seconds: float) -> int | None:
    """Run the command, or what goes on with it; return its exit code, or None after killing it."""
    begun = any((folder / "run").glob("*")) if command.again else False
    argv = command.again if begun else command.argv
    if command.again == ("--resume=run",) and not (folder / "run" / "config.yaml").is_file():
        argv = command.argv  # killed before the run knew its options
    child = started(argv, folder, folder / "output.txt")
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # between its fork and its session
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _undisturbed(command: Command, folder: Path, data: str) -> object:
    _fresh(folder, data)
    if ended(started(command.argv, folder, folder / "output.txt"), LONGEST):
        raise RuntimeError(f"{command.name}: {(folder / 'output.txt').read_text()}")
    return command.read(folder / "run")


def _fresh(folder: Path, data: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    write(folder / "data", data)
    (folder / "run").mkdir(exist_ok=True)
