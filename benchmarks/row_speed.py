"""Training of RecBole's autoencoders: a step here beside one of RecBole's class.

    python -m benchmarks.row_speed [--output=FILE]

Both sides take the same batches of MovieLens-100K, and of made-up rows of the size of Amazon-Beauty, with the
same first weights, in one process and in turn: the loss and its gradients, without the optimizer's step.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

MODELS = ("MultiVAE", "MultiDAE", "RaCT", "RecVAE", "MacridVAE")
SIZES = {"ml-100k": (943, 1682), "beauty": (22363, 12101)}  # users and items
BATCH, TURNS = 400, 5


def built(name: str, data: str, folder: str) -> Any:
    """Return an untrained model, in training."""
    from benchmarks.made_up import write_made_up
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    overrides: dict[str, Any] = {"use_gpu": False, "checkpoint_dir": str(Path(folder, "saved"))}
    if data != "ml-100k":
        if not Path(folder, data).exists():
            write_made_up(Path(folder), data, *SIZES[data], 7)
        overrides |= {"data_path": folder, "benchmark_filename": ["train", "valid", "test"]}
    config = Config(name, data, overrides=overrides)
    return config.model_class(config, prepare_data(config, create_dataset(config))[0]._dataset).train()


def seconds(model: Any, asked: Any) -> float:
    """Return the processor seconds of a loss and its gradients."""
    start = time.process_time()
    model.zero_grad()
    rows = (asked, True) if hasattr(model, "prior") else (asked,)  # RecVAE: the encoder's turn
    model.calculate_loss(*rows).sum().backward()
    return time.process_time() - start


def cells_of(name: str, data: str, folder: str) -> list[str]:
    """Return ours, RecBole's and their ratio.

    Raises:
        RuntimeError: the two sides' scores differ.
    """
    import torch

    from benchmarks.pair_speed import as_recboles
    from recbole_diffusion.compat import Interaction

    model = built(name, data, folder)
    plain = as_recboles(model)
    asked = Interaction({"user_id": torch.arange(1, 1 + BATCH)})
    with torch.no_grad():
        ours, theirs = (side.eval().full_sort_predict(asked) for side in (model, plain))
    if not torch.allclose(ours.view(-1), theirs.view(-1), atol=1e-4):
        raise RuntimeError(f"{name}: other scores than RecBole's")
    model.train(), plain.train()
    taken = [(seconds(model, asked), seconds(plain, asked)) for _ in range(TURNS + 1)][1:]
    mine, recboles = (statistics.median(side) for side in zip(*taken, strict=True))
    return [f"{mine * 1e3:,.0f} ms", f"{recboles * 1e3:,.0f} ms", f"{recboles / mine:.2f}"]


def row(name: str) -> str:
    """Measure one model on both sizes; return its row of the page."""
    with tempfile.TemporaryDirectory() as folder:
        cells = [cell for data in SIZES for cell in cells_of(name, data, folder)]
    return f"| {' | '.join((name, *cells))} |"


def head() -> list[str]:
    """Return the page's lines before the rows."""
    from benchmarks._page import machine, stack, table_head

    return [
        "# Training of RecBole's autoencoders",
        "",
        f"`python -m benchmarks.row_speed`; {machine('shared with other work')};",
        f"{stack()}.",
        f"Processor time of a loss and its gradients, {BATCH} users a batch: medians of {TURNS} turns,",
        "layers of each model's default sizes. A user's row goes into the first layer: RecBole multiplies",
        "all its cells, here its entries alone. Draws and results are the same; dropout still draws for all",
        "cells.",
        "Beauty is made up: 22,363 users, 12,101 items, 7 rows a user; MovieLens-100K has 943 and 1,682.",
        "",
        *table_head(
            "model", "ml-100k, ours", "RecBole", "ratio", "Beauty, ours", "RecBole", "ratio", words=1
        ),
    ]


def main() -> None:
    """Measure every model and show the page."""
    from benchmarks.pair_speed import show_rows

    show_rows(__doc__, head, MODELS, row)


if __name__ == "__main__":
    main()
