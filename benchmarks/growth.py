"""How an epoch grows with the data: to ten million interactions measured, to a hundred million estimated.

    python -m benchmarks.growth [--rows 1000000 10000000] [--before=CHECKOUT] [--output=FILE]

Made-up interactions with the shape of Gowalla: 33 a user in the mean, of log-normal activity, and 25 an item,
of skewed popularity. Each model and size is a process of its own, which loads the files, builds model and
trainer, and trains the first batches of an epoch; the epoch is what precedes it plus its number of batches
times the mean of those after the first. Models of features get random ones of 64 numbers, with neighbours
drawn at random, since the search of neighbours is no part of an epoch. ``--before`` measures another checkout
of this repository, with its own batches, in turns with this one.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from benchmarks._page import machine, page_parser, show_page, stack, table_head

HERE = Path(__file__).resolve().parent.parent
ROWS = (1_000_000, 10_000_000)
PER_USER, PER_ITEM, WIDTH, NEIGHBOURS = 33, 25, 64, 12
SECONDS, MOST = 40.0, 40  # CPU seconds of batches that are measured, and batches, at most
NAME = "grown"
PARTS = {"benchmark_filename": ["train", "valid", "test"], "load_col": {"inter": ["user_id", "item_id"]}}
FEATURES = {"modalities": ["image", "text"], "modality_weights": [0.5, 0.5]}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "TVDiff": ("TVDiff", {"hidden_size": WIDTH}),
    "TVDiff, rows by user": ("TVDiff", {"hidden_size": WIDTH, "batch_by": "user"}),
    "CNSDiff": ("CNSDiff", {}),
    "FREEDOM": ("FREEDOM", FEATURES),
    "CCDRec": ("CCDRec", FEATURES),
    "LightGCN (RecBole's)": ("LightGCN", {}),
}
# Reads a request from the command line as JSON, and prints what it took.
ONE = """
import itertools, json, resource, sys, tempfile, time
model, options, seconds, most = json.loads(sys.argv[1])
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.storage.run_folder import RunFolder
from recbole_diffusion.trainer.factory import trainer_for

class First:
    # The first batches of a loader, with the time after each.
    def __init__(self, loader):
        self.loader, self.times = loader, []
    def __getattr__(self, name):
        return getattr(self.loader, name)
    def __len__(self):
        return len(self.loader)
    def __iter__(self):
        for number, batch in enumerate(self.loader):
            self.times.append(time.process_time())
            if number > most or (number > 2 and self.times[-1] - self.times[1] > seconds):
                return
            yield batch
        self.times.append(time.process_time())

config = Config(model, "grown", overrides=options)
train, _, _ = prepare_data(config, create_dataset(config))
with tempfile.TemporaryDirectory() as folder:
    config["checkpoint_dir"] = folder
    built = config.model_class(config, train._dataset).to(config["device"])
    trainer = trainer_for(config, built, RunFolder.create(model, "grown", folder, folder + "/run"))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    built.train()
    first, clock = First(train), time.process_time()
    trainer._train_epoch(first, 0)
times = first.times
batch = (times[-1] - times[1]) / (len(times) - 2)
print(json.dumps({
    "size": config["train_batch_size"], "batches": len(train), "measured": len(times) - 2,
    "begin": times[0] - clock, "batch": batch, "rate": config["learning_rate"],
    "epoch": times[0] - clock + batch * len(train), "built": resident,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


class Taken(NamedTuple):
    """What one process found.

    Attributes:
        size: rows of a batch.
        batches: batches of an epoch.
        measured: batches that ``batch`` is the mean of.
        begin: CPU seconds of what an epoch begins with.
        batch: CPU seconds of a batch.
        rate: learning rate.
        epoch: CPU seconds of an epoch, estimated from the measured batches.
        built: peak resident memory before the first batch, MB.
        peak: peak resident memory, MB.
    """

    size: int
    batches: int
    measured: int
    begin: float
    batch: float
    rate: float
    epoch: float
    built: float
    peak: float


def write_data(folder: Path, rows: int) -> None:
    """Write train with ``rows`` interactions, a few of the other parts, and two modalities with neighbours."""
    generator = np.random.default_rng(0)
    n_users, n_items = rows // PER_USER, rows // PER_ITEM
    activity = generator.lognormal(size=n_users)
    users = np.repeat(np.arange(n_users), generator.multinomial(rows, activity / activity.sum()))
    # A power of a uniform number makes few items popular; their numbers are mixed.
    items = generator.permutation(n_items)[(generator.random(rows) ** 2.5 * n_items).astype(np.int64)]
    _, first = np.unique(users * n_items + items, return_index=True)
    order = generator.permutation(first)
    users, items = users[order], items[order]
    held_out = len(users) // 1000
    (folder / NAME).mkdir()
    begin = 0
    for part, many in (("valid", held_out), ("test", held_out), ("train", len(users) - 2 * held_out)):
        with (folder / NAME / f"{NAME}.{part}.inter").open("w") as file:
            file.write("user_id:token\titem_id:token\n")
            for start in range(begin, begin + many, 1_000_000):
                some = slice(start, min(start + 1_000_000, begin + many))
                pairs = zip(users[some].tolist(), items[some].tolist(), strict=True)
                file.write("".join(map("%d\t%d\n".__mod__, pairs)))
        begin += many
    for name in FEATURES["modalities"]:
        features = generator.normal(size=(n_items, WIDTH)).astype(np.float16)
        np.save(folder / NAME / f"{NAME}.{name}.npy", features)
        neighbours = generator.integers(0, n_items, (n_items, NEIGHBOURS))
        np.savez(folder / NAME / f"{NAME}.{name}_knn10.npz", neighbours=neighbours)


def measured(model: str, options: dict[str, Any], checkout: Path) -> Taken:
    """Train the first batches of a model in a checkout, in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ONE, json.dumps([model, options, SECONDS, MOST])],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def duration(seconds: float) -> str:
    """Return CPU seconds for a table: with three digits, in hours beyond two of them."""
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds:,.0f} s"


def rows_of(label: str, found: dict[int, Taken], ratio: bool) -> list[str]:
    """Return the lines of one model and checkout, one for each size, and the estimate beyond."""
    lines = []
    sizes = sorted(found)
    for rows in sizes:
        one = found[rows]
        times = f"{one.epoch / found[sizes[0]].epoch:.1f}" if ratio and rows > sizes[0] else ""
        lines.append(
            f"| {label} | {rows:,} | {one.size:,} | {one.batches:,} | {one.measured} | {one.begin:.1f} | "
            f"{one.batch:.3f} | {duration(one.epoch)} | {times} | {one.peak:,.0f} |"
        )
    return lines


def main() -> None:
    """Measure, and show the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--before", type=Path, help="folder of another checkout")
    arguments = parser.parse_args()
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), rows)
            for label in arguments.models:
                model, options = MODELS[label]
                given = {"data_path": folder, "use_gpu": False, **PARTS, **options}
                print(label, rows, measured(model, given, HERE), flush=True)


if __name__ == "__main__":
    main()
