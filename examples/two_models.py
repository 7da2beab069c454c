"""Two models on MovieLens-100K, as for a paper: the same split, seeds, a table with a paired test, a page.

``python examples/two_models.py [FOLDER] [--epochs=2]`` works in FOLDER, by default a new temporary one, and
leaves there the runs, ``table.tex`` and ``report.html``. MovieLens-100K comes with RecBole: nothing is
downloaded.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from recbole_diffusion.cli.main import main

# Both models on one split; the second also with other seeds, since its training is random.
SPLIT = "--dataset=ml-100k --split_seed=2026"
RUNS = {
    "EASE-1": "--model=EASE --seed=1",
    "TVDiff-1": "--model=TVDiff --hidden_size=64 --seed=1",
    "TVDiff-2": "--model=TVDiff --hidden_size=64 --seed=2",
}


def command(line: str) -> None:
    """Run a command line of ours as the terminal would."""
    sys.stdout.write(f"\n$ recbole-diffusion {line}\n")
    sys.stdout.flush()
    if main(shlex.split(line)):
        sys.exit(f"this command failed: {line}")


def tell(folder: Path, epochs: str) -> None:
    """Train, compare, and look at what the two recommend."""
    os.chdir(folder)
    for name, options in RUNS.items():
        trained = "" if name.startswith("EASE") else f" --epochs={epochs}"  # EASE is solved, not trained
        command(f"{options}{trained} {SPLIT} --run_dir=runs/{name}")
    folders = " ".join(f"runs/{name}" for name in RUNS)
    command(f"compare {folders} --metrics=recall@10,ndcg@10")
    command(f"compare {folders} --metrics=recall@10,ndcg@10 --output=table.tex")
    command(f"report {folders} --users=405,13 --output=report.html")
    found = {name: json.loads(Path(f"runs/{name}/result.json").read_text()) for name in RUNS}
    best = max(found, key=lambda name: found[name]["best_valid_score"])
    # The model is chosen on validation; its test metric is then read once.
    command(f"recommend --run=runs/{best} --all --k=5 --output=lists.csv")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?", help="a folder to work in; by default a new one")
    parser.add_argument("--epochs", default="2", help="of TVDiff")  # read by the command
    given = parser.parse_args()
    place = (given.folder or Path(tempfile.mkdtemp(prefix="two_models_"))).resolve()
    place.mkdir(parents=True, exist_ok=True)
    del sys.argv[1:]  # RecBole reads them too
    tell(place, given.epochs)
    sys.stdout.write(f"\neverything is in {place}\n")
