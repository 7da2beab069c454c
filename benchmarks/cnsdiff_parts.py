"""Do CNSDiff's parts live? Losses, weights, negatives and false hard negatives by epoch, from real runs.

    python -m benchmarks.cnsdiff_parts --data_path=DATA --runs=FOLDER [--epochs=30] [--output=FILE]

Trains on Food with each negative sampler and counts the negatives that are nearly a held-out item of their
user (paper, section 4.4). The counts look at the shifted test part; nothing is chosen by them.
"""

import json
from pathlib import Path
from typing import Any

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.loaded_run import load_run

SAMPLERS = ("cnsdiff", "uniform", "popularity", "dns", "mixgcf", "ahns")

# The settings of CNSDiff's row in the accuracy table; the samplers' runs have the same learning rate.
OF_THE_TABLE = {
    "learning_rate": 0.001,
    "mix_final": [9.0, 1.0],
    "alignment_size": 512,
    "sampling_size": None,
    "causal_encoder_weight": None,  # as when the table was made
}


def records(sampler: str, data_path: str, runs: Path, epochs: int) -> list[dict[str, Any]]:
    """Return the epochs' records of a run with one sampler, which is made if it is not there."""
    folder = runs / f"parts-{sampler}"
    if not (folder / "result.json").is_file():
        options = {
            "data_path": data_path,
            "epochs": epochs,
            "stopping_step": epochs,
            "seed": 0,
            "run_dir": str(folder),
        }
        options |= {"negative_sampler": sampler, "false_negative_part": "test_ood", **OF_THE_TABLE}
        run("CNSDiff", "food", overrides={**options, "use_gpu": False, "show_progress": False})
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def moved(folder: Path) -> list[str]:
    """Return how far each part of the weights is from where it began, relative to its length."""
    loaded = load_run(folder)
    config = loaded.config
    from recbole_diffusion.compat import init_seed

    init_seed(config["seed"], config["reproducibility"])
    fresh = dict(config.model_class(config, loaded.parts["train"]).named_parameters())
    groups: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    for name, value in loaded.model.named_parameters():
        groups.setdefault(name.partition(".")[0], []).append(
            (value.detach().ravel(), fresh[name].detach().ravel())
        )
    lines = []
    for name, pairs in groups.items():
        now, before = (torch.cat(values) for values in zip(*pairs, strict=True))
        lines.append(f"| {name} | {float((now - before).norm() / before.norm()):.2f} |")
    return lines


def page(data_path: str, runs: Path, epochs: int) -> list[str]:
    """Return the lines of the page."""
    of = {sampler: records(sampler, data_path, runs, epochs) for sampler in SAMPLERS}
    ours = of["cnsdiff"]
    shown = sorted({0, 4, 9, 19, 29, 39, epochs - 1} & set(range(len(ours))))
    lines = ["# CNSDiff: do its parts live?", ""]
    lines += [
        f"`python -m benchmarks.cnsdiff_parts --data_path=DATA --runs=RUNS --epochs={epochs}`; Food, seed 0, "
        "no early stopping,",
        "settings of the accuracy table "
        f"({', '.join(f'`{name}={value}`' for name, value in OF_THE_TABLE.items())});",
        f"{machine()}; {stack()}.",
        "",
        "## Losses by epoch",
        "",
        *table_head("epoch", *ours[0]["loss"]),
    ]
    lines += [
        f"| {k} | " + " | ".join(f"{value:.4f}" for value in ours[k]["loss"].values()) + " |" for k in shown
    ]
    steps = [name.partition("@")[2] for name in ours[0]["diagnostics"] if name.startswith("score@")]
    for title, name in (
        ("Mean cosine between the negatives of different items", "cosine_between_negatives"),
        ("Mean cosine of a negative with the item that it comes from", "cosine_with_positive"),
        ("Hardness: mean inner product of a negative with the users who meet it", "score"),
    ):
        lines += [
            "",
            f"## {title}, by step of the reverse chain",
            "",
            *table_head("epoch", *steps),
        ]
        lines += [
            f"| {k} | "
            + " | ".join(f"{ours[k]['diagnostics'][f'{name}@{step}']:.4f}" for step in steps)
            + " |"
            for k in shown
        ]
    lines += [
        "",
        "## How far the weights are from their start, relative to its length, in the best epoch",
        "",
        *table_head("part", "distance"),
    ]
    lines += moved(runs / "parts-cnsdiff")
    lines += [
        "",
        "## False hard negatives: share of negatives with a cosine of 0.99 or more with an item of the "
        "user's shifted test part",
        "",
    ]
    lines += table_head("epoch", *SAMPLERS)
    lines += [
        f"| {k} | "
        + " | ".join(f"{of[s][k]['diagnostics']['false_negative_rate']:.5f}" for s in SAMPLERS)
        + " |"
        for k in shown
    ]
    lines += [
        "",
        "## Validation recall@20 of the same runs",
        "",
        *table_head("epoch", *SAMPLERS),
    ]
    lines += [
        f"| {k} | " + " | ".join(f"{of[s][k]['valid']['recall@20']:.4f}" for s in SAMPLERS) + " |"
        for k in shown
    ]
    return lines


def main() -> None:
    """Read the command line."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    show_page(page(arguments.data_path, arguments.runs, arguments.epochs), arguments.output)


if __name__ == "__main__":
    main()
