"""Lists of known users, made on a Ray cluster by blocks of users.

The model and what it leaves out go into Ray's object store once, so that a node needs neither the run folder
nor the data set; a worker process keeps its copy for all of its blocks. The blocks are those that one process
would make, so that the lists are the same. A block whose worker or node is lost is made again elsewhere.
"""

import contextlib
import dataclasses
import os
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.serving.ranking import RecommendationBlock
from recbole_diffusion.serving.recommend import KnownRanking
from recbole_diffusion.storage.versions import __version__
from recbole_diffusion.tuning.ray_session import ray_running
from recbole_diffusion.tuning.workers import use_threads

START_SECONDS = 180  # for which a Ray of this machine is tried to be started
TIMES = 3  # how often a block is made again after its worker was lost
AHEAD = 2  # blocks under way for each worker: one waits while another is ranked
_kept: dict[str, Any] = {}  # in a worker: the finder and the ranking of the current command, by its object


@contextlib.contextmanager
def ray_lists(
    ranking: KnownRanking, users: np.ndarray, k: int, address: str, workers: int | None, notes: list[str]
) -> Iterator[Iterator[RecommendationBlock]]:
    """Provide the lists of users, by block and in order, made by a cluster that stays connected meanwhile.

    Args:
        ranking: what the lists are made of, on the CPU.
        users: internal numbers, int64 [n].
        k: length of a list.
        address: of the cluster, or ``local``.
        workers: blocks that are ranked at a time; None: as many as the cluster has processors.
        notes: gets a line on the nodes that took part, at the end.

    Raises:
        UsageError: no Ray, no cluster at the address, or one without processors.
        RunError: Ray does not start; a block has failed, or was lost too often.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"ray_address needs Ray, which cannot be imported ({error}); pip install 'ray[tune]>=2.51,<3', "
            "or the extra [tune], or leave ray_address out"
        ) from error
    with ray_running(address, START_SECONDS, "Leave --ray_address out to rank in this process"):
        cores = int(ray.cluster_resources().get("CPU", 0))
        if not cores:
            raise UsageError(
                f"the Ray cluster at ray_address {address!r} has no processors to rank with; add a node, or "
                "leave ray_address out"
            )
        yield _lists(ranking, users, k, min(workers or cores, cores), notes)


def _lists(
    ranking: KnownRanking, users: np.ndarray, k: int, workers: int, notes: list[str]
) -> Iterator[RecommendationBlock]:
    """Yield the blocks in order, a few under way at a time."""
    import ray

    try:
        parcel = ray.put((__version__, ranking, k))
        task = ray.remote(num_cpus=1, max_retries=TIMES, scheduling_strategy="SPREAD")(rank_block)
        starts = deque(range(0, len(users), ranking.size))
        under_way: deque[Any] = deque()
        blocks, nodes, processes = 0, set[str](), set[tuple[str, int]]()
        while starts or under_way:
            while starts and len(under_way) < AHEAD * workers:
                start = starts.popleft()
                # In a list, the parcel is passed as a reference: a worker fetches it once.
                under_way.append(task.remote([parcel], start, users[start : start + ranking.size]))
            block, node, process = ray.get(under_way.popleft())
            blocks, nodes, processes = blocks + 1, nodes | {node}, processes | {(node, process)}
            yield block
    except ray.exceptions.RayError as error:
        raise _told(error) from error
    several = "process" if len(processes) == 1 else "processes"
    notes.append(
        f"ranked on Ray: {counted(blocks, 'block')} of {ranking.size:,} users, {len(processes)} {several} on "
        f"{counted(len(nodes), 'node')}"
    )


def rank_block(parcel: list, start: int, users: np.ndarray) -> tuple[RecommendationBlock, str, int]:
    """Return the lists of one block, the node that made them and the process; Ray runs this in a worker.

    Args:
        parcel: a reference to this package's version, the :class:`KnownRanking` and the length of a list.
        start: index of the block's first user among those asked for.
        users: internal numbers, int64 [block].

    Raises:
        RunError: another version is installed here, or a score is not finite.
    """
    import ray

    key = parcel[0].hex()
    if key not in _kept:
        use_threads(1)
        _kept.clear()  # of an earlier command
        version, ranking, k = ray.get(parcel[0])
        if version != __version__:
            raise RunError(
                f"the command has recbole-diffusion {version}, but the node {ray.util.get_node_ip_address()} "
                f"has {__version__}; install the same version on every node"
            )
        _kept[key] = ranking, ranking.finder(), k
    ranking, find, k = _kept[key]
    (made,) = ranking.lists(find, users, k)
    return dataclasses.replace(made, start=start), ray.get_runtime_context().get_node_id(), os.getpid()


def _told(error: Any) -> RunError:
    """Return what has failed on the cluster, in one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, RunError):
        return RunError(str(cause))
    lines = [line.strip() for line in str(cause or error).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    what = f"{type(cause or error).__name__}: {lines[-1][:300]}"
    return RunError(
        f"ranking on the Ray cluster has failed: {what}. Each node needs the same Python, Ray and packages "
        "as this machine, and memory for the model; leave --ray_address out to rank in this process"
    )
