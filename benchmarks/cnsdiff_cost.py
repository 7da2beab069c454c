"""Memory of a CNSDiff run on Food with its parts, and how a batch grows with the data.

    python -m benchmarks.cnsdiff_cost [--data_path=DATA] [--before=CHECKOUT] [--output=FILE]

``DATA`` holds food/; without it only growth is measured, on made-up interactions. ``--before`` names another
checkout of this repository, measured in turns with this one. Every process is on one thread.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks._turns import HERE, environment, in_turns

SIZES = ((943, 1682), (4715, 8410), (18860, 33640))  # users, items: those of ml-100k, 5 and 20 times as many
PER_USER = 60
PARTS = """
from pathlib import Path
def tell(name):
    status = Path("/proc/self/status").read_text().splitlines()
    kib = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    print("part", int(kib) / 1024, name)
tell("Python")
import numpy
import torch
tell("numpy, torch")
import pandas, scipy.sparse
tell("pandas with pyarrow, scipy")
from recbole_diffusion.config import Config
config = Config("CNSDiff", "food", overrides={"use_gpu": False, "data_path": %r})
tell("RecBole, the configuration")
from recbole_diffusion.data.preparation import create_dataset, prepare_data
train, valid, tests = prepare_data(config, create_dataset(config))
tell("data set, parts, loaders")
model = config.model_class(config, train._dataset)
optimizer = torch.optim.Adam(model.parameters(), fused=True)
tell("model, its graph")
model.train()
for batch in train:
    optimizer.zero_grad()
    sum(model.calculate_loss(batch)).backward()
    optimizer.step()
tell("an epoch: gradients, Adam's moments, a batch")
"""


def parts(data_path: str) -> list[str]:
    """Return the lines of the table of parts: what each step adds to the peak of the process."""
    words = [sys.executable, "-c", PARTS % data_path]
    done = subprocess.run(
        words, env=environment(HERE), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    told = [line.split(maxsplit=2)[1:] for line in done.stdout.splitlines() if line.startswith("part ")]
    lines, before = [], 0.0
    for peak, name in told:
        lines.append(f"| {name} | {float(peak) - before:.0f} MB | {float(peak):.0f} MB |")
        before = float(peak)
    return lines


def peak_of_run(checkout: Path, data_path: str) -> float:
    """Return the peak memory of two epochs with validation and test through the command line, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--model=CNSDiff", "--dataset=food", "--epochs=2", "--use_gpu=False"]
        words = [sys.executable, "run_recbole_diff.py", *options, f"--data_path={data_path}"]
        subprocess.run(
            [*words, f"--run_dir={folder}/run"],
            cwd=checkout,
            env=environment(checkout),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return float(json.loads(Path(folder, "run", "result.json").read_text())["peak_rss_mb"])


def memory(checkouts: dict[str, Path], data_path: str, repeats: int) -> list[str]:
    """Return the section on memory."""
    peaks: dict[str, list[float]] = {name: [] for name in checkouts}
    for _ in range(repeats):
        for name, checkout in checkouts.items():
            peaks[name].append(peak_of_run(checkout, data_path))
    return [
        "## Memory on Food",
        "",
        f"Peak resident memory of two epochs, validation and both tests, medians of {repeats} in turns:",
        "; ".join(f"{name} {statistics.median(values):.0f} MB" for name, values in peaks.items()) + ".",
        "",
        *table_head("step", "adds", "peak so far"),
        *parts(data_path),
        "",
    ]


def growth(checkouts: dict[str, Path], rounds: int) -> list[str]:
    """Return the section on growth: a batch of 2,048 over the graph, and over free vectors without one."""
    rows = []
    for users, items in SIZES:
        for backbone in ("lightgcn", "mf"):
            case = {
                "model": "CNSDiff",
                "dataset": "made",
                "made_up": [users, items, PER_USER],
                "options": {"backbone": backbone, "train_batch_size": 2048},
                "batches": 8,
            }
            found = in_turns({name: (folder, case) for name, folder in checkouts.items()}, rounds)
            costs = " | ".join(f"{found[name].batch:.1f} ms" for name in checkouts)
            rows.append(f"| {users:,} x {items:,} | {users * PER_USER:,} | {backbone} | {costs} |")
    return [
        "## Growth of a batch",
        "",
        f"Made-up interactions, {PER_USER} a user; CPU of a batch of 2,048, medians of {rounds} "
        "rounds in turns. `mf` has no graph: what it costs belongs to the batch.",
        "",
        *table_head("users x items", "interactions", "backbone", *checkouts),
        *rows,
    ]


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", help="folder that holds food/")
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5, help="of the growth table")
    parser.add_argument("--repeats", type=int, default=3, help="runs for memory")
    arguments = parser.parse_args()
    checkouts = {"before": arguments.before.resolve()} if arguments.before else {}
    checkouts["now"] = HERE
    words = [f"--{name}={value}" for name, value in (("data_path", "DATA"), ("before", "CHECKOUT"))]
    given = [
        word for word, value in zip(words, (arguments.data_path, arguments.before), strict=True) if value
    ]
    lines = [
        "# What CNSDiff costs: memory, and growth of a batch",
        "",
        f"`python -m benchmarks.cnsdiff_cost {' '.join(given)}`;",
        f"{machine('shared with other work', 'seed 0')}; {stack()}.",
        "",
    ]
    if arguments.data_path:
        lines += memory(checkouts, str(Path(arguments.data_path).resolve()), arguments.repeats)
    show_page([*lines, *growth(checkouts, arguments.rounds)], arguments.output)


if __name__ == "__main__":
    main()
