"""What the kinds of inputs of ``benchmarks.faults`` share: how a case is written, and the undamaged ones."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._fault_data import header, lines, write
from benchmarks._fault_runs import Case, answered, ended, started

EASE = (
    "--model=EASE",
    "--dataset=d",
    "--data_path=data",
    "--topk=5",
    "--valid_metric=Recall@5",
    "--run_dir=run",
)
SMALL = ("--epochs=1", "--topk=5", "--valid_metric=Recall@5")


@dataclass
class Start:
    """What a kind begins with.

    Attributes:
        folder: for what its inputs share, such as a trained run.
        draw: source of randomness.
    """

    folder: Path
    draw: random.Random


def case(
    name: str, argv: tuple[str, ...], right: str, before: Callable[[], Any] | None = None, **more: Any
) -> Case:
    """Return an input; kind and folder are set when it is tried."""
    return Case("", name, argv, Path(), right, before=before, **more)


def in_folder(folder: Path, make: Callable[[], Any]) -> None:
    """Make an input below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        make()


def undamaged(folder: Path, argv: tuple[str, ...], make: Callable[[Path], Any]) -> Any:
    """Return the metrics of the undamaged input."""
    make(folder / "data")
    return answered(Case("", "", argv, folder)).result


def written(content: str | bytes, as_folder: bool = False) -> Callable[[], None]:
    """Return what writes a data set into the folder where a case runs."""

    def make() -> None:
        write(Path("data"), content)
        if as_folder:
            Path("data/d/d.inter").unlink()
            Path("data/d/d.inter").mkdir()

    return make


def trained(shared: Path, model: str, options: tuple[str, ...]) -> Path:
    """Train a small run in a folder that stays; return its folder."""
    shared.mkdir(parents=True, exist_ok=True)
    run = shared / model
    write(shared / "data", header() + "".join(lines()))
    argv = (
        f"--model={model}",
        "--dataset=d",
        f"--data_path={shared / 'data'}",
        *SMALL,
        *options,
        f"--run_dir={run}",
    )
    if ended(started(argv, shared, shared / "output.txt"), 60):
        raise RuntimeError((shared / "output.txt").read_text())
    return run


def without(argv: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return a command line without one option."""
    return tuple(one for one in argv if not one.startswith(f"--{name}="))


def clean() -> None:
    """Write the undamaged data set into the folder where a case runs."""
    write(Path("data"), header() + "".join(lines()))


def configured(text: str | bytes) -> Callable[[], None]:
    """Return what writes the undamaged data set and a configuration file."""

    def make() -> None:
        clean()
        Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    return make
