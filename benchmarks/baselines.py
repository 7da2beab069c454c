"""Time the models that everybody trains first: ours beside RecBole's own trainer, and implicit's BPR.

    python -m benchmarks.baselines --data_path=DATA [--implicit=PYTHON] [--output=FILE]

``DATA`` holds ml-1m/ and gowalla/. RecBole 1.2.1 trains its own class with its own data set, loader, sampler
and trainer, in the same process and in turns, on its defaults, which are ours (Adam, batches of 2,048 rows,
64 numbers a vector). A turn is the first batches of an epoch; processor seconds of one thread. ``PYTHON`` is
an interpreter that has implicit: its BPR (plain SGD in C++, negatives by popularity) makes passes over the
same rows in a process of its own. EASE runs on made-up rows in processes of their own.
"""

import argparse
import contextlib
import functools
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
CASES = (("BPR", "ml-1m", 200), ("LightGCN", "ml-1m", 20), ("NeuMF", "ml-1m", 100), ("BPR", "gowalla", 100))
SEED = 2020
PARTS = {"benchmark_filename": ["train", "valid", "test"]}

# Both read a request as JSON from the command line and print their last line as JSON.
IMPLICIT = """
import json, os, sys, time
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np, scipy.sparse as sp
from implicit.cpu.bpr import BayesianPersonalizedRanking
file, passes = json.loads(sys.argv[1])
stored = np.load(file)
pairs = sp.csr_matrix((np.ones(len(stored["items"]), np.float32), (stored["users"], stored["items"])))
def taken(n):
    model = BayesianPersonalizedRanking(factors=64, iterations=n, num_threads=1, random_state=1)
    start = time.process_time()
    model.fit(pairs, show_progress=False)
    return time.process_time() - start
taken(1)
print(json.dumps([(taken(passes + 1) - taken(1)) / passes for _ in range(3)]))
"""
EASE = """
import json, sys, time
from recbole_diffusion.storage.memory import peak_memory_mib
side, name, folder = json.loads(sys.argv[1])
sys.argv = sys.argv[:1]
options = {"data_path": folder, "use_gpu": False, "rm_dup_inter": "first"}
if side == "this":
    from recbole_diffusion.quick_start import run
    clock = time.process_time()
    run("EASE", name, overrides={**options, "runs_path": folder, "report_groups": 0, "state": "ERROR"})
else:
    from recbole_diffusion.compat import RecBoleConfig, get_model
    from recbole.data import create_dataset
    more = {"load_col": {"inter": ["user_id", "item_id"]}, "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}}}
    config = RecBoleConfig("EASE", name, config_dict={**options, **more})
    train = create_dataset(config).build()[0]
    clock = time.process_time()
    get_model("EASE")(config, train)
print(json.dumps([peak_memory_mib(), time.process_time() - clock]))
"""


class FirstBatches:
    """The first batches of a loader's epoch; all else is the loader's."""

    def __init__(self, loader: Any, number: int) -> None:
        self.loader, self.number = loader, min(number, len(loader))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(iter(self.loader), self.number)


def ours(name: str, dataset: str, data_path: str, folder: Path) -> tuple[Any, Any, float]:
    """Return the trainer and the loader of a run of this package, and the seconds of making the model."""
    from recbole_diffusion.compat import init_seed
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data
    from recbole_diffusion.storage.run_folder import RunFolder
    from recbole_diffusion.trainer.factory import trainer_for

    config = Config(
        name, dataset, overrides={"data_path": data_path, "use_gpu": False, "seed": SEED, "epochs": 1}
    )
    train, _, _ = prepare_data(config, create_dataset(config))
    run_folder = RunFolder.create(name, dataset, str(folder / "runs"), None)
    config["checkpoint_dir"] = str(run_folder.path)
    init_seed(SEED, True)
    start = time.process_time()
    model = config.model_class(config, train._dataset)
    made = time.process_time() - start
    return trainer_for(config, model, run_folder), train, made


