"""Ranking the whole catalogue from a run: known and new users, whole processes and the ranking alone.

    python -m benchmarks.serving --run=RUN_DIR ... [--new=10000] [--data_path=DATA] [--output=FILE]

Each command is a process of its own, through the command line, so that its peak memory is its own. Clock and
processor seconds are both given: on a machine that does other work the clock says little. New users are known
users' histories under new names.
"""

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._page import machine, page_parser, show_page, stack, table_head

ALONE = 4096  # users, evenly spaced, of the ranking alone
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def timed(words: list[str]) -> dict[str, float | str]:
    """Run a command line; return clock and processor seconds, peak memory in MB, and what it printed."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    time_file = tempfile.NamedTemporaryFile("r")  # noqa: SIM115 closed with the process
    # Not ru_maxrss, which a process takes over from the one that starts it.
    code = "import re, sys; from recbole_diffusion import cli; import recbole_diffusion.cli.main; "
    code += "path = sys.argv.pop(1); code = cli.main.main(); "
    code += "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]; "
    code += "open(path, 'w').write(peak); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", code, time_file.name, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"load ([\d.]+) s  rank and write ([\d.]+) s", done.stdout)
    return {
        "clock": time.perf_counter() - start,
        "processor": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rank": float(found.group(2)) if found else float("nan"),
        "peak_mb": float(time_file.read()) / 1024,
        "text": done.stdout,
    }


def write_histories(folder: Path, count: int, path: Path, data_path: str | None) -> int:
    """Write the training histories of the first ``count`` users under new names; return the rows."""
    from recbole_diffusion import load_run

    run = load_run(folder, **({"data_path": data_path} if data_path else {}))
    part = run.parts["train"]
    users, items = (part.inter_feat[name].numpy() for name in (part.uid_field, part.iid_field))
    few = users <= count
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=run.config["field_separator"], lineterminator="\n")
        writer.writerow([f"{part.uid_field}:token", f"{part.iid_field}:token"])
        writer.writerows(
            (f"new-{user}", item) for user, item in zip(users[few], run.items.tokens[items[few]], strict=True)
        )
    return int(few.sum())


def ranking_alone(folder: Path, data_path: str | None) -> dict[str, float | str]:
    """Return processor seconds of ranking users in this process, by bounded search and by all products."""
    import numpy as np

    from recbole_diffusion import load_run
    from recbole_diffusion.serving import ranking, scoring

    run = load_run(folder, **({"data_path": data_path} if data_path else {}))
    vectors = run.model.inner_products()
    users = np.unique(np.linspace(1, len(run.users), ALONE).astype(np.int64))
    search = scoring.VectorSearch(vectors.items)
    find = {
        "vectors": lambda some, k, cells: (  # noqa: ARG005
            vectors.users(some)[:, :1].expand(-1, k),
            some[:, None].expand(-1, k),
        ),
        "bounded": lambda some, k, cells: search.best(vectors.users(some), some, k, cells),
        "plain": lambda some, k, cells: scoring.best_of(
            vectors.users(some) @ vectors.items.T, some, k, cells
        ),
    }
    import torch

    seconds: dict[str, float | str] = {}
    seen = ranking.seen_items(run.parts, "all")
    for name, one in find.items():
        start = time.process_time()
        with torch.no_grad():
            for _ in ranking.rank_users(
                one, users, 20, seen, run.config["device"], ranking.block_size(len(run.items))
            ):
                pass
        seconds[name] = time.process_time() - start
    seconds["share"] = search.products / (len(users) * len(run.items))
    seconds["name"] = (
        f"{run.config['model']}, width {vectors.items.shape[1]}, {run.result['best_epoch'] + 1} epochs"
    )
    seconds["sizes"] = f"{run.config['dataset']}: {len(run.users):,} users, {len(run.items):,} items"
    return seconds


def rows_of(folder: Path, arguments: argparse.Namespace) -> tuple[str, list[str], str]:
    """Return the sizes, the rows of the table of commands and the row of the table of the ranking alone."""
    place = [f"--data_path={arguments.data_path}"] if arguments.data_path else []
    alone = ranking_alone(folder, arguments.data_path)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch, "new.inter")
        many = write_histories(folder, arguments.new, new, arguments.data_path)
        asked = {
            "all users": ["--all"],
            f"{arguments.new:,} new users, {many:,} rows": [f"--histories={new}"],
        }
        for what, words in asked.items():
            done = timed(
                [
                    "recommend",
                    f"--run={folder}",
                    *words,
                    f"--output={scratch}/{len(rows)}.csv",
                    "--k=20",
                    *place,
                ]
            )
            numbers = " | ".join(f"{done[name]:.1f} s" for name in ("clock", "rank", "processor"))
            rows.append(f"| {alone['name']} | {what} | {numbers} | {done['peak_mb']:.0f} MB |")
    seconds = " | ".join(f"{alone[name]:.2f} s" for name in ("vectors", "bounded", "plain"))
    row = f"| {alone['name']} | {seconds} | {alone['share']:.2f} |"
    return str(alone["sizes"]), rows, row


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--run", type=Path, nargs="+", required=True)
    parser.add_argument("--new", type=int, default=10_000)
    parser.add_argument("--data_path")
    arguments = parser.parse_args()
    found = [rows_of(folder, arguments) for folder in arguments.run]
    load = f"shared with other work (load average {os.getloadavg()[1]:.1f})"
    lines = [
        "# Serving: top-20 lists from a trained run",
        "",
        f"`python -m benchmarks.serving --run RUN_DIR ...`; {found[0][0]};",
        f"{machine(f'{os.cpu_count()} cores', load)};",
        f"{stack()}.",
        "",
        "Whole processes of the command line, from the start of Python to the file in its place. The clock "
        "is that of the",
        "machine with its other work; processor seconds are those of all threads together.",
        "",
        *table_head(
            "run",
            "asked for",
            "clock",
            "of it ranking and writing",
            "processor",
            "peak resident memory",
            words=2,
        ),
        *(row for _, rows, _ in found for row in rows),
        "",
        f"The ranking alone, {ALONE:,} users, processor seconds: the reverse chains that give the user "
        "vectors; chains and",
        "exact search by falling length with a bound; chains and all products with one top-k. The share is "
        "that of the",
        "products that the bound leaves over.",
        "",
        *table_head("run", "user vectors", "with bounded search", "with all products", "share of products"),
        *(row for *_, row in found),
    ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
