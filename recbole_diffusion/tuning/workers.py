"""Several processes that train one run: what each of them does, and the group of a trial's processes.

Worker 0 writes the run folder; the others train in a folder that is removed, and need to see nothing of the
run but its data set. So a run goes on from its checkpoint wherever its workers are.
"""

import contextlib
import copy
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from recbole_diffusion.errors import RunError
from recbole_diffusion.storage.run_folder import RunFolder

MEETING = timedelta(minutes=5)  # within which all workers of a group must have come


def use_threads(number: int) -> None:
    """Let this process compute with ``number`` threads, whether torch is loaded before or after."""
    os.environ["OMP_NUM_THREADS"] = str(number)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(number)


def run_as_worker(share: Any, request: Mapping[str, Any] | None, prepared: Any) -> dict[str, Any]:
    """Train as one of several workers, which are in torch's default process group; return worker 0's result.

    Args:
        share: the worker's ``BatchShare``.
        request: worker 0's arguments of ``run``: a new run with its ``run_dir``, or one to resume.
        prepared: the data set, used up.
    """
    from recbole_diffusion.quick_start import run
    from recbole_diffusion.trainer.divided import agreed

    files: dict[str, bytes] = {}
    if request is not None and request.get("resume"):
        folder = RunFolder(request["resume"])
        needed = folder.config, folder.checkpoint, folder.best
        files = {file.name: file.read_bytes() for file in needed if file.is_file()}
    # A callback is worker 0's alone.
    sent = {name: value for name, value in (request or {}).items() if name != "on_epoch"}
    given, files = agreed(share, (sent, files))
    if share.rank == 0:
        return run(**(request or {}), prepared=prepared, share=share)
    with tempfile.TemporaryDirectory(prefix="worker") as scratch:
        own = Path(scratch) / "run"
        if given.get("resume"):
            own.mkdir()
            for name, content in files.items():
                (own / name).write_bytes(content)
            _without_origin(RunFolder(own))
            given["resume"] = str(own)
        else:
            # Weights come from worker 0.
            given["overrides"] = {**given["overrides"], "run_dir": str(own), "load_checkpoint": None}
        return run(**{**given, "test": False}, prepared=prepared, share=share)


def _without_origin(folder: RunFolder) -> None:
    """Let a run begin with the weights that it makes: those of ``load_checkpoint`` come from worker 0."""
    folder.write_config({**folder.read_config(), "load_checkpoint": None})


@contextlib.contextmanager
def trial_group(job: Mapping[str, Any], data: list) -> Iterator[Any]:
    """Start the other workers of a trial, in the bundles of its placement group; yield worker 0's share.

    Yields None for a trial of one worker.

    Args:
        job: the settings of all trials, with ``workers``.
        data: a reference to the prepared data set; empty without one.

    Raises:
        RunError: another worker has failed.
    """
    if job["workers"] == 1:
        yield None
        return
    import ray
    from ray.util import get_current_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    from recbole_diffusion.model.batch_share import BatchShare

    address = f"tcp://{ray.util.get_node_ip_address()}:{_free_port()}"
    others, group = [], get_current_placement_group()
    assert group is not None  # Tune puts each trial into one
    for rank in range(1, job["workers"]):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=rank)
        task = ray.remote(num_cpus=job["threads"], max_retries=0, scheduling_strategy=place)(run_other_worker)
        others.append(task.remote(address, rank, job, data))
    try:
        with process_group(address, 0, job["workers"]):
            yield BatchShare(0, job["workers"])
    except RunError:
        raise
    except RuntimeError as error:
        # What torch says is only that the other has gone.
        ended, _ = ray.wait(others, num_returns=1, timeout=2)
        try:
            ray.get(ended)
        except ray.exceptions.RayError as cause:
            last = str(cause).strip().splitlines()[-1]
            raise RunError(f"a worker of the trial has failed: {last}") from error
        raise
    finally:
        for other in others:
            ray.cancel(other, force=True)


def run_other_worker(address: str, rank: int, job: Mapping[str, Any], data: list) -> None:
    """Train as a worker of a trial that is not its first."""
    import ray

    from recbole_diffusion.model.batch_share import BatchShare

    use_threads(job["threads"])
    prepared = copy.deepcopy(ray.get(data[0])) if data else None
    if os.path.isdir(job["directory"]):
        os.chdir(job["directory"])
    with process_group(address, rank, job["workers"]):
        run_as_worker(BatchShare(rank, job["workers"]), None, prepared)


@contextlib.contextmanager
def process_group(address: str, rank: int, workers: int) -> Iterator[None]:
    """Be a process of torch's default group while the block runs; messages go between processors (gloo).

    Args:
        address: where worker 0 waits for the others, ``tcp://HOST:PORT`` or ``file:///PATH``.
        rank: number of this worker.
        workers: how many there are.
    """
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=address, rank=rank, world_size=workers, timeout=MEETING)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]
