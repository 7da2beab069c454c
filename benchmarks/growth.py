"""How time and memory of TVDiff grow with the catalogue, and what a whole Gowalla epoch costs.

    python -m benchmarks.growth [--data_path=DATA] [--output=FILE]

Made-up interactions, a fixed count a user; each size is a process of its own, so that its peak memory is its
own. With ``--data_path`` a training epoch and an evaluation on Gowalla at width 1000 are measured too.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks._page import machine, page_parser, show_page, stack

SIZES = (10_000, 100_000, 1_000_000)
USERS, PER_USER, WIDTH, BATCHES, SCORED = 20_000, 20, 64, 10, 1000
GOWALLA = {
    "batch_by": "user",
    "entropy_loss": "bce",
    "negative_sampler": "uniform",
    "temperature": 10.0,
    "noise_scale": 1e-3,
    "noise_min": 1e-3,
    "noise_max": 1e-2,
    "epochs": 1,
}


def measure(n_items: int, sampler: str) -> dict[str, float]:
    """Train some batches and score some users of a made-up data set; run in a process of its own."""
    import numpy as np
    import scipy.sparse as sp
    import torch

    from recbole_diffusion.config import Config
    from recbole_diffusion.model.rows.tvdiff import TVDiff

    class Interactions:
        """What TVDiff asks of a data set, without files."""

        def __init__(self) -> None:
            generator = np.random.default_rng(0)
            items = 1 + generator.integers(0, n_items, USERS * PER_USER)
            users = 1 + np.repeat(np.arange(USERS), PER_USER)
            self.matrix = sp.csr_matrix((np.ones(len(items)), (users, items)), (USERS + 1, n_items + 1))
            self.pairs = torch.from_numpy(users), torch.from_numpy(items)

        def num(self, field: str) -> int:
            return self.matrix.shape[0 if field == "user_id" else 1]

        def inter_matrix(self, form: str) -> sp.csr_matrix:
            return self.matrix.asformat(form)

    config = Config(
        "TVDiff",
        "ml-100k",
        overrides={"hidden_size": WIDTH, "negative_sampler": sampler, "gamma": 0.2, "use_gpu": False},
    )
    data = Interactions()
    model = TVDiff(config, data)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model.train()
    order = torch.randperm(len(data.pairs[0]))[: 2048 * (BATCHES + 1)].split(2048)
    for k, index in enumerate(order):
        if k == 1:
            start = time.perf_counter()  # the first batch warms up
        optimizer.zero_grad()
        sum(
            model.calculate_loss({"user_id": data.pairs[0][index], "item_id": data.pairs[1][index]})
        ).backward()
        optimizer.step()
    train = (time.perf_counter() - start) / BATCHES
    model.eval()
    start = time.perf_counter()
    for users in torch.arange(1, SCORED + 1).split(50):
        model.full_sort_predict({"user_id": users}).topk(20)
    score = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"train": train, "score": score, "peak_mb": peak / 1024}


def growth() -> list[str]:
    """Return the table over catalogue sizes."""
    lines = [
        "| items | negatives | seconds a batch of 2,048 | seconds to score 1,000 users, T = 50 | peak "
        "memory, MB |",
        "|---:|---|---:|---:|---:|",
    ]
    for sampler in ("uniform", "ar_gsp"):
        for n_items in SIZES:
            words = [sys.executable, "-m", "benchmarks.growth", f"--one={n_items}", f"--sampler={sampler}"]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            lines.append(
                f"| {n_items:,} | {sampler} | {found['train']:.3f} | {found['score']:.2f} | "
                f"{found['peak_mb']:.0f} |"
            )
    return lines


def gowalla(data_path: str) -> list[str]:
    """Return the lines of one epoch and evaluation on Gowalla at width 1000, through the command line."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "run_recbole_diff.py",
            "--model=TVDiff",
            "--dataset=gowalla",
            "--use_gpu=False",
            *(f"--{k}={v}" for k, v in GOWALLA.items()),
        ]
        paths = [f"--data_path={data_path}", f"--run_dir={folder}/run"]
        subprocess.run(
            [sys.executable, *words, *paths], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        result = json.loads(Path(folder, "run", "result.json").read_text())
    seconds = result["seconds"]
    return [
        f"`python {' '.join(words)} --data_path=DATA`",
        "",
        "| loading | training epoch | validation of all users | test of all users | peak resident memory |",
        "|---:|---:|---:|---:|---:|",
        " | ".join(
            [
                "",
                *(f"{seconds[k]:.1f} s" for k in ("load", "train", "valid", "test")),
                f"{result['peak_rss_mb']:.0f} MB",
                "",
            ]
        ).strip(),
    ]


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path")
    parser.add_argument("--one", type=int)
    parser.add_argument("--sampler", default="uniform")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.sampler)))
        return
    command = "python -m benchmarks.growth" + (" --data_path=DATA" if arguments.data_path else "")
    lines = [
        "# Growth: time and memory of TVDiff",
        "",
        f"`{command}`; {machine('seed 0')}; {stack()}.",
        f"Made-up interactions: {USERS:,} users with {PER_USER} items each, width {WIDTH}.",
        "AR-GSP with gamma 0.2, beyond 2^21 cells on two random subsets of 512 items.",
        "",
        *growth(),
    ]
    if arguments.data_path:
        lines += [
            "",
            "## Gowalla, 29,858 users x 40,981 items, width 1000",
            "",
            *gowalla(arguments.data_path),
        ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
