"""One run trained by several workers of a Ray cluster, with Ray Train.

The data set is read here and reaches the workers through Ray's object store; the run folder, which worker 0
writes, is one that every node sees. Each start of the workers is a resume, so that a lost one costs an epoch.
"""

import contextlib
import copy
import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, release_dataset
from recbole_diffusion.errors import Interrupted, RunError, UsageError, counted
from recbole_diffusion.quick_start.earlier import continued, resumed
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.storage.run_log import logging_to
from recbole_diffusion.storage.slow_step import told_if_slow
from recbole_diffusion.trainer.divided import check_divided
from recbole_diffusion.tuning.ray_session import LOCAL, ray_running
from recbole_diffusion.tuning.trial import exclusive
from recbole_diffusion.tuning.workers import run_as_worker, use_threads

START_SECONDS = 180  # for which a Ray of this machine is tried to be started
TIMES = 3  # how often the workers are started again after one was lost
FILES = "ray"  # folder of Ray Train's own files, which nothing reads; removed at the end
HERE = {"use_gpu": False, "show_progress": False}  # workers are processors of other machines


def train_on_workers(
    model: str | None,
    dataset: str | None,
    *,
    workers: int,
    cpus: int = 1,
    address: str | None = None,
    config_files: Iterable[str | Path] = (),
    overrides: Mapping[str, Any] | None = None,
    resume: str | Path | None = None,
    continue_from: str | Path | None = None,
    command: str | None = None,
) -> dict[str, Any]:
    """Train and evaluate one model by several workers, with the losses of a run by one.

    Args:
        model: as in ``run``.
        dataset: as in ``run``.
        workers: how many; each computes its rows of every batch.
        cpus: processor threads of each.
        address: of a Ray cluster; None or ``local`` for a private Ray of this machine.
        config_files: as in ``run``.
        overrides: as in ``run``.
        resume: as in ``run``.
        continue_from: as in ``run``.
        command: as in ``run``.

    Returns:
        The content of ``result.json``, and ``run_dir``.

    Raises:
        UsageError: the request cannot be run, nothing of it stays. RunError: the run failed.
        Interrupted: Ctrl-C, with the run folder.
    """
    if (overrides or {}).get("use_gpu"):
        raise UsageError(
            "several workers train on processors, use_gpu is True; leave it or train_workers out"
        )
    given, files = {**(overrides or {}), **HERE}, list(config_files)
    if resume is not None:
        folder, config = resumed(resume, model, dataset, files, given)
    elif continue_from is not None:
        config = continued(continue_from, model, dataset, files, given)
    else:
        config = Config(model, dataset, files, given)
    check_divided(config)
    if resume is None:
        names = config.model_class.__name__, config["dataset"]
        folder = RunFolder.create(*names, config.general.runs_path, config.general.run_dir)
        folder.write_config(config.resolved)
    changed = {**given} if resume is not None else HERE
    request = {"model": config["model"], "resume": str(folder.path), "overrides": changed, "command": command}
    try:
        # What is told of the data belongs into the run's log, which the workers go on with.
        with told_if_slow(f"loading data set {config['dataset']}"), logging_to(folder.log, "WARNING"):
            prepared = release_dataset(create_dataset(config))
        advice = "Leave --train_workers out to train in this process"
        with ray_running(address, START_SECONDS, advice), _shown(folder.log):
            _check_room(workers, cpus, address)
            _fit(folder, prepared, request, workers, cpus)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(folder.path) from interrupt
    except UsageError:
        if resume is None:
            folder.discard()
        raise
    return {**folder.read_result(), "run_dir": str(folder.path)}


