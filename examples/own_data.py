"""From a shop's CSV file to a report: convert, inspect, train, compare, recommend; then a DataFrame.

``python examples/own_data.py [FOLDER]`` works in FOLDER, by default a new temporary one, and leaves there
what it makes. Each step is a command line, as it would be typed; docs/own_data.md has the same steps.
"""

import csv
import os
import random
import shlex
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from recbole_diffusion import load_run, run
from recbole_diffusion.cli.main import main

CUSTOMERS, ARTICLES, SHELVES = 300, 200, 5
MODELS = {"Pop": "", "EASE": "", "TVDiff": "--hidden_size=32 --epochs=10"}


def write_sales(file: Path) -> None:
    """Write made-up sales: a customer buys from two of five shelves, and more often what all buy."""
    draw = random.Random(11)
    weights = [1 / (1 + place) ** 0.6 for place in range(ARTICLES // SHELVES)]
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["customer", "sku", "date", "price"])
        for customer in range(CUSTOMERS):
            moment = datetime(2024, 1, 1) + timedelta(hours=draw.randrange(2000))
            shelves, basket = draw.sample(range(SHELVES), 2), set()
            while len(basket) < 20:
                place = draw.choices(range(len(weights)), weights)[0]
                basket.add(draw.choice(shelves) + SHELVES * place)
            for article in basket:
                moment += timedelta(minutes=draw.randrange(9000))
                price = f"{draw.randrange(100, 9000) / 100:.2f}"
                writer.writerow([f"{customer:05}", f"A-{article:03}", moment.isoformat(sep=" "), price])


def command(line: str) -> None:
    """Run a command line of ours as the terminal would."""
    sys.stdout.write(f"\n$ recbole-diffusion {line}\n")
    sys.stdout.flush()
    if main(shlex.split(line)):
        sys.exit(f"this command failed: {line}")


def tell(folder: Path) -> None:
    """Go from the CSV file to a report."""
    os.chdir(folder)
    write_sales(Path("sales.csv"))
    command("convert sales.csv --user=customer --item=sku --time=date --output=dataset/sales")
    command("inspect --dataset=sales --output=sales.html")
    for model, options in MODELS.items():
        command(f"--model={model} --dataset=sales --run_dir=runs/{model} {options}".strip())
    command("compare runs/Pop runs/EASE runs/TVDiff")
    command("report runs/Pop runs/EASE runs/TVDiff --output=report.html")
    command("recommend --run=runs/EASE --all --k=5 --output=lists.csv")


def in_python() -> None:
    """Train on a table in memory, and use the trained model after the table is gone."""
    import pandas as pd

    table = pd.read_csv("sales.csv", dtype={"customer": str})
    options = {"run_dir": "runs/from_table"}
    found = run("EASE", data=table, user="customer", item="sku", time="date", overrides=options)
    trained = load_run(found["run_dir"])
    sys.stdout.write(f"\n{trained.recommend(users=['00007'], k=3).to_string(index=False)}\n")


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="own_data_")).resolve()
    place.mkdir(parents=True, exist_ok=True)
    del sys.argv[1:]
    tell(place)
    in_python()
    sys.stdout.write(f"\neverything is in {place}\n")
