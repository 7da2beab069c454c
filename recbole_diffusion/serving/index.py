"""An index of item vectors by inner product (faiss: HNSW or exact), what it cannot find, and its recall."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import breadth_first_order

from recbole_diffusion.errors import UsageError

FILE = "items.faiss"
NEIGHBOURS, BUILD_EFFORT, EFFORT = 32, 200, 256  # links of a node; candidates while building; while searching
KINDS = ("none", "faiss", "flat")
LEAST_RECALL = 0.99  # below it, a warning
SLACK = 1e-6  # relative error of a score that still counts as equal
COMPARED = 1000  # users, evenly spaced, whose lists are compared


def require_faiss() -> Any:
    """Return the module faiss.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise UsageError(
            "--index needs faiss; install it (pip install 'recbole-diffusion[index]'), or leave out --index"
        ) from error
    faiss.omp_set_num_threads(torch.get_num_threads())
    return faiss


def centred(items: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return item vectors whose offsets have a mean of 0, and what was taken from each coordinate.

    A coordinate in which all users have one value holds an offset of each item. The same number less for each
    item changes no user's ranking, but HNSW leaves items without a link where offsets point one way.

    Args:
        items: vectors, [items, d].
        users: vectors, [users, d].
    """
    constant = np.flatnonzero((users == users[:1]).all(0) & (users[0] != 0) & (items != items[:1]).any(0))
    moved, means = items.copy(), items[:, constant].mean(0, dtype=np.float64).astype(np.float32)
    moved[:, constant] -= means
    return moved, {str(place): float(mean) for place, mean in zip(constant, means, strict=True)}


def build_index(items: np.ndarray, path: Path, kind: str, users: np.ndarray) -> dict[str, Any]:
    """Write an index of item vectors and return its description; result r is row r.

    Args:
        items: vectors, [items, d].
        path: the file.
        kind: one of KINDS: ``faiss`` (HNSW, approximate) or ``flat`` (exact).
        users: vectors that will be searched for, [users, d].
    """
    faiss = require_faiss()
    start = time.perf_counter()
    if kind == "flat":
        index = faiss.IndexFlatIP(items.shape[1])
        index.add(items)
        told: dict[str, Any] = {"kind": "faiss flat, inner product, exact"}
    else:
        moved, subtracted = centred(items, users)
        index = faiss.IndexHNSWFlat(items.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD_EFFORT
        index.hnsw.efSearch = EFFORT
        index.add(moved)
        name = f"faiss HNSW{NEIGHBOURS}, inner product, efConstruction {BUILD_EFFORT}, efSearch {EFFORT}"
        told = {"kind": name, "subtracted": subtracted}
    faiss.write_index(index, str(path))
    return {"file": path.name, **told, "build_seconds": round(time.perf_counter() - start, 2)}


def unreachable(hnsw: Any) -> np.ndarray:
    """Return the items of an HNSW graph to which no way of links leads from the upper levels, int64 [n].

    No search returns them, whatever its effort.
    """
    faiss = require_faiss()
    levels, links = faiss.vector_to_array(hnsw.levels), faiss.vector_to_array(hnsw.neighbors)
    begins, n = faiss.vector_to_array(hnsw.offsets)[:-1].astype(np.int64), len(levels)
    of_node = links[begins[:, None] + np.arange(hnsw.nb_neighbors(0))]  # [n, links on level 0]
    rows, columns = np.nonzero(of_node >= 0)
    entries = np.union1d(np.flatnonzero(levels > 1), [hnsw.entry_point])
    rows, columns = np.r_[rows, np.full(len(entries), n)], np.r_[of_node[rows, columns], entries]
    graph = sp.csr_matrix((np.ones(len(rows), np.int8), (rows, columns)), (n + 1, n + 1))
    return np.setdiff1d(np.arange(n), breadth_first_order(graph, n, return_predecessors=False))


def recall_of(path: Path, users: np.ndarray, items: np.ndarray, k: int) -> dict[str, Any]:
    """Return the recall of the exact ``k`` best items for evenly spaced users, and milliseconds per user.

    An item whose score is that of the k-th place counts as one of the best. ``unreachable`` counts the items
    of these users' lists that no search of the index finds; short vectors that are in no list do not count.
    """
    faiss = require_faiss()
    index = faiss.read_index(str(path))
    k = min(k, len(items))
    some = users[np.unique(np.linspace(0, len(users) - 1, min(COMPARED, len(users))).astype(np.int64))]
    seconds = {}
    start = time.perf_counter()
    found = index.search(some, k)[1]
    seconds["index"] = time.perf_counter() - start
    start = time.perf_counter()
    parts = torch.from_numpy(some).split(256)
    best = [(part @ torch.from_numpy(items).T).topk(k) for part in parts]
    last = torch.cat([one.values[:, -1] for one in best]).numpy()
    seconds["exact"] = time.perf_counter() - start
    scores = np.einsum("ukd,ud->uk", items[found], some)
    right = (found >= 0) & (scores >= (last - SLACK * (1 + np.abs(last)))[:, None])
    milliseconds = {f"{name}_ms": round(1000 * value / len(some), 3) for name, value in seconds.items()}
    lost = unreachable(index.hnsw) if isinstance(index, faiss.IndexHNSW) else np.zeros(0, np.int64)
    hidden = np.intersect1d(lost, torch.cat([one.indices for one in best]).numpy())
    told = {"k": k, "recall": round(float(right.mean()), 4), "unreachable": len(hidden)}
    return {**told, "compared_users": len(some), **milliseconds}
