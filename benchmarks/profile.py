"""Where the time of each model goes: seconds by phase, the hottest lines of ours, the hottest kernels.

    python -m benchmarks.profile --data_path=DATA [--only=MODEL] [--output=FILE]

``DATA`` holds lastfm/, food/, ml-1m/, baby/, douban_book/ and douban_music/. Each model trains twice in a
process of its own, through the same ``run`` as everybody's. The first run is sampled: a second thread looks
every few milliseconds which line of this package is executed, itself or what it calls. The second runs
under torch's profiler, which sees the kernels of the backward pass too. Shares do not add up: a line of the
first table may be the caller of kernels of the second.
"""

import argparse
import json
import linecache
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks._page import machine, page_parser, show_page, stack, table_head

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "recbole_diffusion"
PERIOD, HOTTEST = 0.003, 3  # seconds between two looks; lines and kernels on the page
FEW_EPOCHS = {"mf_epochs": 4, "epochs": 4}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "TVDiff": ("lastfm", {"epochs": 1}),
    "CNSDiff": ("food", {"epochs": 3}),
    "DGRM": ("ml-1m", {"epochs": 3}),
    "CCDRec": ("baby", {"epochs": 3}),
    "DiffCDR": ("douban_book_music", FEW_EPOCHS),
}


class LineSampler(threading.Thread):
    """Counts the lines of this package that the main thread is in, until it is told to stop.

    Attributes:
        lines: looks by file and line: the innermost line of the package, with what it calls outside.
        looks: all looks that found the main thread in the package.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lines: Counter[tuple[str, int]] = Counter()
        self.looks, self.stopped = 0, threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        main = threading.main_thread().ident
        assert main is not None
        while not self.stopped.wait(PERIOD):
            frame = sys._current_frames().get(main)
            while frame is not None and not frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
                frame = frame.f_back
            if frame is not None:
                self.looks += 1
                self.lines[frame.f_code.co_filename, frame.f_lineno] += 1

    def end(self) -> None:
        """Stop looking."""
        self.stopped.set()
        self.join()

    def hottest(self) -> list[tuple[str, str, float]]:
        """Return place, text and share of the lines with most looks."""
        found = []
        for (file, line), looks in self.lines.most_common(HOTTEST):
            text = linecache.getline(file, line).strip()
            place = f"{Path(file).relative_to(PACKAGE)}:{line}"
            found.append((place, text, looks / max(self.looks, 1)))
        return found


def kernels(profiler: Any) -> list[tuple[str, str, float]]:
    """Return name, shapes and share of the kernels with most processor time of their own."""
    events = profiler.key_averages(group_by_input_shape=True)
    total = sum(event.self_cpu_time_total for event in events)
    first = sorted(events, key=lambda event: -event.self_cpu_time_total)[:HOTTEST]
    return [
        (
            event.key,
            " ".join(str(shape) for shape in event.input_shapes if shape),
            event.self_cpu_time_total / total,
        )
        for event in first
    ]


def profiled(model: str, data_path: str) -> dict[str, Any]:
    """Train a model twice, sampled and under torch's profiler; return what was seen."""
    from torch.profiler import ProfilerActivity, profile

    from recbole_diffusion.quick_start import run

    dataset, options = CASES[model]
    with tempfile.TemporaryDirectory() as folder:

        def train(name: str) -> dict[str, Any]:
            given = {"data_path": data_path, "use_gpu": False, "show_progress": False, **options}
            return run(model, dataset, overrides=given | {"run_dir": f"{folder}/{name}"})

        sampler = LineSampler()
        sampler.start()
        result = train("sampled")
        sampler.end()
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            train("profiled")
    return {
        "dataset": dataset,
        "seconds": result["seconds"],
        "lines": sampler.hottest(),
        "kernels": kernels(profiler),
    }


def page(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the lines of the page."""
    lines = [
        "# Profile: where the time goes",
        "",
        "`python -m benchmarks.profile --data_path=DATA`;",
        f"{machine()};",
        f"{stack()}.",
        "Default options, a few epochs, with validation after each and the test.",
        "",
        *table_head("model", "data", "load", "build", "train", "valid", "test", words=2),
    ]
    for model, seen in found.items():
        seconds = " | ".join(
            f"{seen['seconds'][name]:.1f} s" for name in ("load", "build", "train", "valid", "test")
        )
        lines.append(f"| {model} | {seen['dataset']} | {seconds} |")
    for model, seen in found.items():
        lines += ["", f"## {model}", "", *table_head("line", "what it does", "share", words=2)]
        lines += [
            f"| `{place}` | `{text.replace('|', '/')}` | {share:.0%} |"
            for place, text, share in seen["lines"]
        ]
        lines += ["", *table_head("kernel", "shapes", "share", words=2)]
        lines += [f"| `{name}` | {shapes} | {share:.0%} |" for name, shapes, share in seen["kernels"]]
    return lines


def main() -> None:
    """Profile each model in a process of its own; print the page."""
    parser: argparse.ArgumentParser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--only", choices=CASES, help="this model alone, as JSON")
    arguments = parser.parse_args()
    if arguments.only:
        seen = profiled(arguments.only, arguments.data_path)
        print(json.dumps(seen))
        return
    found = {}
    for model in CASES:
        words = [
            sys.executable,
            "-m",
            "benchmarks.profile",
            f"--data_path={arguments.data_path}",
            f"--only={model}",
        ]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        found[model] = json.loads(done.stdout.splitlines()[-1])
    show_page(page(found), arguments.output)


if __name__ == "__main__":
    main()
