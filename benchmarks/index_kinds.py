"""Indexes of item vectors by inner product, held against each other.

    python -m benchmarks.index_kinds [NAME=FOLDER ...] [--users=943] [--items=1682] [--output=FILE]

The vectors are those of folders that ``export`` has written, and made-up ones with the shapes of trained
models: an item's vector is the longer the more popular it is (TVDiff, CNSDiff, CCDRec, BPR), and models of
ratings (DiffCDR, CMF) have an offset of each item as a last coordinate, where users have a one; such a
coordinate is tried as it is and centred, as ``export`` does it for an index. Needs numpy, faiss-cpu, usearch
and, for folders, safetensors.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np

from benchmarks._page import page_parser, show_page, table_head

K = 20
# The mean of the offsets by the shape of vectors; None: no offsets.
MIDDLES = {
    "norms by popularity": None,
    "offsets around 3.5": 3.5,
    "offsets around -4": -4.0,
    "offsets centred": 0.0,
}
Search = Callable[[np.ndarray], np.ndarray]


def vectors(shape: str, n_users: int, n_items: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return users [n_users, d] and items [n_items, d] of a shape, float32."""
    draw = np.random.default_rng(0)
    popularity = 1 / (1 + draw.permutation(n_items)) ** 0.8
    tastes = draw.standard_normal((12, width))
    users = tastes[draw.integers(12, size=n_users)] + 0.7 * draw.standard_normal((n_users, width))
    items = tastes[draw.integers(12, size=n_items)] + 0.7 * draw.standard_normal((n_items, width))
    items *= (popularity / popularity.mean())[:, None] ** 0.4
    middle = MIDDLES[shape]
    if middle is not None:
        offsets = middle + 0.4 * draw.standard_normal(n_items)
        users = np.c_[0.1 * users, np.ones(n_users)]
        items = np.c_[0.3 * items, offsets - (offsets.mean() if middle == 0 else 0)]
    return users.astype(np.float32), items.astype(np.float32)


def exported(folders: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return users and items of exported vectors by name; with an offset coordinate also centred."""
    found = {}
    for one in folders:
        from safetensors.numpy import load_file

        name, _, folder = one.partition("=")
        users, items = (
            load_file(Path(folder, f"{what}.safetensors"))["vectors"] for what in ("users", "items")
        )
        found[name] = (users, items)
        if np.ptp(users[:, -1]) == 0 and users[0, -1] == 1:  # the last coordinate of an item is its offset
            centred = items.copy()
            centred[:, -1] -= items[:, -1].mean()
            found[f"{name}, offsets centred"] = (users, centred)
    return found


def searches(items: np.ndarray) -> dict[str, Search]:
    """Return a search by each index, built on these items."""
    import usearch.index  # not among the packages that the tests have

    width, metric = items.shape[1], faiss.METRIC_INNER_PRODUCT
    flat, hnsw = faiss.IndexFlatIP(width), faiss.IndexHNSWFlat(width, 32, metric)
    hnsw.hnsw.efConstruction, hnsw.hnsw.efSearch = 200, 256
    lists = int(np.sqrt(len(items)))
    ivf = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, metric)
    ivf.train(items)
    ivf.nprobe = max(1, lists // 4)
    for index in (flat, hnsw, ivf):
        index.add(items)
    other = usearch.index.Index(
        ndim=width, metric="ip", dtype="f32", connectivity=32, expansion_add=200, expansion_search=256
    )
    other.add(np.arange(len(items)), items)
    return {
        "faiss flat": lambda users: flat.search(users, K)[1],
        "faiss HNSW32, efSearch 256": lambda users: hnsw.search(users, K)[1],
        f"faiss IVF{lists}, nprobe {ivf.nprobe}": lambda users: ivf.search(users, K)[1],
        "usearch, connectivity 32, expansion 256": lambda users: other.search(users, K).keys.astype(np.int64),
    }


def main() -> None:
    """Print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("folders", nargs="*", help="NAME=FOLDER, written by export")
    parser.add_argument("--users", type=int, default=943)
    parser.add_argument("--items", type=int, default=1682)
    parser.add_argument("--width", type=int, default=64)
    given = parser.parse_args()
    faiss.omp_set_num_threads(1)
    lines = [
        "# Indexes by inner product",
        "",
        f"`python -m benchmarks.index_kinds --users={given.users} --items={given.items} "
        f"--width={given.width}`;",
        f"faiss {faiss.__version__}, usearch {version('usearch')}, numpy {np.__version__}, one thread, CPU,",
        "shared with other work. The first rows are of made-up vectors with the shapes of trained models;",
        "those with a model's name are of a run of it on ml-100k of a few epochs.",
        "",
        f"Recall of the exact {K} best items, mean over users; items of these lists that no user gets.",
        "",
        *table_head("vectors", "index", "recall", "items lost", "ms per user", words=2),
    ]
    made_up = {shape: vectors(shape, given.users, given.items, given.width) for shape in MIDDLES}
    for shape, (users, items) in {**made_up, **exported(given.folders)}.items():
        exact = np.argsort(-(users @ items.T), axis=1, kind="stable")[:, :K]
        for name, search in searches(items).items():
            start = time.perf_counter()
            found = search(users)
            spent = 1000 * (time.perf_counter() - start) / len(users)
            recall = np.mean([len(np.intersect1d(*pair)) / K for pair in zip(found, exact, strict=True)])
            lost = len(np.setdiff1d(exact, found))
            lines.append(f"| {shape} | {name} | {recall:.4f} | {lost} | {spent:.3f} |")
    show_page(lines, given.output)


if __name__ == "__main__":
    main()