def of_recbole(name: str, dataset: str, data_path: str, folder: Path) -> tuple[Any, Any, float]:
    """Return the same of RecBole itself."""
    from recbole.data import create_dataset, data_preparation

    from recbole_diffusion.compat import RecBoleConfig, Trainer, get_model, init_seed

    options = {
        "data_path": data_path,
        "load_col": {"inter": ["user_id", "item_id"]},
        "use_gpu": False,
        "seed": SEED,
        "epochs": 1,
        "checkpoint_dir": str(folder / "saved"),
        **(PARTS if dataset == "gowalla" else {}),
    }
    config = RecBoleConfig(name, dataset, config_dict=options)
    init_seed(SEED, True)
    train, _, _ = data_preparation(config, create_dataset(config))
    start = time.process_time()
    model = get_model(name)(config, train._dataset)
    made = time.process_time() - start
    return Trainer(config, model), train, made


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compared(
    name: str, dataset: str, batches: int, data_path: str, repeats: int
) -> tuple[dict[str, float], dict[str, float], int, Any]:
    """Return seconds of an epoch and of making the model by side, the number of batches, and our data set.

    The sides take turns of some batches; the first turn warms up.
    """
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):  # RecBole writes there
        sides = {"this": ours, "RecBole": of_recbole}
        made = {side: make(name, dataset, data_path, Path(temporary)) for side, make in sides.items()}
        loaders = {side: FirstBatches(loader, batches) for side, (_, loader, _) in made.items()}
        taken: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(repeats + 1):
            for side, (trainer, _, _) in made.items():
                used = seconds(functools.partial(trainer.fit, loaders[side], saved=False, verbose=False))
                if turn:
                    taken[side].append(used)
    whole = {side: len(loader.loader) for side, loader in loaders.items()}
    epochs = {
        side: statistics.median(times) / loaders[side].number * whole[side] for side, times in taken.items()
    }
    return epochs, {side: one[2] for side, one in made.items()}, whole["this"], made["this"][1]._dataset


def last_line(words: list[str], request: list[Any]) -> Any:
    """Run a program that prints JSON in a process of its own, on one thread; return what it printed last.

    Raises:
        SystemExit: it failed.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(HERE)}
    done = subprocess.run(
        [*words, json.dumps(request)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def implicit_seconds(python: str, part: Any) -> float:
    """Return the seconds of a pass of implicit's BPR over the rows of a training part."""
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pairs.npz")
        rows = part.inter_feat
        np.savez(file, users=rows[part.uid_field].numpy(), items=rows[part.iid_field].numpy())
        return statistics.median(last_line([python, "-c", IMPLICIT], [str(file), 5]))


def page(options: argparse.Namespace) -> list[str]:
    """Measure, and return the lines of the page."""
    from benchmarks._page import machine, stack, table_head

    given = " --implicit=PYTHON" if options.implicit else ""
    lines = [
        "# BPR, LightGCN, NeuMF and EASE beside RecBole's own trainer",
        "",
        f"- Command: `python -m benchmarks.baselines --data_path=DATA{given}`",
        f"- Machine: {machine('shared with other work')}; {stack()}; seed {SEED}",
        f"- An epoch is the median of {options.repeats} turns of its first batches, times the number of all.",
        "",
        *table_head(
            *("model", "data", "batches", "this: epoch", "RecBole: epoch", "ratio"),
            *("this: making the model", "RecBole: making it"),
            words=2,
        ),
    ]
    for name, dataset, batches in [CASES[number] for number in options.cases]:
        epochs, made, number, part = compared(name, dataset, batches, options.data_path, options.repeats)
        ratio = epochs["RecBole"] / epochs["this"]
        lines.append(
            f"| {name} | {dataset} | {number} | {epochs['this']:.2f} s | {epochs['RecBole']:.2f} s | "
            f"{ratio:.1f} | {made['this']:.2f} s | {made['RecBole']:.2f} s |"
        )
        if options.implicit and name == "BPR":
            found = implicit_seconds(options.implicit, part)
            lines.append(
                f"| implicit's BPR | {dataset} | | {found:.2f} s, {epochs['this'] / found:.1f} times "
                f"less | {epochs['RecBole'] / found:.1f} times less | | | |"
            )
    return [*lines, *ease_lines(options.ease_items)]


def ease_lines(items: int) -> list[str]:
    """Return the lines of the table of EASE on made-up rows of some number of items."""
    from benchmarks._page import table_head
    from benchmarks.loading import write_rows

    matrix = 4 * items**2 / 2**20
    lines = [
        "",
        f"EASE on made-up rows of {items:,} items, of which a single-precision matrix of items x items has "
        f"{matrix:,.0f} MB:",
        "the peak memory of a whole process, in which this loads the data, makes the model, evaluates it and "
        "writes its files, and",
        "RecBole makes the model alone.",
        "",
        *table_head("side", "seconds", "peak memory, MB"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_rows(Path(folder), "made-up", 200 * items)
        for side in ("this", "RecBole"):
            memory, used = last_line([sys.executable, "-c", EASE], [side, "made-up", folder])
            lines.append(f"| {side} | {used:.1f} | {memory:,.0f} |")
    return lines


def main() -> None:
    """Read the command line, measure, show the page."""
    from benchmarks._page import page_parser, show_page

    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True, help="folder that holds gowalla/ and ml-1m/")
    parser.add_argument("--implicit", metavar="PYTHON", help="interpreter that has implicit")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side")
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)), help="which of the cases")
    parser.add_argument("--ease_items", type=int, default=6000, help="items of the made-up rows")
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line too
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    options.data_path = str(Path(options.data_path).resolve())
    with contextlib.redirect_stderr(io.StringIO()):  # of RecBole's trainers
        lines = page(options)
    show_page(lines, options.output)


if __name__ == "__main__":
    main()
