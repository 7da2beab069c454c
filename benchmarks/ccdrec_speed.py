"""Speed and memory of CCDRec: an epoch against its backbone's, the pools, a whole run, growth.

    python -m benchmarks.ccdrec_speed --data_path=DATA [--output=FILE] [--repeats=N]

``DATA`` holds baby/. The ratio is between two models in one process, in turns; the run and each size of the
growth table are processes of their own, so that their peak memory is their own.

The page names the ``MALLOC_*`` variables it was measured with. glibc gives large blocks back to the system
when they are freed and has their pages cleared when they are asked for again; thresholds above the blocks of
a batch keep them, for speed: ``MALLOC_TRIM_THRESHOLD_=1000000000 MALLOC_MMAP_THRESHOLD_=1000000000
MALLOC_TOP_PAD_=100000000``.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks.speed import alternate
from recbole_diffusion.config import Config
from recbole_diffusion.data import knn
from recbole_diffusion.data.preparation import create_dataset, prepare_data

SIZES = (10_000, 50_000, 200_000)
SEARCHED = 50_000  # items, up to which the search of neighbours is measured
USERS, PER_USER, WIDTH, BATCHES = 50_000, 20, 128, 20
BACKBONES = ("FREEDOM", "LATTICE")


def build(model: str, data_path: str, **options: Any) -> tuple[Any, Any]:
    """Return a model of Baby with fresh weights, and its training loader."""
    config = Config(model, "baby", overrides={"use_gpu": False, "data_path": data_path, **options})
    loader = prepare_data(config, create_dataset(config))[0]
    torch.manual_seed(0)
    return config.model_class(config, loader._dataset), loader


def epoch(model: Any, loader: Any) -> Callable[[], None]:
    """Return a function that trains one epoch, what is made once an epoch included."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run() -> None:
        model.begin_epoch(0)
        model.train()
        for batch in loader:
            optimizer.zero_grad()
            sum(model.calculate_loss(batch)).backward()
            optimizer.step()

    return run


def epochs(data_path: str, repeats: int) -> list[str]:
    """Compare an epoch of CCDRec with one of its backbone, at one negative and at the paper's two."""
    lines = []
    for backbone in BACKBONES:
        ours = epoch(*build("CCDRec", data_path, backbone=backbone))
        for negatives in (1, 2):
            plain, wrapped, ratio = alternate(
                epoch(*build(backbone, data_path, n_negatives=negatives)), ours, repeats
            )
            lines.append(
                f"| epoch, {backbone}, {negatives} negatives | {plain:.2f} s | {wrapped:.2f} s | {ratio:.2f} "
                f"| {repeats} |"
            )
    return lines


def pools(data_path: str, repeats: int) -> float:
    """Return the median seconds of the chain, the four pools and the candidates of an epoch."""
    model, _ = build("CCDRec", data_path)
    seconds = []
    for _ in range(repeats):
        model.train()  # drops the chain
        start = time.perf_counter()
        model.begin_epoch(0)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[repeats // 2]


def whole_run(data_path: str) -> dict[str, Any]:
    """Return the result of two epochs with validation and test through the command line."""
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--model=CCDRec",
            "--dataset=baby",
            "--epochs=2",
            "--use_gpu=False",
            f"--data_path={data_path}",
        ]
        words = [sys.executable, "run_recbole_diff.py", *options, f"--run_dir={folder}/run"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads(Path(folder, "run", "result.json").read_text())


def write_catalogue(folder: Path, n_items: int) -> None:
    """Write made-up interactions, features and neighbours of ``n_items`` items as the data set ``catalogue``.

    Neighbours are given, with two to spare where an item is its own, so that a size is not measured by their
    search alone.
    """
    import numpy as np

    generator = np.random.default_rng(0)
    folder = folder / "catalogue"
    folder.mkdir()
    train = [(user, item) for user in range(USERS) for item in generator.integers(0, n_items, PER_USER)]
    train += [(generator.integers(USERS), item) for item in range(n_items)]  # every item occurs
    held_out = [(user, generator.integers(n_items)) for user in range(1000)]
    for part, pairs in {"train": train, "valid": held_out, "test": held_out}.items():
        rows = "".join(f"{user}\t{item}\n" for user, item in pairs)
        (folder / f"catalogue.{part}.inter").write_text("user_id:token\titem_id:token\n" + rows)
    for name in ("image", "text"):
        np.save(folder / f"catalogue.{name}.npy", generator.normal(size=(n_items, WIDTH)).astype(np.float16))
        np.savez(
            folder / f"catalogue.{name}_knn10.npz", neighbours=generator.integers(0, n_items, (n_items, 12))
        )


def measure(folder: str) -> dict[str, float]:
    """Train some batches on a made-up catalogue; run in a process of its own."""
    parts = {"benchmark_filename": ["train", "valid", "test"], "load_col": {"inter": ["user_id", "item_id"]}}
    config = Config("CCDRec", "catalogue", overrides={"use_gpu": False, "data_path": folder, **parts})
    start = time.perf_counter()
    loader = prepare_data(config, create_dataset(config))[0]
    model = config.model_class(config, loader._dataset)
    built = time.perf_counter() - start
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    start = time.perf_counter()
    model.begin_epoch(0)
    pool = time.perf_counter() - start
    model.train()
    for k, batch in zip(range(BATCHES + 1), loader, strict=False):
        if k == 1:
            start = time.perf_counter()  # the first batch warms up
        optimizer.zero_grad()
        sum(model.calculate_loss(batch)).backward()
        optimizer.step()
    train = (time.perf_counter() - start) / BATCHES
    model.eval()
    start = time.perf_counter()
    for users in torch.arange(1, 1001).split(50):
        model.full_sort_predict({"user_id": users}).topk(20)
    score = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"built": built, "pools": pool, "batch": train, "score": score, "peak_mb": peak}


