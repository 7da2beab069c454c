"""How an epoch grows with the data: to ten million interactions measured, to a hundred million estimated.

    python -m benchmarks.growth [--rows 1000000 10000000] [--data_path=DATA --runs=FOLDER] [--output=FILE]

Made-up interactions with the shape of Gowalla: 33 a user in the mean, of log-normal activity, and 25 an item,
of skewed popularity. Each model and size is a process of its own, which makes them in memory, builds loader,
model and trainer, and trains the first batches of an epoch; the epoch is what precedes it plus its number of
batches times the median of those after the first. Models of features get random ones of 64
numbers, with neighbours drawn at random, since the search of neighbours is no part of an epoch.

With ``--data_path`` the accuracy of larger batches is measured too, on ml-1m and Gowalla, which have few
enough rows for the default: batches of twice the rows with the learning rate of the rule against the default,
three seeds each, for a fixed number of epochs. Runs go to ``--runs``; those that are there already are not
made again.
"""

import argparse
import itertools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import scipy.sparse as sp
import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.config import Config
from recbole_diffusion.data.batches import BATCHES, DEFAULT, scaled_rate, settle_batches
from recbole_diffusion.data.features import Modality
from recbole_diffusion.data.loader import PositiveLoader
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.factory import trainer_for

HERE = Path(__file__).resolve().parent.parent
ROWS, ESTIMATED = (1_000_000, 10_000_000), 100_000_000
PER_USER, PER_ITEM, WIDTH, NEIGHBOURS = 33, 25, 64, 12
LOADED = 350.0  # MB of a process that has loaded the packages
SECONDS, MOST = 6.0, 15  # CPU seconds of batches that are measured, and batches, at most
FEATURES = {
    "modalities": ["image", "text"],
    "modality_weights": [0.5, 0.5],
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "TVDiff": ("TVDiff", {"hidden_size": WIDTH}),
    "TVDiff, rows by user": ("TVDiff", {"hidden_size": WIDTH, "batch_by": "user"}),
    "CNSDiff": ("CNSDiff", {}),
    "FREEDOM": ("FREEDOM", FEATURES),
    "CCDRec": ("CCDRec", FEATURES),
    "LightGCN": ("LightGCN", {"negative_sampler": "uniform"}),
}


class Taken(NamedTuple):
    """What an epoch of one model takes.

    Attributes:
        size: rows of a batch.
        batches: batches of an epoch.
        measured: batches that ``batch`` is the median of.
        begin: CPU seconds of what an epoch begins with.
        batch: CPU seconds of a batch.
        epoch: CPU seconds of an epoch, from these.
        peak: peak resident memory, loading included, MB.
    """

    size: int
    batches: int
    measured: int
    begin: float
    batch: float
    epoch: float
    peak: float


