"""The inputs of ``benchmarks.faults``, by kind: what is damaged, how, and what is right. All from a seed."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import _fault_files as files
from benchmarks import _fault_options as options
from benchmarks import _fault_runs_damaged as runs
from benchmarks._fault_cases import Start
from benchmarks._fault_runs import Case

KINDS: dict[str, tuple[str, Callable[[Start], Iterator[Case]]]] = {
    "inter": ("damaged interaction files", files.inter_cases),
    "time": ("times that are none, or missing", files.time_cases),
    "parts": ("parts that overlap or do not fit", files.parts_cases),
    "option": ("options of a type, range or name that they do not have", options.option_cases),
    "yaml": ("configuration files", options.yaml_cases),
    "words": ("command lines of all commands", options.words_cases),
    "scores": ("scores that are none", runs.scores_cases),
    "features": ("feature files of items", files.features_cases),
    "users": ("files of users and histories", files.users_cases),
    "run": ("damaged run folders and checkpoints", runs.run_cases),
    "sweep": ("options of a sweep", options.sweep_cases),
    "bytes": ("bytes changed at random, in all of these files", runs.bytes_cases),
}


def cases(kind: str, folder: Path, seed: int) -> Iterator[Case]:
    """Yield the inputs of one kind, each with a folder of its own below ``folder``."""
    made = KINDS[kind][1](Start(folder / "shared", random.Random(f"{seed} {kind}")))
    for number, case in enumerate(made):
        case.kind, case.folder = kind, folder / str(number)
        yield case