def _check_room(workers: int, cpus: int, address: str | None) -> None:
    """Check that the nodes have room for all workers; otherwise Ray would wait forever.

    Raises:
        UsageError: they have not.
    """
    import ray

    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    room = sum(node // cpus for node in nodes)
    if workers > room:
        where = (
            "this machine" if address in (None, LOCAL) else f"the cluster of {counted(len(nodes), 'node')}"
        )
        raise UsageError(
            f"{counted(workers, 'worker')} of {counted(cpus, 'processor')} each are asked for, but {where} "
            f"has room for {room}; lower train_workers or worker_cpus, or add nodes"
        )


def _fit(folder: RunFolder, prepared: Any, request: dict[str, Any], workers: int, cpus: int) -> None:
    """Start the workers, and again from the checkpoint when one is lost, until the run has ended."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    for name in ("ray.train", "ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    files = folder.path / FILES
    job = {"request": request, "threads": cpus, "directory": os.getcwd(), "data": [ray.put(prepared)]}
    trainer = TorchTrainer(
        train_part,
        train_loop_config=job,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=ScalingConfig(
            num_workers=workers, resources_per_worker={"CPU": cpus}, placement_strategy="SPREAD"
        ),
        run_config=RunConfig(
            name="train", storage_path=str(files), failure_config=FailureConfig(max_failures=TIMES)
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _told(error, folder) from error
    finally:
        shutil.rmtree(files, ignore_errors=True)


def train_part(job: Mapping[str, Any]) -> None:
    """Train as one of the workers; Ray Train calls this in each of them.

    Args:
        job: worker 0's arguments of ``run``, ``threads``, ``directory``, to which relative paths refer, and
            ``data``, a reference to the data set.

    Raises:
        RunError: this worker is to write the run folder and does not see it.
    """
    use_threads(job["threads"])
    if os.path.isdir(job["directory"]):
        os.chdir(job["directory"])
    import ray
    from ray.train import get_context

    from recbole_diffusion.model.batch_share import BatchShare

    context = get_context()
    share, request = BatchShare(context.get_world_rank(), context.get_world_size()), job["request"]
    if share.rank == 0 and not RunFolder(request["resume"]).config.is_file():
        raise RunError(
            f"the node {ray.util.get_node_ip_address()} does not see the run folder {request['resume']}; "
            "give --runs_path a folder that every node sees at the same path"
        )
    # A copy: objects from the store are in shared memory, which is read-only.
    prepared = copy.deepcopy(ray.get(job["data"][0]))
    if share.rank:
        run_as_worker(share, None, prepared)
        return
    # The process of a node that Ray takes for dead can live on for a while.
    with exclusive(Path(request["resume"]) / FILES / "lock"):
        run_as_worker(share, request, prepared)


def _told(error: Any, folder: RunFolder) -> Exception:
    """Return what has failed in the workers, in one line: an error of a worker's own, if there is one."""
    failures = list(getattr(error, "worker_failures", {}).values())
    causes = [_cause(one) for one in failures] or [_cause(getattr(error, "controller_failure", error))]
    for cause in causes:
        if isinstance(cause, UsageError):
            return cause
    ours = [cause for cause in causes if isinstance(cause, RunError)]
    lines = str((ours or causes)[0]).strip().splitlines() or [type(causes[0]).__name__]
    end = f". Continue with --resume={folder.path}" if folder.checkpoint.is_file() else ""
    return RunError(lines[-1][:500] + end if ours else f"the workers have failed: {lines[-1][:300]}{end}")


def _cause(error: Any) -> Any:
    """Return the exception inside of Ray's."""
    for name in ("_base_exc", "cause", "__cause__"):
        inner = getattr(error, name, None)
        if isinstance(inner, BaseException):
            return _cause(inner)
    return error


@contextlib.contextmanager
def _shown(log: Path) -> Iterator[None]:
    """Copy what worker 0 writes into the run's log to standard error while the block runs."""
    ended = threading.Event()
    place = log.stat().st_size if log.is_file() else 0

    def copied(start: int) -> int:
        if not log.is_file():
            return start
        with log.open("rb") as file:
            file.seek(start)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        sys.stderr.write(whole.decode("utf-8", "replace"))
        return start + len(whole)

    def follow() -> None:
        start = place
        while not ended.wait(1):
            start = copied(start)
        copied(start)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join(timeout=5)
