"""Speed of CNSDiff, as ratios of two computations in one process, on the same work.

    python -m benchmarks.cnsdiff_speed [--data_path=DATA] [--output=FILE]

Training epochs with each negative sampler against uniform negatives on the same backbone, and generated
negatives from one reverse chain per distinct positive item against one chain per interaction and level.
``ml-100k`` comes with RecBole; with ``--data_path`` also Food.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks.speed import alternate
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data

SAMPLERS = ("cnsdiff", "popularity", "dns", "mixgcf", "ahns")


def build(dataset: str, data_path: str | None, **options: Any) -> tuple[Any, Any]:
    """Return a CNSDiff model with fresh weights, and its training loader."""
    where = {"data_path": data_path} if data_path else {"shift": "popularity"}
    config = Config("CNSDiff", dataset, overrides={"use_gpu": False, **where, **options})
    loader = prepare_data(config, create_dataset(config))[0]
    torch.manual_seed(0)
    return config.model_class(config, loader._dataset), loader


def epoch(dataset: str, data_path: str | None, **options: Any) -> Callable[[], None]:
    """Return a function that trains one epoch."""
    model, loader = build(dataset, data_path, **options)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def run() -> None:
        model.train()
        for batch in loader:
            optimizer.zero_grad()
            sum(model.calculate_loss(batch)).backward()
            optimizer.step()

    return run


def epochs(dataset: str, data_path: str | None, repeats: int) -> list[str]:
    """Compare an epoch of each sampler with one of uniform negatives."""
    uniform = epoch(dataset, data_path, negative_sampler="uniform")
    lines = []
    for sampler in SAMPLERS:
        plain, other, ratio = alternate(uniform, epoch(dataset, data_path, negative_sampler=sampler), repeats)
        lines.append(
            f"| epoch, {dataset}, {sampler} | {plain:.2f} s | {other:.2f} s | {ratio:.2f} | {repeats} |"
        )
    return lines


def chains(dataset: str, data_path: str | None, repeats: int) -> list[str]:
    """Compare a batch's negatives from one chain per distinct item with one per interaction and level."""
    model, loader = build(dataset, data_path)
    items = next(iter(loader))[model.ITEM_ID]
    table = torch.randn(model.n_items, model.options.embedding_size)
    distinct, where = torch.unique(items, return_inverse=True)
    levels = model.options.snapshots()

    def shared() -> None:
        model.negatives.generate(table[distinct])[:, where]

    def apart_to_the_end() -> (
        None
    ):  # T steps a chain, as the paper counts them (section 3.5) and the authors' code runs them
        for step in levels:
            model.negatives.generate(table[items], [0, step] if step else [0])

    def apart_to_the_level() -> None:
        for step in levels:
            model.negatives.generate(table[items], [step])

    work = f"negatives of a batch, {dataset}, {len(items)} rows, {len(distinct)} items, levels {levels}"
    lines = []
    for name, side in (("T steps each", apart_to_the_end), ("each to its level", apart_to_the_level)):
        ours, other, ratio = alternate(shared, side, repeats)
        lines.append(
            f"| {work}, one chain per interaction and level, {name} | {ours:.3f} s | {other:.3f} s | "
            f"{ratio:.1f} | {repeats} |"
        )
    return lines


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", help="folder that holds food/")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    sets = [("ml-100k", None)] + ([("food", arguments.data_path)] if arguments.data_path else [])
    of_epochs = [line for name, path in sets for line in epochs(name, path, arguments.repeats)]
    of_chains = [line for name, path in sets for line in chains(name, path, 2 * arguments.repeats)]
    lines = [
        "# Speed of CNSDiff's negatives",
        "",
        f"`python -m benchmarks.cnsdiff_speed{' --data_path=DATA' if arguments.data_path else ''}`;",
        f"{machine('seed 0')};",
        f"{stack()}.",
        "Both sides in one process, in turns; medians over the repeats. ml-100k is split with `shift: "
        "popularity`.",
        "",
        *table_head("work", "uniform negatives", "this sampler", "ratio", "repeats"),
        *of_epochs,
        "",
        "The paper's own ratios on Food (its Table 4): CNSDiff 6.7, AHNS 10.4, MixGCF 12.1.",
        "",
        *table_head("work", "one chain per distinct item", "other", "ratio", "repeats"),
        *of_chains,
    ]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
