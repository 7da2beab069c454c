"""What a sweep costs and saves: parallel trials, ASHA against the full search, start-up of a trial.

``python -m benchmarks.sweeps --folder=DIR`` runs the sweeps below DIR, each once (a killed one goes on), and
prints a Markdown table of what it finds there; ``--output=FILE`` writes it too. ``--parts`` chooses among
parallel, startup, asha and sharing.
"""

import argparse
import json
import pickle
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, prepare_data, release_dataset
from recbole_diffusion.tuning.driver import sweep
from recbole_diffusion.tuning.options import cores_here

# Width 64; a training row is a user, in small batches, so that 32 trials of full length end within an hour.
TVDIFF = {
    "hidden_size": 64,
    "batch_by": "user",
    "train_batch_size": 128,
    "learning_rate": 0.005,
    "report_groups": 0,
}
SAMPLES, EPOCHS = 32, 100
PARALLEL_TRIALS, PARALLEL_EPOCHS = 8, 60
REPEATS = 5


def run_once(folder: Path, overrides: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Run a sweep in a folder, go on with the one that is there, or read it if it has ended."""
    record = folder / "sweep.json"
    if record.is_file():
        found = json.loads(record.read_text())
        if found["winner"] is not None:
            return found
        return sweep(resume=folder)
    return sweep(
        "TVDiff",
        "ml-100k",
        overrides=TVDIFF | overrides,
        settings=settings | {"sweep_dir": str(folder), "final_seeds": 0},
    )


def asha(folder: Path) -> list[str]:
    settings = {"num_samples": SAMPLES, "max_concurrent": ARGUMENTS.concurrent}
    rows = table_head(
        "seed",
        "search",
        "epochs",
        "share",
        "best recall@20 on validation",
        "winner",
        "its score at its end",
        "below the best",
        words=2,
    )
    shares, lost = [], []
    for seed in range(ARGUMENTS.seeds):
        options = {"epochs": EPOCHS, "seed": seed}
        full = run_once(folder / f"{seed}-full", options, settings | {"scheduler": "none"})
        early = run_once(folder / f"{seed}-asha", options, settings | {"scheduler": "asha"})
        to_the_end = [trial["score"] for trial in full["trials"]]
        total, best = sum(trial["epochs"] for trial in full["trials"]), max(to_the_end)
        for name, found in (("all to the end", full), ("ASHA", early)):
            winner, epochs = (
                found["trials"][found["winner"]],
                sum(trial["epochs"] for trial in found["trials"]),
            )
            reached = to_the_end[winner["number"]]
            stopped = sum(trial["state"] == "stopped" for trial in found["trials"])
            numbers = f"{epochs} | {epochs / total:.2f} | {winner['score']:.4f} | "
            numbers += f"{winner['number']:03d} | {reached:.4f}"
            name += f", {stopped} of {SAMPLES} stopped" if stopped else ""
            rows.append(f"| {seed} | {name} | {numbers} | {100 * (best - reached) / best:.2f} % |")
        shares.append(epochs / total)
        lost.append(100 * (best - reached) / best)
    both = sum(share <= 0.5 and below <= 1 for share, below in zip(shares, lost, strict=True))
    text = [
        f"{SAMPLES} trials of at most {EPOCHS} epochs (fewer where early stopping ends them), the shipped "
        "space."
    ]
    text += [
        f"ASHA trains {100 * statistics.median(shares):.0f} % of the epochs and loses "
        f"{statistics.median(lost):.2f} % (medians);"
    ]
    text += [
        f"with {both} of {len(lost)} seeds it needs at most half of the epochs and its winner is within 1 % "
        "of the best."
    ]
    text += [
        (
            "The default of its first rung, a twelfth of the epochs, and the 100 epochs of a trial were "
            "chosen on the curves of seeds 0 to 2, not of the others: with 30 epochs and a tenth, ASHA lost "
            "2.20, 1.39 and 0.02 % there."
        )
    ]
    return ["## ASHA against the full search", "", *text, "", *rows]


def parallel(folder: Path) -> list[str]:
    settings = {"num_samples": PARALLEL_TRIALS, "scheduler": "none"}
    rows = table_head(
        "repeat",
        "trials at a time",
        "seconds of the search",
        "trained and validated",
        "overhead a trial",
        "cores busy before",
    )
    ratios, allowed = [], []
    # Of the paper's options only one that changes no amount of work: equal trials.
    space = folder / "space.yaml"
    space.write_text("temperature: {uniform: [0.5, 1.5]}\n")
    overrides = {"epochs": PARALLEL_EPOCHS, "stopping_step": 1000}
    for repeat in range(ARGUMENTS.repeats):
        seconds, worked = {}, {}
        for number in (1, 4):
            here = folder / f"{repeat}-at-once-{number}"
            busy = busy_cores(here)
            found = run_once(here, overrides, settings | {"max_concurrent": number, "space": str(space)})
            seconds[number] = found["seconds"]["search"]
            worked[number] = sum(trial["seconds"] for trial in found["trials"])
            lost = (number * seconds[number] - worked[number]) / PARALLEL_TRIALS
            rows.append(
                f"| {repeat} | {number} | {seconds[number]:.1f} | {worked[number]:.1f} | {lost:.1f} s | "
                f"{busy:.1f} |"
            )
        ratios.append(seconds[1] / seconds[4])
        allowed.append(4 * worked[1] / worked[4])
    each = ", ".join(f"{one:.2f}" for one in ratios)
    text = [
        f"Four at a time end {statistics.median(ratios):.2f} times sooner (median of {each}), with one "
        "thread a trial in both."
    ]
    text += [
        f"The machine allows {statistics.median(allowed):.2f}: four times the time alone by the time beside "
        "three others."
    ]
    return ["## Four at a time against one after another", "", *rows, "", *text]


def startup(folder: Path) -> list[str]:
    rows = table_head(
        "trials at a time", "first trial of a worker process", "later trials of it", "cores busy before"
    )
    space = folder / "space.yaml"
    space.write_text("temperature: {uniform: [0.5, 1.5]}\n")
    for number in (1, 4):
        here = folder / f"at-once-{number}"
        busy = busy_cores(here)
        settings = {
            "num_samples": 4 * number,
            "scheduler": "none",
            "max_concurrent": number,
            "space": str(space),
        }
        found = run_once(here, {"epochs": 5}, settings)
        starts = sorted((trial["startup_seconds"] for trial in found["trials"]), reverse=True)
        first, later = statistics.median(starts[:number]), statistics.median(starts[number:])
        rows.append(f"| {number} | {first:.2f} s | {later:.3f} s | {busy:.1f} |")
    text = [
        "From the start of its process, or of the trial in a process that has had others, to its first line "
        "of work (medians)."
    ]
    return ["## Start-up of a trial", "", *text, "", *rows]


def busy_cores(folder: Path) -> float:
    """Return how many cores other work keeps busy before a folder's sweep; the first value is kept."""
    kept = folder.with_suffix(".busy")
    if not kept.is_file():
        kept.write_text(str(psutil.cpu_percent(interval=3) / 100 * psutil.cpu_count()))
    return float(kept.read_text())


def sharing(folder: Path) -> list[str]:  # noqa: ARG001
    config = Config(
        "TVDiff", ARGUMENTS.dataset, [], {"data_path": ARGUMENTS.data_path} if ARGUMENTS.data_path else {}
    )
    read, sent, split = [], [], []
    for _ in range(REPEATS):
        clock = time.perf_counter()
        dataset = create_dataset(config)
        read.append(time.perf_counter() - clock)
        text = pickle.dumps(release_dataset(dataset), protocol=5)
        clock = time.perf_counter()
        adopted = adopt_dataset(config, pickle.loads(text))  # noqa: S301
        sent.append(time.perf_counter() - clock)
        clock = time.perf_counter()
        prepare_data(config, adopted)
        split.append(time.perf_counter() - clock)
    rows = table_head(ARGUMENTS.dataset, f"median of {REPEATS}")
    rows += [
        "| reading, filtering, numbering: once a sweep instead of once a trial | "
        f"{statistics.median(read):.3f} s |"
    ]
    rows += [
        f"| taking the shared data set, {len(text) / 2**20:.1f} MiB, instead | {statistics.median(sent):.3f} "
        "s |"
    ]
    rows += [f"| splitting and loaders, in each trial either way | {statistics.median(split):.3f} s |"]
    return ["## One data set for all trials", "", *rows]


PARTS = {"parallel": parallel, "startup": startup, "asha": asha, "sharing": sharing}


def arguments() -> argparse.Namespace:
    parser = page_parser(__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--concurrent", type=int, default=cores_here(), help="trials at a time in part asha")
    parser.add_argument("--seeds", type=int, default=5, help="of part asha")
    parser.add_argument("--repeats", type=int, default=3, help="of part parallel")
    parser.add_argument("--dataset", default="ml-100k", help="of part sharing")
    parser.add_argument("--data_path")
    return parser.parse_args()


def main() -> None:
    lines = ["# Sweeps", ""]
    for name in ARGUMENTS.parts.split(","):
        folder = ARGUMENTS.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        lines += [*PARTS[name](folder), ""]
    given = [word for word in sys.argv[1:] if not word.startswith(("--folder", "--output", "--data_path"))]
    lines += [
        f"- Machine: {machine(f'{cores_here()} cores')}; the sweeps had priority over other work",
        f"- Versions: {stack()}",
        f"- Command: `python -m benchmarks.sweeps {' '.join(['--folder=DIR', *given])}`",
    ]
    show_page(lines, ARGUMENTS.output)


if __name__ == "__main__":
    ARGUMENTS = arguments()
    main()
