"""A Ray instance to run trials on: a private one, a running cluster, or one that is already connected."""

import contextlib
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.options.whole_number import whole_number
from recbole_diffusion.storage.signals import ended_by_sigterm
from recbole_diffusion.tuning.options import SweepOptions, check_local, cores_here

LOCAL = "local"  # the address of a private Ray of this machine
REACHED_WITHIN = 10  # seconds within which a cluster's address must answer
# Ray reads these when it starts and passes them to the trials' processes.
ENVIRONMENT = {
    # Trials without a GPU have use_gpu: False; CUDA_VISIBLE_DEVICES is the user's.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the sweep has its own display
    "RAY_USAGE_STATS_ENABLED": "0",
    # Trials have the priority of the command: 15 steps below it, Ray's own, their seconds would say little.
    "RAY_worker_niceness": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run folders hold more than Tune's own log files
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the command, as it does elsewhere
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "0",
}


@contextlib.contextmanager
def ray_session(options: SweepOptions, folder: Path) -> Iterator[None]:
    """Keep Ray connected while the trials of a sweep run; see :func:`ray_running`.

    Args:
        options: the sweep's options.
        folder: the sweep's folder, for messages.

    Raises:
        UsageError: no cluster at ``ray_address``, or no node with the resources of one trial.
        RunError: Ray does not start.
    """
    import ray
    import torch

    if not (options.ray_address or ray.is_initialized()):
        check_local(options, cores_here(), torch.cuda.device_count())
    advice = (
        f"The sweep is in {folder}; continue with tune --resume={folder}, if need be with a longer "
        "--ray_start_seconds, or without Ray with --max_concurrent=0"
    )
    with ray_running(options.ray_address, options.ray_start_seconds, advice):
        check_cluster(options)
        yield


@contextlib.contextmanager
def ray_running(address: str | None, patience: int, advice: str) -> Iterator[None]:
    """Keep Ray connected while the block runs; a Ray that was started here is stopped, its files removed.

    Args:
        address: of a running cluster; None or ``local`` for a private Ray of this machine. A Ray that this
            process is connected to already is taken as it is.
        patience: seconds for which a Ray of this machine is tried to be started.
        advice: the end of the message if it does not start.

    Raises:
        UsageError: no cluster at the address.
        RunError: Ray does not start.
    """
    with _environment():
        import ray

        if ray.is_initialized():
            yield
            return
        scratch = None
        try:
            if address not in (None, LOCAL):
                _connect(address)
            else:
                # The folder of Ray's sockets, whose paths may have no more than 107 characters.
                scratch = tempfile.mkdtemp(prefix="ray", dir="/tmp" if os.path.isdir("/tmp") else None)
                _start(scratch, patience, advice)
            with ended_by_sigterm():  # Ray itself would print a trace and leave its files
                yield
        finally:
            ray.shutdown()
            if scratch:
                shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Set the variables of ENVIRONMENT that the user has not set, and unset them afterwards."""
    added = [name for name in ENVIRONMENT if name not in os.environ]
    os.environ |= {name: ENVIRONMENT[name] for name in added}
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _start(scratch: str, patience: int, advice: str) -> None:
    import ray
    import torch

    gpus = torch.cuda.device_count()
    deadline = time.monotonic() + patience
    while True:
        try:
            with _on_loopback():
                ray.init(
                    address="local",
                    num_cpus=cores_here(),
                    num_gpus=gpus,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=scratch,
                )
            return
        except Exception as error:  # of many kinds, and a bare Exception on a machine that is too busy
            ray.shutdown()
            if time.monotonic() >= deadline:
                text = " ".join(str(error).split())[:300]
                raise RunError(f"Ray does not start on this machine: {text}. {advice}") from error


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Let a Ray that starts in the block bind to the loopback address alone, as it does on macOS and Windows.

    Its option for the address replaces 127.0.0.1 by the machine's address in the network.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _connect(address: str) -> None:
    import ray

    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if number := whole_number(port):  # where nothing listens, Ray would try for minutes
            socket.create_connection((host.strip("[]"), number), timeout=REACHED_WITHIN).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError, OverflowError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"no Ray cluster at ray_address {address!r}: {first}. Start one with 'ray start --head' and give "
            "--ray_address=auto on that machine, or leave out ray_address to use only this machine"
        ) from error


def check_cluster(options: SweepOptions) -> None:
    """Check that some node has room for one trial; otherwise Ray would let it wait forever.

    Raises:
        UsageError: there is none.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for name, wanted in (("CPU", options.trial_cpus), ("GPU", options.trial_gpus)):
        most = max((node.get(name, 0) for node in nodes), default=0)
        if wanted > most:
            raise UsageError(
                f"a trial asks for {wanted:g} {name}, but the largest of {counted(len(nodes), 'node')} has "
                f"{most:g}; lower trial_{name.lower()}s, or add a node that has them before the sweep starts"
            )
    room = sum(int(node.get("CPU", 0)) // options.trial_cpus for node in nodes)
    if options.workers_per_trial > room:
        raise UsageError(
            f"a trial asks for {options.workers_per_trial} workers with {options.trial_cpus} CPU each, "
            f"but the {len(nodes)} nodes have room for {room}; lower workers_per_trial or trial_cpus, or add "
            "a node"
        )