def search_seconds(n_items: int) -> float:
    """Return the seconds of the exact search of one modality's neighbours."""
    features = torch.randn(n_items, WIDTH)
    start = time.perf_counter()
    knn.nearest(lambda rows: features[rows], n_items, 10)
    return time.perf_counter() - start


def growth() -> list[str]:
    """Return the table over catalogue sizes."""
    lines = [
        "| items | loading | pools, once an epoch | a batch of 2,048 | 1,000 users scored | peak memory | "
        "search of one graph |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for n_items in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write_catalogue(Path(folder), n_items)
            words = [sys.executable, "-m", "benchmarks.ccdrec_speed", f"--one={folder}"]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        cells = [f"{found[name]:.2f} s" for name in ("built", "pools", "batch", "score")]
        search = f"{search_seconds(n_items):.1f} s" if n_items <= SEARCHED else ""
        lines.append(f"| {n_items:,} | {' | '.join(cells)} | {found['peak_mb']:.0f} MB | {search} |")
    return [
        *lines,
        "",
        "The search of neighbours is exact and grows with the square of the items: once for a data set, by "
        "`graph_cache`,",
        f"not at all with a file of neighbours. Beyond {SEARCHED:,} items it was not measured.",
    ]


def allocation() -> str:
    """Return how glibc was told to keep freed memory."""
    told = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("MALLOC_")]
    return (
        f"`{' '.join(told)}` (freed memory is kept, not given back)"
        if told
        else "glibc's own allocation thresholds"
    )


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", help="folder that holds baby/")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    if not arguments.data_path:
        parser.error("--data_path is missing: name the folder that holds baby/")
    result = whole_run(arguments.data_path)
    lines = [
        "# Speed and memory of CCDRec",
        "",
        "`python -m benchmarks.ccdrec_speed --data_path=DATA`;",
        f"{machine('shared with other work', allocation(), 'seed 0')};",
        f"{stack()}.",
        "Baby with its derived features, 129 numbers a modality. Both sides in one process, in turns; "
        "medians, ratios too.",
        "",
        *table_head("work", "backbone", "CCDRec", "ratio", "repeats"),
        *epochs(arguments.data_path, arguments.repeats),
        "",
        "Chain, pools and candidates of an epoch on Baby: "
        f"{pools(arguments.data_path, arguments.repeats):.2f} s (median).",
        f"Two epochs, full validation and test through the command line: {result['peak_rss_mb']:.0f} MB "
        "at most.",
        "",
        "## Growth of the catalogue",
        "",
        f"Made-up: {USERS:,} users with {PER_USER} items each, and one interaction more for each item;",
        f"two modalities of {WIDTH} float16 numbers on disk.",
        "",
        *growth(),
    ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
