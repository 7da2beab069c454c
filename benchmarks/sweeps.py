"""What a sweep costs and saves: trials at once against one after another, ASHA against the full search, start-up of a trial.

``python -m benchmarks.sweeps --folder=DIR`` runs the sweeps below DIR, each once (a killed one goes on), and prints a Markdown
table of what it finds there; ``--output=FILE`` writes it too. ``--parts`` chooses among asha, parallel and sharing.
"""

import argparse
import json
import os
import pickle
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

# First: it makes RecBole importable.
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import adopt_dataset, create_dataset, prepare_data, release_dataset
from recbole_diffusion.quick_start import versions
from recbole_diffusion.tuning.driver import sweep
from recbole_diffusion.tuning.settings import cores_here

# Width 64; a training row is a user, in small batches, so that 32 trials of full length end within an hour.
TVDIFF = {"hidden_size": 64, "batch_by": "user", "train_batch_size": 128, "learning_rate": 0.005, "report_groups": 0}
SAMPLES, EPOCHS = 32, 30
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
        "TVDiff", "ml-100k", overrides=TVDIFF | overrides, settings=settings | {"sweep_dir": str(folder), "final_seeds": 0}
    )


def asha(folder: Path) -> list[str]:
    settings = {"num_samples": SAMPLES, "max_concurrent": ARGUMENTS.concurrent}
    full = run_once(folder / "full", {"epochs": EPOCHS}, settings | {"scheduler": "none"})
    early = run_once(folder / "asha", {"epochs": EPOCHS}, settings | {"scheduler": "asha"})
    rows = ["| search | trials | epochs | share | best recall@20 on validation | winner | its score when trained to the end |"]
    rows += ["|---|---|---|---|---|---|---|"]
    to_the_end = {trial["number"]: trial["score"] for trial in full["trials"]}
    total = sum(trial["epochs"] for trial in full["trials"])
    for name, found in (("all to the end", full), ("ASHA", early)):
        best = found["trials"][found["winner"]]
        epochs = sum(trial["epochs"] for trial in found["trials"])
        score = f"{best['score']:.4f} | {best['number']:03d} | {to_the_end[best['number']]:.4f}"
        rows.append(f"| {name} | {len(found['trials'])} | {epochs} | {epochs / total:.2f} | {score} |")
    best, chosen = max(to_the_end.values()), to_the_end[early["winner"]]
    stopped = sum(trial["state"] == "stopped" for trial in early["trials"])
    rows += [
        "",
        f"ASHA stopped {stopped} of {SAMPLES} trials; its winner is {100 * (best - chosen) / best:.2f} % below the best.",
    ]
    return ["## ASHA against the full search", "", *rows]


def parallel(folder: Path) -> list[str]:
    settings = {"num_samples": PARALLEL_TRIALS, "scheduler": "none"}
    rows = ["| trials at a time | seconds of the search | trained and validated | overhead a trial | load before |"]
    rows += ["|---|---|---|---|---|"]
    seconds, worked, starts = {}, {}, []
    for number in (1, 4):
        # The same options in each trial but the seed's: equal work.
        space = folder / "space.yaml"
        space.write_text("temperature: {uniform: [0.5, 1.5]}\n")
        overrides = {"epochs": PARALLEL_EPOCHS, "stopping_step": 1000}
        load = os.getloadavg()[0]
        found = run_once(folder / f"at-once-{number}", overrides, settings | {"max_concurrent": number, "space": str(space)})
        seconds[number] = found["seconds"]["search"]
        worked[number] = sum(trial["seconds"] for trial in found["trials"])
        lost = (number * seconds[number] - worked[number]) / PARALLEL_TRIALS
        rows.append(f"| {number} | {seconds[number]:.1f} | {worked[number]:.1f} | {lost:.1f} s | {load:.1f} |")
        starts += sorted(trial["startup_seconds"] for trial in found["trials"])
    first = [value for value in starts if value > 1]
    later = [value for value in starts if value <= 1]
    text = f"Ratio: {seconds[1] / seconds[4]:.2f}, with one thread a trial in both. The machine allowed"
    text += f" {4 * worked[1] / worked[4]:.2f}: four times a trial's time alone, by its time beside three others."
    text += f" Start-up: {statistics.median(first):.1f} s for a new worker process ({len(first)})"
    if later:
        text += f", {statistics.median(later):.2f} s for a trial in a process that has had one ({len(later)})."
    return ["## Four at a time against one after another", "", *rows, "", text]


def sharing(folder: Path) -> list[str]:  # noqa: ARG001
    config = Config("TVDiff", ARGUMENTS.dataset, [], {"data_path": ARGUMENTS.data_path} if ARGUMENTS.data_path else {})
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
    rows = [f"| {ARGUMENTS.dataset} | median of {REPEATS} |", "|---|---|"]
    rows += [f"| reading, filtering, numbering: once a sweep instead of once a trial | {statistics.median(read):.3f} s |"]
    rows += [f"| taking the shared data set, {len(text) / 2**20:.1f} MiB, instead | {statistics.median(sent):.3f} s |"]
    rows += [f"| splitting and loaders, in each trial either way | {statistics.median(split):.3f} s |"]
    return ["## One data set for all trials", "", *rows]


PARTS = {"asha": asha, "parallel": parallel, "sharing": sharing}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--concurrent", type=int, default=cores_here(), help="trials at a time in part asha")
    parser.add_argument("--dataset", default="ml-100k", help="of part sharing")
    parser.add_argument("--data_path")
    return parser.parse_args()


def main() -> None:
    lines = ["# Sweeps", ""]
    for name in ARGUMENTS.parts.split(","):
        folder = ARGUMENTS.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        lines += [*PARTS[name](folder), ""]
    made = ", ".join(f"{name} {value}" for name, value in versions().items())
    load = os.getloadavg()[1]
    lines += [f"- Machine: {cores_here()} cores {platform.machine()}, CPU only, load average of 5 minutes at the end {load:.1f}"]
    lines += [f"- Versions: {made}", f"- Command: `python -m benchmarks.sweeps {' '.join(sys.argv[1:])}`"]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if ARGUMENTS.output:
        ARGUMENTS.output.write_text(text)


if __name__ == "__main__":
    ARGUMENTS = arguments()
    main()
