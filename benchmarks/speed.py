"""Speed of TVDiff's identities, as ratios of two computations in one process, on the same work.

    python -m benchmarks.speed [--data_path=DATA] [--output=FILE] [--only=scoring|training]

Without ``--data_path`` it uses made-up interactions of LastFM's and Gowalla's size. The two sides alternate.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks.made_up import SIZES, write_made_up
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data

PARTS = {"lastfm": ["train", "test"], "gowalla": ["train", "valid", "test"]}


def build(dataset: str, data_path: str | None, **options: Any) -> tuple[Any, Any]:
    """Return a TVDiff model with fresh weights, and its training loader."""
    with tempfile.TemporaryDirectory() as folder:
        parts = PARTS[dataset] if data_path else ["train", "valid", "test"]
        if data_path is None:
            data_path = str(write_made_up(Path(folder), dataset, *SIZES[dataset]))
        config = Config(
            "TVDiff",
            dataset,
            overrides={"data_path": data_path, "benchmark_filename": parts, "use_gpu": False, **options},
        )
        loaders = prepare_data(config, create_dataset(config))
        torch.manual_seed(0)
        return config.model_class(config, loaders[0]._dataset), loaders[0]


def with_options(model: Any, **options: Any) -> Any:
    """Change switches of a built model, so that both sides have the same weights and data."""
    model.options = type(model.options)(**{**vars(model.options), **options})
    return model


def alternate(
    first: Callable[[], None], second: Callable[[], None], repeats: int
) -> tuple[float, float, float]:
    """Return the median seconds of both and the median of their ratio second / first, taken in turns."""
    seconds = []
    for _ in range(repeats):
        pair = []
        for side in (first, second):
            start = time.perf_counter()
            side()
            pair.append(time.perf_counter() - start)
        seconds.append(pair)
    a, b = zip(*seconds, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(y / x for x, y in seconds)


def scoring(
    dataset: str, data_path: str | None, users: int | None, repeats: int, steps: int = 50
) -> list[str]:
    """Score users with the chain in the hidden space and with the dense chain."""
    model, _ = build(dataset, data_path, steps=steps)
    ids = torch.arange(1, model.n_users)[: users or model.n_users]

    def score(how: str) -> Callable[[], None]:
        def run() -> None:
            # Training empties the caches: H and H^T W_I are part of the work.
            with_options(model, scoring=how).train().eval()
            for block in ids.split(400):
                model.full_sort_predict({model.USER_ID: block})

        return run

    fast, dense, ratio = alternate(score("projected"), score("dense"), repeats)
    work = f"scoring, {dataset}, {len(ids)} users, T = {steps}, width 1000"
    return [f"| {work} | {fast:.2f} s | {dense:.2f} s | {ratio:.1f} | {repeats} |"]


def training(dataset: str, data_path: str | None, width: int, steps: int | None, repeats: int) -> list[str]:
    """Train on the same batches with the projected and the dense loss."""
    model, loader = build(dataset, data_path, hidden_size=width, negative_sampler="uniform")
    batches = list(loader)[:steps]
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def train(how: str) -> Callable[[], None]:
        def run() -> None:
            with_options(model, training=how).train()
            for batch in batches:
                optimizer.zero_grad()
                sum(model.calculate_loss(batch)).backward()
                optimizer.step()

        return run

    fast, dense, ratio = alternate(train("projected"), train("dense"), repeats)
    work = "an epoch" if steps is None or len(batches) < steps else f"{len(batches)} of {len(loader)} batches"
    return [
        f"| training, {dataset}, {work}, width {width} | {fast:.2f} s | {dense:.2f} s | {ratio:.1f} | "
        f"{repeats} |"
    ]


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path")
    parser.add_argument("--only", choices=("scoring", "training"))
    parser.add_argument(
        "--gowalla_users", type=int, default=4096, help="the dense side needs half an hour for all"
    )
    arguments = parser.parse_args()
    path = arguments.data_path
    lines = []
    if arguments.only != "scoring":
        lines += training("lastfm", path, 1000, 8, 3)
        lines += training("lastfm", path, 64, None, 3)
    if arguments.only != "training":
        lines += scoring("lastfm", path, None, 3)
        lines += scoring("gowalla", path, arguments.gowalla_users, 1)
    source = "the real data sets" if path else "made-up interactions of the same size"
    head = [
        "# Speed: the identities against the plain dense computation",
        "",
        f"`python -m benchmarks.speed{' --data_path=DATA' if path else ''}`, {source}; {machine('seed 0')};",
        f"{stack()}.",
        "Both sides in one process, in turns; medians over the repeats. The ratio is the dense time over "
        "ours.",
        "",
        *table_head("work", "identities", "dense", "ratio", "repeats"),
    ]
    foot = ["", "Lists and training at width 1000, against an earlier build: [width](width.md)."]
    show_page([*head, *lines, *foot], arguments.output)


if __name__ == "__main__":
    main()
