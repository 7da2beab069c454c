"""CPU seconds from atomic files to loaders (reading, filters, ids, split), in a process of its own.

Run it as ``python -m benchmarks.loading``; with ``--data_path=DATA`` it reads ``DATA/ml-1m`` (random split by
user) and ``DATA/gowalla`` (three parts), without it a made-up file. ``--rows=10000000`` sets the size of that
file. RecBole's own preparation of the same data is timed beside, unless ``--recbole=no``; with
``--before=CHECKOUT``, the folder of another checkout of this repository, that one is timed in turns.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._page import machine, page_parser, show_page, stack, table_head

HERE = Path(__file__).resolve().parent.parent
ROWS, MODELS = 1_000_000, ("BPR", "TVDiff")
PARTS = {"benchmark_filename": ["train", "valid", "test"]}

# Both read the options from the command line as JSON and print CPU seconds and peak memory in MB.
OURS = """
import json, resource, sys, time
model, dataset, options = json.loads(sys.argv[1])
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
config = Config(model, dataset, overrides=options)
clock = time.process_time()
found = create_dataset(config)
middle = time.process_time()
loaders = prepare_data(config, found)
end = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([middle - clock, end - middle, peak]))
"""
RECBOLE = """
import json, resource, sys, time
model, dataset, options = json.loads(sys.argv[1])
sys.argv = sys.argv[:1]
from recbole_diffusion.compat import RecBoleConfig
from recbole.data import create_dataset, data_preparation
config = RecBoleConfig("BPR", dataset, config_dict=options)
clock = time.process_time()
found = create_dataset(config)
middle = time.process_time()
loaders = data_preparation(config, found)
end = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([middle - clock, end - middle, peak]))
"""


class Taken(NamedTuple):
    """What a process took.

    Attributes:
        read: CPU seconds of reading, filters and ids.
        prepare: CPU seconds of split and loaders.
        peak: peak resident memory, MB.
    """

    read: float
    prepare: float
    peak: float


def write_rows(folder: Path, name: str, rows: int) -> None:
    """Write an .inter file of ``rows`` rows, with 50 rows a user and popular items."""
    generator = np.random.default_rng(0)
    users, items, written = rows // 50, rows // 200, 0
    (folder / name).mkdir()
    with (folder / name / f"{name}.inter").open("w") as file:
        file.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
        while written < rows:
            size = min(1_000_000, rows - written)
            columns = (
                generator.integers(1, users + 1, size),
                (generator.random(size) ** 2 * items).astype(np.int64) + 1,
                generator.integers(1, 6, size),
                generator.integers(956_703_932, 1_046_454_590, size),
            )
            lines = map("%d\t%d\t%d\t%d\n".__mod__, zip(*(one.tolist() for one in columns), strict=True))
            file.write("".join(lines))
            written += size


def write_parquet(folder: Path, name: str, rows: int) -> None:
    """Write ``rows`` rows as Parquet: 50 different items a user, whole numbers for ids, in order of user."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(0)
    users, items = rows // 50, rows // 200
    kinds = [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("rating", pa.int8()),
        ("timestamp", pa.int64()),
    ]
    (folder / name).mkdir()
    with pq.ParquetWriter(folder / name / f"{name}.inter.parquet", pa.schema(kinds)) as file:
        for start in range(0, users, 100_000):
            user = np.repeat(np.arange(start, min(start + 100_000, users)), 50)
            # 50 steps of less than a fiftieth of the items never meet.
            step = generator.integers(1, max(2, items // 50), len(user) // 50).repeat(50)
            first = generator.integers(0, items, len(user) // 50).repeat(50)
            item = (first + step * np.tile(np.arange(50), len(user) // 50)) % items
            rating, time = (
                generator.integers(1, 6, len(user)),
                generator.integers(10**9, 2 * 10**9, len(user)),
            )
            arrays = [
                pa.array(one, kind) for one, (_, kind) in zip((user, item, rating, time), kinds, strict=True)
            ]
            file.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(kinds)))


def measured(code: str, request: list[Any], checkout: Path) -> Taken:
    """Run a program in a checkout; return what it took.

    Raises:
        RuntimeError: it failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(request)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Taken(*json.loads(done.stdout.splitlines()[-1]))


def rows_of(
    name: str, options: dict[str, Any], before: Path | None, recbole: bool, asked: argparse.Namespace
) -> list[str]:
    """Return the rows of the table for one data set."""
    programs = {f"this, {model}": (OURS, [model, name, options], HERE) for model in asked.models}
    if before is not None:
        programs |= {f"before, {model}": (OURS, [model, name, options], before) for model in asked.models}
    if recbole:
        own = {"load_col": {"inter": ["user_id", "item_id"]}} | options
        programs["RecBole, BPR"] = (RECBOLE, ["BPR", name, own], HERE)
    taken: dict[str, list[Taken]] = {program: [] for program in programs}
    for _ in range(asked.repeats):
        for program, arguments in programs.items():
            taken[program].append(measured(*arguments))
    middle = {
        program: Taken(*map(statistics.median, zip(*found, strict=True))) for program, found in taken.items()
    }
    lines = []
    for program, found in middle.items():
        ours = middle[f"this, {program.rpartition(', ')[2]}"]
        total = found.read + found.prepare
        ratio = total / (ours.read + ours.prepare)
        lines.append(
            f"| {name} | {program} | {found.read:.2f} | {found.prepare:.2f} | {total:.2f} | "
            f"{ratio:.1f} | {found.peak:.0f} |"
        )
    return lines


def main() -> None:
    """Measure, and show the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", type=Path, help="folder that holds ml-1m/ and gowalla/")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the made-up file")
    parser.add_argument("--parquet", action="store_true", help="the made-up file as Parquet, without repeats")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="models whose loaders are made")
    parser.add_argument("--before", type=Path, help="folder of another checkout")
    parser.add_argument("--recbole", choices=("yes", "no"), default="yes")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    before = options.before.resolve() if options.before else None
    recbole = options.recbole == "yes"
    lines = [
        "# Loading: from atomic files to loaders",
        "",
        f"CPU seconds on one thread, medians of {options.repeats} processes each, in turns. The ratio is the "
        "sum by that of this checkout with the same model.",
        "RecBole's samplers and loaders depend on no model here; TVDiff draws its own negatives.",
        "",
        *table_head("data", "what", "reading", "split, loaders", "sum", "ratio", "peak memory, MB", words=2),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        if options.data_path:
            folder = str(options.data_path.resolve())
            for name, more in (("ml-1m", {}), ("gowalla", PARTS)):
                given = {"data_path": folder, **more}
                lines += rows_of(name, given, before, recbole, options)
        else:
            name = f"made-up-{options.rows}"
            (write_parquet if options.parquet else write_rows)(Path(temporary), name, options.rows)
            given = {"data_path": temporary} | ({} if options.parquet else {"rm_dup_inter": "first"})
            lines += rows_of(name, given, before, recbole, options)
    command = " ".join(
        [
            "python -m benchmarks.loading",
            *(["--data_path=DATA"] if options.data_path else [f"--rows={options.rows}"]),
            *(["--parquet"] if options.parquet else []),
            *(["--models", *options.models] if options.models != list(MODELS) else []),
            *(["--before=CHECKOUT"] if before else []),
            *([] if recbole else ["--recbole=no"]),
            *([f"--repeats={options.repeats}"] if options.repeats != 3 else []),
        ]
    )
    cores = f"{os.cpu_count()} cores"
    lines += ["", f"- Machine: {machine(cores)}", f"- Versions: {stack()}", f"- Command: `{command}`"]
    show_page(lines, options.output)


if __name__ == "__main__":
    main()
