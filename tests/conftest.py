"""What the tests share: a quiet environment, the devices, and a data set whose answer is known."""

import os
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch is loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from support.data_set import DataSet
from support.finished_runs import make_run, sweep, write_run  # noqa: F401
from support.trained_runs import folder_of, loaded, served_data  # noqa: F401

PARTS = ("train", "valid", "test")


@pytest.fixture(scope="session", autouse=True)
def quiet_environment() -> Iterator[None]:
    """RecBole reads ``sys.argv`` in places: here it sees no option. Torch uses two threads at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pytest"])
        torch.set_num_threads(min(2, torch.get_num_threads()))
        yield


@pytest.fixture(
    params=[
        "cpu",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")),
    ]
)
def torch_device(request: pytest.FixtureRequest) -> torch.device:
    """Each device of this machine; a run goes to it with ``use_gpu: torch_device.type == "cuda"``."""
    return torch.device(request.param)


@pytest.fixture
def result_keys() -> list[str]:
    """What every ``result.json`` holds, in order (section 4 of the design)."""
    run = [
        "model",
        "dataset",
        "selection",
        "seed",
        "parameters",
        "best_epoch",
        "best_valid_score",
        "valid",
        "test",
        "groups",
        "rated",
        "split",
        "diagnostics",
        "parts",
    ]
    return [*run, "seconds", "epoch_seconds", "peak_rss_mb", "versions", "command"]


@pytest.fixture
def write_parts(tmp_path: Path) -> Callable[..., DataSet]:
    """Return a function that writes interaction pairs, by part, as a pre-split data set."""

    def write(name: str = "toy", **parts: list[tuple[str, str]]) -> DataSet:
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for part, pairs in parts.items():
            rows = ["user_id:token\titem_id:token", *(f"{user}\t{item}" for user, item in pairs)]
            (folder / f"{name}.{part}.inter").write_text("\n".join(rows) + "\n")
        overrides = {
            "dataset": name,
            "data_path": str(folder.parent),
            "runs_path": str(tmp_path / "runs"),
            "benchmark_filename": list(parts),
            "load_col": {"inter": ["user_id", "item_id"]},
            "use_gpu": False,
        }
        return DataSet(name, folder.parent, overrides)

    return write


@pytest.fixture
def checkerboard(write_parts: Callable[..., DataSet]) -> DataSet:
    """50 users, 50 items; each user likes the 25 items of the own parity: 20 in train, 2 in valid and 3 in test.

    The five items of the right parity outside a user's train part are the answer; every item of the other
    parity is wrong.
    """
    draw = random.Random(7)
    parts: dict[str, list[tuple[str, str]]] = {part: [] for part in PARTS}
    for user in range(50):
        items = draw.sample(range(user % 2, 50, 2), 25)
        for part, chosen in zip(PARTS, (items[:20], items[20:22], items[22:]), strict=True):
            parts[part] += [(f"u{user}", f"i{item}") for item in chosen]
    for pairs in parts.values():
        draw.shuffle(pairs)
    data = write_parts("checkerboard", **parts)
    by_part = {part: defaultdict(set) for part in PARTS}
    for part, pairs in parts.items():
        for user, item in pairs:
            by_part[part][user].add(item)
    data.withheld, data.known = dict(by_part["test"]), dict(by_part["train"])
    return data


@pytest.fixture
def two_domains(tmp_path: Path) -> DataSet:
    """Two domains of one taste, see ``two_domains.py``."""
    from support.two_domains import make_two_domains

    return make_two_domains(tmp_path)


@pytest.fixture(scope="session")
def stage_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder of trained factorisations: models of the same data and options train them once."""
    return str(tmp_path_factory.mktemp("stages"))
