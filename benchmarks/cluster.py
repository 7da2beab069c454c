"""What a Ray cluster on this machine costs and gains: lists for all users, and one run by two workers.

    python -m benchmarks.cluster [--users=10000] [--items=5000] [--rounds=2] [--epochs=3] [--output=FILE]

Each command is a process tree of its own, in turns; the least clock seconds of the rounds count. Memory is
what the processes of the tree have for themselves (USS), together, at the highest of the moments looked at.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks.made_up import write_made_up

ROWS = 20  # of a user
LISTS = {
    "this process": [],
    "Ray, 1 worker": ["--ray_address=local", "--ray_workers=1"],
    "Ray, 2 workers": ["--ray_address=local", "--ray_workers=2"],
}
TRAINING = {"this process": [], "Ray, 2 workers": ["--train_workers=2"]}
MODELS = {
    "LightGCN": ["--embedding_size=64", "--train_batch_size=65536"],
    "TVDiff": ["--hidden_size=64", "--train_batch_size=4096"],
}


def timed(words: list[str]) -> dict[str, float]:
    """Run a command line; return its clock seconds and the memory of its processes in MB."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "recbole_diffusion", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as done:
        peak, ended = [0.0], threading.Event()
        looking = threading.Thread(target=_watch, args=(done.pid, peak, ended))
        looking.start()
        _, said = done.communicate()
        clock = time.perf_counter() - start
        ended.set()
        looking.join()
    if done.returncode:
        raise SystemExit(said.decode())
    return {"clock": clock, "memory": peak[0]}


def _watch(pid: int, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.5):
        total = 0
        try:
            tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return
        for one in tree:
            try:
                total += one.memory_full_info().uss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total / 2**20)


def least(rounds: list[Mapping[str, float]]) -> dict[str, float]:
    """Return the least of each number."""
    return {name: min(one[name] for one in rounds) for name in rounds[0]}


def lists(scratch: Path, run: Path, rounds: int) -> list[str]:
    """Return the rows of the table of lists."""
    found: dict[str, list] = {name: [] for name in LISTS}
    for number in range(rounds):
        for name, words in LISTS.items():
            output = scratch / f"{number}.csv"
            asked = ["recommend", f"--run={run}", "--all", f"--output={output}", "--overwrite", *words]
            found[name].append(timed(asked))
    best = {name: least(several) for name, several in found.items()}
    alone = best["this process"]
    return [_row("lists for all users", name, one, alone) for name, one in best.items()]


def training(scratch: Path, place: list[str], rounds: int, epochs: int) -> list[str]:
    """Return the rows of the table of training: whole commands, and the epochs after the first."""
    rows = []
    for model, words in MODELS.items():
        found: dict[str, list] = {name: [] for name in TRAINING}
        for number in range(rounds):
            for name, more in TRAINING.items():
                folder = scratch / f"{model}-{len(more)}-{number}"
                asked = ["train", f"--model={model}", *place, *words, f"--epochs={epochs}", *more]
                measured = timed([*asked, f"--run_dir={folder}"])
                seconds = json.loads((folder / "result.json").read_text())["epoch_seconds"]
                found[name].append({**measured, "epoch": min(seconds[1:])})
        best = {name: least(several) for name, several in found.items()}
        alone = best["this process"]
        for name, one in best.items():
            ratio = one["epoch"] / alone["epoch"]
            rows.append(f"{_row(model, name, one, alone)} {one['epoch']:.2f} s | {ratio:.2f} |")
    return rows


def _row(what: str, how: str, one: Mapping[str, float], alone: Mapping[str, float]) -> str:
    clock, memory = (one[name] / alone[name] for name in ("clock", "memory"))
    return f"| {what} | {how} | {one['clock']:.1f} s | {clock:.2f} | {one['memory']:.0f} MB | {memory:.2f} |"


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = page_parser(__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Read the command line, measure, print the page."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_made_up(scratch / "data", "made", asked.users, asked.items, ROWS)
        place = ["--dataset=made", f"--data_path={scratch / 'data'}", "--use_gpu=False", "--report_groups=0"]
        place += ["--load_col={inter: [user_id, item_id]}", "--benchmark_filename=[train, valid, test]"]
        run = scratch / "run"
        model = ["--model=TVDiff", "--hidden_size=64", "--epochs=1"]
        timed(["train", *model, *place, f"--run_dir={run}"])
        of_lists, of_training = (
            lists(scratch, run, asked.rounds),
            training(scratch, place, asked.rounds, asked.epochs),
        )
    columns = ["what", "where", "clock", "ratio", "memory", "ratio"]
    words = f"--users={asked.users} --items={asked.items} --rounds={asked.rounds} --epochs={asked.epochs}"
    lines = [
        "# Ray on one machine: what it costs and gains",
        "",
        f"`python -m benchmarks.cluster {words}`, about {ROWS} rows a user;",
        f"{machine(f'{os.cpu_count()} cores', f'load average {os.getloadavg()[1]:.1f}')};",
        f"{stack()}.",
        "",
        "Whole commands, the start of Ray and of its workers included, one thread for each process. A ratio",
        "is to the same command in one process. One machine has no more processors with Ray than without:",
        "this is the price, which a cluster costs once, against work that grows with the users.",
        "",
        "## Lists",
        "",
        *table_head(*columns, words=2),
        *of_lists,
        "",
        "## Training",
        "",
        f"{asked.epochs} epochs; an epoch is the fastest after the first. Each worker propagates over the",
        "whole graph and draws for the whole batch. What is shared is the work on a batch's rows; what is",
        "added is a message of the size of the model for each batch.",
        "",
        *table_head(*columns, "an epoch", "ratio", words=2),
        *of_training,
    ]
    show_page(lines, asked.output)


if __name__ == "__main__":
    main()
