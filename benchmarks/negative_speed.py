"""What TVDiff's negatives cost: batches with AR-GSP, exact and by judges, beside batches with uniform ones.

    python -m benchmarks.negative_speed --dataset=lastfm --data_path=DATA [--output=FILE]

Trains the same model with each kind of negatives, in turns, for some batches each, and divides processor
seconds by those of uniform negatives of the same turn.
"""

import statistics
import sys
import time
from typing import Any

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head

KINDS = {
    "uniform": {"negative_sampler": "uniform"},
    "AR-GSP, exact ranks": {"negative_sampler": "ar_gsp", "exact_rank_cells": 2**62},
    "AR-GSP, 512 judges": {"negative_sampler": "ar_gsp", "exact_rank_cells": 1},
}


def trained(dataset: str, options: dict[str, Any]) -> Any:
    """Return a function that trains a number of batches and returns processor seconds a batch."""
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    config = Config("TVDiff", dataset, overrides={"hidden_size": 64, **options})
    torch.manual_seed(0)
    train, *_ = prepare_data(config, create_dataset(config))
    model = config.model_class(config, train._dataset)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def train_some(batches: int) -> float:
        model.train()
        begun = time.process_time()
        for _, batch in zip(range(batches), train, strict=False):
            optimizer.zero_grad()
            sum(model.calculate_loss(batch)).backward()
            optimizer.step()
            model._forget()
        return (time.process_time() - begun) / batches

    return train_some


def measured(dataset: str, data_path: str, batches: int, turns: int) -> dict[str, list[float]]:
    """Return processor seconds a batch by kind, one for each turn."""
    kinds = {name: trained(dataset, {"data_path": data_path, **options}) for name, options in KINDS.items()}
    for train_some in kinds.values():
        train_some(2)
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(turns):
        for name, train_some in kinds.items():
            found[name].append(train_some(batches))
    return found


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--data_path", default="dataset/")
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(arguments.dataset, arguments.data_path, arguments.batches, arguments.turns)
    lines = [
        f"## {arguments.dataset}",
        "",
        *table_head("negatives", "ms a batch", "times uniform"),
    ]
    for name, seconds in found.items():
        ratios = [one / uniform for one, uniform in zip(seconds, found["uniform"], strict=True)]
        lines.append(f"| {name} | {1e3 * statistics.median(seconds):.0f} | {statistics.median(ratios):.2f} |")
    told = [one for one in sys.argv[1:] if not one.startswith(("--output", "--data_path"))]
    command = f"`{' '.join(['python -m benchmarks.negative_speed', *told])}`"
    lines += [
        "",
        f"{command}; width 64, batches of 2,048, medians of {arguments.turns} turns; {machine()}; {stack()}.",
    ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