class MadeUp:
    """A training part of ``rows`` interactions in memory, with two modalities of features and neighbours.

    Attributes:
        inter_feat: the users and items of the interactions, in random order.
        matrix: the interactions, CSR [n_users, n_items].
        modalities: random features by name.
    """

    uid_field, iid_field = "user_id", "item_id"

    def __init__(self, rows: int) -> None:
        generator = np.random.default_rng(0)
        n_users, n_items = rows // PER_USER, rows // PER_ITEM
        activity = generator.lognormal(size=n_users)
        users = np.repeat(np.arange(n_users), generator.multinomial(rows, activity / activity.sum()))
        # A power of a uniform number makes few items popular; their numbers are mixed.
        items = generator.permutation(n_items)[(generator.random(rows) ** 2.5 * n_items).astype(np.int64)]
        matrix = sp.csr_matrix((np.ones(rows), (users + 1, items + 1)), (n_users + 1, n_items + 1))
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        self.matrix, pairs = matrix, matrix.tocoo()
        order = generator.permutation(matrix.nnz)
        columns = {self.uid_field: pairs.row, self.iid_field: pairs.col}
        self.inter_feat = {name: torch.from_numpy(ids[order]).long() for name, ids in columns.items()}
        self.modalities = {
            name: Modality(
                name,
                "random numbers",
                generator.normal(size=(n_items, WIDTH)).astype(np.float16),
                np.arange(n_items),
            )
            for name in FEATURES["modalities"]
        }

    def __len__(self) -> int:
        return self.matrix.nnz

    def num(self, field: str) -> int:
        """Return the number of users or items, the padding included."""
        return self.matrix.shape[0 if field == self.uid_field else 1]

    def inter_matrix(self, form: str) -> sp.spmatrix:
        """Return the interactions."""
        return self.matrix.asformat(form)

    def neighbours(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return random neighbours of each item, the item itself first, and their cosines."""
        n_items = self.matrix.shape[1] - 1
        generator = torch.Generator().manual_seed(len(name))
        found = torch.randint(1, n_items + 1, (n_items, NEIGHBOURS), generator=generator)
        found[:, 0] = torch.arange(1, n_items + 1)
        return found, torch.ones(found.shape)


class First:
    """The first batches of a loader, with the CPU time before each."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.times = loader, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield batches until there are enough, by number or by time."""
        for number, batch in enumerate(self.loader):
            self.times.append(time.process_time())
            if number > MOST or (number > 2 and self.times[-1] - self.times[1] > SECONDS):
                return
            yield batch
        self.times.append(time.process_time())


def measure(label: str, rows: int) -> list[Taken]:
    """Train the first batches of an epoch, by ``auto`` and, where that differs, of the default size."""
    model, options = MODELS[label]
    config = Config(model, "ml-100k", overrides={"use_gpu": False, "train_batch_size": "auto", **options})
    data = MadeUp(rows)
    with tempfile.TemporaryDirectory() as folder:
        config["checkpoint_dir"] = folder
        settle_batches(config, data)
        loaders = [PositiveLoader(config, data)]
        built = config.model_class(config, data)
        trainer = trainer_for(config, built, RunFolder.create(model, "made-up", folder, f"{folder}/run"))
        if config["train_batch_size"] != DEFAULT:
            loaders.append(PositiveLoader(config.changed(train_batch_size=DEFAULT), data))
        found = []
        for loader in loaders:
            built.train()
            first, clock = First(loader), time.process_time()
            trainer._train_epoch(first, 0)
            trainer._open_record = None  # this epoch has no checkpoint
            each = [after - before for before, after in itertools.pairwise(first.times[1:])]
            begin, batch = first.times[0] - clock, statistics.median(each)
            epoch = begin + batch * len(loader)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            found.append(Taken(loader.batch_size, len(loader), len(each), begin, batch, epoch, peak))
    return found


def measured(label: str, rows: int) -> list[Taken]:
    """Return what :func:`measure` finds in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.growth", f"--one={label}", f"--rows={rows}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return [Taken(*one) for one in json.loads(done.stdout.splitlines()[-1])]


def duration(seconds: float) -> str:
    """Return CPU seconds for a table, in the unit that a person would take."""
    for unit, size, most in (("s", 1, 600), ("min", 60, 7200), ("h", 3600, 48 * 3600)):
        if seconds < most:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"


def estimated(one: Taken, rows: int, wanted: int) -> Taken:
    """Return an epoch of ``wanted`` interactions from a measured one of ``rows``.

    A batch touches a graph and tables that are ``wanted / rows`` times as large, and has at most as many
    times the rows, so that it takes at most as many times the time.
    """
    times = wanted / rows
    size = DEFAULT * 2 ** max(0, math.ceil(math.log2(wanted / (DEFAULT * BATCHES))))
    batches, begin, batch = math.ceil(wanted / size), one.begin * times, one.batch * times
    return Taken(size, batches, 0, begin, batch, begin + batch * batches, (one.peak - LOADED) * times)


def rows_of(label: str, found: dict[int, list[Taken]]) -> list[str]:
    """Return the lines of one model, one for each size, and the estimate beyond."""
    sizes = sorted(found)
    first, largest = found[sizes[0]][0], sizes[-1]
    every = {rows: (ones[0], ones[-1]) for rows, ones in found.items()}
    if "by user" not in label:  # whose batches of the largest size are not yet at their bound
        fixed = found[largest][-1]
        more = math.ceil(ESTIMATED / DEFAULT)
        growing = fixed.begin + fixed.batch * more
        beyond = fixed._replace(batches=more, epoch=growing * ESTIMATED / largest)
        every[ESTIMATED] = estimated(found[largest][0], largest, ESTIMATED), beyond
    lines = []
    for rows, (one, fixed) in every.items():
        times = f"{one.epoch / first.epoch:.1f}" if rows != sizes[0] else ""
        how = f"{one.measured}" if one.measured else "estimated"
        lines.append(
            f"| {label} | {rows:,} | {how} | {one.size:,} | {one.batches:,} | {one.begin:.3g} | "
            f"{one.batch:.3g} | {duration(one.epoch)} | {times} | {one.peak / 1024:.1f} | "
            f"{duration(fixed.epoch)} |"
        )
    return lines


def growth(rows: list[int], models: list[str]) -> list[str]:
    """Return the table of epochs."""
    found: dict[str, dict[int, list[Taken]]] = {label: {} for label in models}
    for label, many in itertools.product(models, rows):
        found[label][many] = measured(label, many)
        print(label, many, found[label][many], file=sys.stderr, flush=True)
    head = table_head(
        "model",
        "interactions",
        "batches measured",
        "rows of a batch",
        "batches",
        "begin, s",
        "batch, s",
        "epoch",
        "of the first",
        "memory, GB",
        "epoch in batches of 2,048",
    )
    return [*head, *(line for label in models for line in rows_of(label, found[label]))]


class Held(NamedTuple):
    """A setting whose accuracy with larger batches is held against the default.

    Attributes:
        model: its name.
        dataset: its name.
        options: of the run; ``epochs`` among them.
        size: rows of the smallest batch.
        rate: its learning rate.
        arms: how many times the rows, and whether the learning rate is scaled.
    """

    model: str
    dataset: str
    options: dict[str, Any]
    size: int
    rate: float
    arms: tuple[tuple[int, bool], ...]


GRAPH = {"negative_sampler": "uniform", "embedding_size": 16}  # LightGCN, as CNSDiff has it
NARROW = {"hidden_size": 16, "negative_sampler": "uniform"}
# `auto` has 257 batches an epoch at least; twice the rows have 197 and 176 on these sets.
TWICE = ((1, True), (2, True))
HELD = (
    Held("CNSDiff", "ml-1m", {**GRAPH, "epochs": 6, "eval_step": 2}, 2048, 0.005, TWICE),
    Held("CNSDiff", "gowalla", {**GRAPH, "epochs": 4, "eval_step": 2}, 2048, 0.005, TWICE),
    Held("TVDiff", "ml-1m", {**NARROW, "epochs": 6, "eval_step": 2}, 2048, 0.001, TWICE),
    Held("TVDiff", "gowalla", {**NARROW, "epochs": 4, "eval_step": 2}, 2048, 0.001, TWICE),
)
SEEDS = (1, 2, 3)


def run_of(held: Held, size: int, rate: float, seed: int, folder: Path, data_path: Path) -> dict[str, Any]:
    """Return the result of a run, which is made unless it is there."""
    if not (folder / "result.json").is_file():
        options = {
            **held.options,
            "seed": seed,
            "split_seed": 1,
            "use_gpu": False,
            "checkpoint_interval": 100,
        }
        options |= {"train_batch_size": size, "learning_rate": rate, "metrics": ["Recall", "NDCG"]}
        words = [f"--{name}={json.dumps(value)}" for name, value in options.items()]
        words += [f"--model={held.model}", f"--dataset={held.dataset}", f"--run_dir={folder}"]
        words += [] if held.dataset == "ml-100k" else [f"--data_path={data_path}"]
        quiet = subprocess.DEVNULL
        subprocess.run(
            [sys.executable, "run_recbole_diff.py", *words], cwd=HERE, check=True, stdout=quiet, stderr=quiet
        )
    return json.loads((folder / "result.json").read_text())


def accuracy(data_path: Path, runs: Path) -> list[str]:
    """Return the table of validation scores of larger batches beside the smallest."""
    names = ("model", "data", "rows of a batch", "batches", "learning rate", "validation recall@20")
    lines = table_head(*names, "deviation over seeds", "best epoch", words=2)
    for held in HELD:
        for times, scaled in held.arms:
            size = held.size * times
            rate = scaled_rate(held.rate, times, "adam") if scaled else held.rate
            results = []
            for seed in SEEDS:
                folder = runs / f"{held.model}-{held.dataset}-{size}-{rate:.4g}-{seed}"
                results.append(run_of(held, size, rate, seed, folder, data_path))
                print(folder.name, results[-1]["best_valid_score"], file=sys.stderr, flush=True)
            scores = [one["best_valid_score"] for one in results]
            epochs = ", ".join(str(one["best_epoch"]) for one in results)
            batches = results[0]["batches_per_epoch"]
            lines.append(
                f"| {held.model} | {held.dataset} | {size:,} | {batches} | {rate:.4g} | "
                f"{statistics.mean(scores):.4f} | {statistics.stdev(scores):.4f} | {epochs} |"
            )
    return lines


TABLE = (
    "CPU seconds. An epoch is estimated from the batches measured: what it begins with, and the median batch",
    "times the number of batches; `of the first` is its ratio to the first size. The last column has the",
    "same data in batches of 2,048 rows, of which 3 to 15 were measured: what an epoch takes without",
    "`train_batch_size: auto`.",
)
ASSUMED = (
    f"The rows of {ESTIMATED:,} interactions are not measured. They assume as many users and items for an",
    "interaction as at the largest measured size, so that graph, tables and rows of a batch grow alike and a",
    "batch takes as many times the time; as many batches as the rule gives; and a machine whose memory holds",
    "all of it. Beyond the packages, memory is taken to grow in proportion.",
)


def main() -> None:
    """Measure, and show the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--data_path", type=Path, help="folder that holds ml-1m/ and gowalla/")
    parser.add_argument("--runs", type=Path, help="folder that the runs of the accuracy are kept in")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.rows[0])))
        return
    table = growth(arguments.rows, arguments.models)
    lines = [
        "# Growth of an epoch with the data",
        "",
        f"`python -m benchmarks.growth{' --data_path=DATA --runs=RUNS' if arguments.data_path else ''}`; "
        f"{machine('shared with other work', 'seed 0')}; {stack()}.",
        "",
        *TABLE,
        "",
        *table,
        "",
        *ASSUMED,
    ]
    if arguments.data_path:
        with tempfile.TemporaryDirectory() as temporary:
            runs = (arguments.runs or Path(temporary)).resolve()
            lines += ["", "## Accuracy of larger batches", "", *accuracy(arguments.data_path.resolve(), runs)]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
