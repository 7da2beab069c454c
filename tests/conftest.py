"""What the tests share: a quiet environment, the devices, and a data set whose answer is known."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch is loaded, here and in every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Trials of Ray are 15 steps of niceness below, and would wait for the tests of the other processes.
os.environ.setdefault("RAY_worker_niceness", "0")

import pytest
import torch
from support.finished_runs import make_run, sweep, write_run  # noqa: F401
from support.trained_runs import folder_of, loaded, served_data  # noqa: F401

from recbole_diffusion.testing import DataSet, make_two_domains
from recbole_diffusion.testing import checkerboard as checkerboards

# The longest files, each of more than half a minute: sweeps, which wait much, and what computes meanwhile.
FIRST = ("test_cluster.py", "test_rehearsal.py", "test_sweep.py", "test_ccdrec.py", "test_cold_baselines.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: last, they would leave the other processes without work."""
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


def pytest_collection_finish() -> None:
    """What is loaded now stays: the garbage collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quiet_environment() -> Iterator[None]:
    """RecBole reads ``sys.argv`` in places: here it sees no option. Torch uses two threads at most."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pytest"])
        if not torch.cuda.is_available():  # else each seed would keep a trace of the stack for a later start
            patch.setattr(torch.cuda, "manual_seed", lambda _: None)
            patch.setattr(torch.cuda, "manual_seed_all", lambda _: None)
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
        "preset",
        "items",
        "metrics_version",
        "parameters",
        "train_batch_size",
        "batches_per_epoch",
        "learning_rate",
        "best_epoch",
        "best_valid_score",
        "valid",
        "test",
        "groups",
        "rated",
        "split",
        "diagnostics",
        "overlap",
        "parts",
    ]
    return [*run, "seconds", "epoch_seconds", "peak_rss_mb", "versions", "command"]


@pytest.fixture
def write_parts(tmp_path: Path) -> Callable[..., DataSet]:
    """Return a function that writes interaction pairs, by part, as a pre-split data set."""

    def write(name: str = "toy", **parts: list[tuple[str, str]]) -> DataSet:
        return checkerboards.write_parts(tmp_path, name, parts)

    return write


@pytest.fixture
def checkerboard(tmp_path: Path) -> DataSet:
    """50 users, 50 items; each user likes one parity's 25: 20 in train, 2 in valid, 3 in test."""
    return checkerboards.make_checkerboard(tmp_path)


@pytest.fixture
def two_domains(tmp_path: Path) -> DataSet:
    """Two domains of one taste, see ``two_domains.py``."""
    return make_two_domains(tmp_path)


@pytest.fixture(scope="session")
def stage_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder of trained factorisations: models of the same data and options train them once."""
    return str(tmp_path_factory.mktemp("stages"))
