"""CPU seconds before anything happens: small commands, each in a process of its own, on one thread.

Run it as ``python -m benchmarks.startup``. With ``--before=CHECKOUT``, the folder of another checkout of this
repository, both are measured in turns and their ratio is told. A worker of a sweep is what Ray starts for a
trial: it imports Ray Tune, and then what a run needs up to its first optimizer.
"""

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks._page import machine, page_parser, show_page, stack, table_head

HERE = Path(__file__).resolve().parent.parent
USERS, ITEMS, EACH = 60, 80, 12
RUN = "import torch, recbole_diffusion.quick_start\n"
RUN += "torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])\n"


class Taken(NamedTuple):
    """What a process took.

    Attributes:
        cpu: CPU seconds.
        silence: the longest time without a line on standard output or error, seconds.
    """

    cpu: float
    silence: float


def write_data(folder: Path) -> None:
    """Write a data set of a few hundred rows."""
    draw = random.Random(0)
    (folder / "tiny").mkdir()
    rows = [f"{user}\t{item}\n" for user in range(USERS) for item in draw.sample(range(ITEMS), EACH)]
    (folder / "tiny" / "tiny.inter").write_text("user_id:token\titem_id:token\n" + "".join(rows))


def commands(data: Path, runs: Path) -> dict[str, list[str]]:
    """Return the arguments of Python for each row of the table."""
    product = ["run_recbole_diff.py"]
    common = ["--dataset=tiny", f"--data_path={data}", "--epochs=1"]
    lists = ["--all", f"--output={runs / 'lists.csv'}", "--overwrite"]
    return {
        "`--help`": [*product, "--help"],
        "`doctor`": [*product, "doctor"],
        "one epoch of TVDiff": [*product, "--model=TVDiff", *common, f"--run_dir={runs / 'TVDiff'}"],
        "one epoch of BPR": [*product, "--model=BPR", *common, f"--run_dir={runs / 'BPR'}"],
        "`recommend` from TVDiff": [*product, "recommend", f"--run={runs / 'TVDiff'}", *lists],
        "`recommend` from BPR": [*product, "recommend", f"--run={runs / 'BPR'}", *lists],
        "a worker of a sweep": ["-c", "import ray\nfrom ray import tune\n" + RUN],
        "of that, without Ray's own imports": ["-c", RUN],
        "for comparison: `import torch`": ["-c", "import torch"],
    }


def measured(arguments: list[str], checkout: Path) -> Taken:
    """Run Python in a checkout; return what it took.

    Raises:
        RuntimeError: it failed.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    before, last, silence = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0.0
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=checkout,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = [""]
    while len(said) == 1 or said[-1]:
        said.append(process.stdout.readline())
        now = time.monotonic()
        silence, last = max(silence, now - last), now
    if process.wait() != 0:
        raise RuntimeError(f"{arguments}: {''.join(said)}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, silence)


def report(before: Path | None, repeats: int) -> list[str]:
    """Return the lines of the page."""
    checkouts = {"this": HERE, **({"before": before.resolve()} if before else {})}
    head = ["command", *(["before"] if before else []), "CPU seconds", *(["ratio"] if before else [])]
    lines = [
        "# Start-up",
        "",
        f"CPU seconds on one thread, medians of {repeats} processes each, the checkouts in turns; "
        f"{USERS} users, {ITEMS} items. A silence is the longest time between two lines.",
        "",
        *table_head(*head, "longest silence, s"),
    ]
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        data.mkdir()
        write_data(data)
        taken: dict[tuple[str, str], list[Taken]] = {}
        for repeat in range(repeats):
            for name, checkout in checkouts.items():
                runs = Path(temporary) / f"{name}-{repeat}"
                runs.mkdir()
                for row, arguments in commands(data, runs).items():
                    taken.setdefault((row, name), []).append(measured(arguments, checkout))
        for row in commands(data, data):
            cpu = {name: statistics.median(one.cpu for one in taken[row, name]) for name in checkouts}
            silence = statistics.median(one.silence for one in taken[row, "this"])
            cells = [row, *([f"{cpu['before']:.2f}"] if before else []), f"{cpu['this']:.2f}"]
            cells += [f"{cpu['before'] / cpu['this']:.1f}"] if before else []
            lines.append(f"| {' | '.join(cells)} | {silence:.1f} |")
    return lines


def main() -> None:
    """Measure, and show the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--before", type=Path, help="folder of another checkout")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    command = "python -m benchmarks.startup" + (" --before=CHECKOUT" if options.before else "")
    command += f" --repeats={options.repeats}" if options.repeats != 3 else ""
    lines = report(options.before, options.repeats)
    cores = f"{os.cpu_count()} cores"
    lines += ["", f"- Machine: {machine(cores)}", f"- Versions: {stack()}"]
    show_page([*lines, f"- Command: `{command}`"], options.output)


if __name__ == "__main__":
    main()
