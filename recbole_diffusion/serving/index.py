"""An approximate index of item vectors by inner product (faiss, HNSW), and its recall."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_diffusion.errors import UsageError

FILE = "items.faiss"
NEIGHBOURS, BUILD_EFFORT, EFFORT = 32, 200, 256  # links of a node; candidates while building; while searching
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


def build_index(items: np.ndarray, path: Path) -> dict[str, Any]:
    """Write an index of item vectors [items, d] and return its description; result r is row r."""
    faiss = require_faiss()
    start = time.perf_counter()
    index = faiss.IndexHNSWFlat(items.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_EFFORT
    index.hnsw.efSearch = EFFORT
    index.add(items)
    faiss.write_index(index, str(path))
    kind = f"faiss HNSW{NEIGHBOURS}, inner product, efConstruction {BUILD_EFFORT}, efSearch {EFFORT}"
    return {"file": path.name, "kind": kind, "build_seconds": round(time.perf_counter() - start, 2)}


def recall_of(path: Path, users: np.ndarray, items: np.ndarray, k: int) -> dict[str, Any]:
    """Return the recall of the exact ``k`` best items for evenly spaced users, and milliseconds per user."""
    faiss = require_faiss()
    index = faiss.read_index(str(path))
    k = min(k, len(items))
    some = users[np.unique(np.linspace(0, len(users) - 1, min(COMPARED, len(users))).astype(np.int64))]
    seconds = {}
    start = time.perf_counter()
    found = index.search(some, k)[1]
    seconds["index"] = time.perf_counter() - start
    start = time.perf_counter()
    exact = torch.cat(
        [(part @ torch.from_numpy(items).T).topk(k).indices for part in torch.from_numpy(some).split(256)]
    ).numpy()
    seconds["exact"] = time.perf_counter() - start
    shared = np.mean([len(np.intersect1d(*pair)) / k for pair in zip(found, exact, strict=True)])
    milliseconds = {f"{name}_ms": round(1000 * value / len(some), 3) for name, value in seconds.items()}
    return {"k": k, "recall": round(float(shared), 4), "compared_users": len(some), **milliseconds}
