"""Time RecBole's reading of atomic files against ``FastReading``, in one process, in turn.

Run it as ``python -m benchmarks.loading``; with ``--data_path=DATA`` it reads ``DATA/ml-1m/ml-1m.*``, without
it a made-up file of the same size. It prints a Markdown table, and writes it too with ``--output=FILE``.
"""

import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.compat import Dataset, FeatureSource
from recbole_diffusion.compat import RecBoleConfig as Config
from recbole_diffusion.data.reader import FastReading

DATASET, ROWS, USERS, ITEMS, REPEATS = "ml-1m", 1_000_209, 6040, 3706, 7


class Fast(FastReading, Dataset):
    """RecBole's general data set, read fast."""


def write_ratings(folder: Path) -> None:
    """Write as many rows as ml-1m has, of uniformly drawn users and items."""
    random = np.random.default_rng(0)
    table = {
        "user_id:token": random.integers(1, USERS + 1, ROWS),
        "item_id:token": random.integers(1, ITEMS + 1, ROWS),
        "rating:float": random.integers(1, 6, ROWS),
        "timestamp:float": random.integers(956_703_932, 1_046_454_590, ROWS),
    }
    (folder / DATASET).mkdir()
    pd.DataFrame(table).to_csv(folder / DATASET / f"{DATASET}.inter", sep="\t", index=False)


def steps(config: Config) -> dict[str, Callable[[type], Callable[[], object]]]:
    """Return what is timed, by name: functions that prepare a data set class and return the work."""
    path = Path(config["data_path"]) / f"{DATASET}.inter"

    def read(kind: type) -> Callable[[], object]:
        data = kind.__new__(kind)
        data.config, data.logger = config, logging.getLogger()
        data._get_preset()
        return lambda: data._load_feat(str(path), FeatureSource.INTERACTION)

    def build(kind: type) -> Callable[[], object]:
        return kind(config).build

    return {
        "reading the .inter file": read,
        "`Dataset(config)`: reading all files, filters, ids": lambda kind: lambda: kind(config),
        "`dataset.build()`: split 8:1:1 by user": build,
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores {names[0] if names else platform.processor()}"


def report(config: Config, repeats: int, source: str, command: str) -> list[str]:
    """Return the lines of the page: median seconds of both readers, and the ratio of the medians."""
    lines = [
        f"# Loading {source}",
        "",
        f"Median seconds of {repeats} runs, RecBole and `FastReading` in turn in one process. Both give the "
        "same data set.",
        "",
        *table_head("step", "RecBole", "FastReading", "ratio"),
    ]
    for name, prepare in steps(config).items():
        taken: dict[type, list[float]] = {Dataset: [], Fast: []}
        for _ in range(repeats):
            for kind, times in taken.items():
                times.append(seconds(prepare(kind)))
        theirs, ours = (statistics.median(times) for times in taken.values())
        lines.append(f"| {name} | {theirs:.2f} s | {ours:.2f} s | {theirs / ours:.1f} |")
    return [
        *lines,
        "",
        f"- Machine: {machine()}, {processor()}",
        f"- Versions: {stack()}",
        f"- Command: `{command}`",
    ]


def main() -> None:
    parser = page_parser(__doc__)
    parser.add_argument(
        "--data_path", type=Path, help=f"folder that holds {DATASET}/ (default: a made-up file)"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line too
    with tempfile.TemporaryDirectory() as temporary:
        if not options.data_path:
            write_ratings(Path(temporary))
        folder = str(options.data_path or temporary)
        config = Config(model="BPR", dataset=DATASET, config_dict={"data_path": folder, "load_col": None})
        command = "python -m benchmarks.loading" + (" --data_path=DATA" if options.data_path else "")
        command += f" --repeats={options.repeats}" if options.repeats != REPEATS else ""
        lines = report(
            config, options.repeats, DATASET if options.data_path else f"{ROWS:,} made-up ratings", command
        )
    show_page(lines, options.output)


if __name__ == "__main__":
    main()
