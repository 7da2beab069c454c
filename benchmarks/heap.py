"""What it saves that memory which a batch has freed stays in the process (``storage/heap.py``).

    python -m benchmarks.heap --data_path=DATA [--output=FILE]

Trains the same epochs with and without it, in a process each, in turns; ``DATA`` holds lastfm/,
amazon-beauty/ and tiktok/. Needs glibc.
"""

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any
from unittest import mock

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks._turns import HERE, environment

SPLIT = ["train_fit", "valid", "test"]
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("BPR", "amazon-beauty", {"benchmark_filename": SPLIT}),
    ("LightGCN", "lastfm", {"benchmark_filename": SPLIT}),
    ("LightGCN", "amazon-beauty", {"benchmark_filename": SPLIT}),
    ("CNSDiff", "amazon-beauty", {"benchmark_filename": SPLIT}),
    ("FREEDOM", "tiktok", {}),
)


def trained(model: str, dataset: str, options: dict[str, Any], kept: bool) -> None:
    """Train four epochs; print the CPU seconds of the shortest of the last three, the system's, the peak."""
    import psutil

    from recbole_diffusion.quick_start import result, run

    marks: list[Any] = []
    fit = result.train if kept else result.train.__wrapped__  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(result, "train", fit):
        fixed = {"epochs": 4, "runs_path": folder, "use_gpu": False, "report_groups": 0, "eval_step": 1}
        found = run(
            model,
            dataset,
            overrides={**options, **fixed},
            on_epoch=lambda *_: marks.append(psutil.Process().cpu_times()),
        )
    # From the end of an epoch's validation to that of the next, which both have it.
    spans = [
        (b.user + b.system - a.user - a.system, b.system - a.system) for a, b in itertools.pairwise(marks)
    ]
    print(json.dumps([*min(spans), found["peak_rss_mb"]]))


def measured(case: tuple[str, str, dict[str, Any]], data_path: str, kept: bool) -> list[float]:
    """Return what :func:`trained` finds, in a process of one thread."""
    model, dataset, options = case
    words = [model, dataset, {**options, "data_path": data_path}, kept]
    code = f"from benchmarks.heap import trained; trained(*{words!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        env=environment(HERE),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    head = ("epoch before, s", "of it the system", "epoch, s", "of it the system", "ratio")
    lines = table_head("model", "data set", *head, "peak before, MB", "peak, MB")
    begun = time.time()
    for case in CASES:
        turns = [
            [measured(case, arguments.data_path, kept) for kept in (False, True)]
            for _ in range(arguments.turns)
        ]
        before, now = (
            [statistics.median(values) for values in zip(*side, strict=True)]
            for side in zip(*turns, strict=True)
        )
        ratio = statistics.median(one[0] / other[0] for one, other in turns)
        cells = [f"{before[0]:.2f}", f"{before[1]:.2f}", f"{now[0]:.2f}", f"{now[1]:.2f}", f"{ratio:.2f}"]
        lines.append(f"| {case[0]} | {case[1]} | {' | '.join(cells)} | {before[2]:.0f} | {now[2]:.0f} |")
        print(lines[-1], f"{time.time() - begun:.0f} s", file=sys.stderr, flush=True)
    command = f"python -m benchmarks.heap --data_path=DATA --turns={arguments.turns}"
    lines += ["", f"`{command}`; {machine()}; {stack()}."]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
