"""Scores of drawn items, as an evaluation by `uni100` asks for them: ours beside RecBole's `predict`.

    python -m benchmarks.pair_speed [--output=FILE]

Each side scores the same batches of MovieLens-100K with the same first weights, in one process and in turn.
"""

import copy
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROWS = ("MultiVAE", "MultiDAE", "MacridVAE", "RecVAE", "CDAE", "DiffRec", "LDiffRec", "DMF")
GRAPHS = ("LightGCN", "NGCF", "SGL", "NCL", "DGCF", "SpectralCF")
HISTORIES = ("FISM", "SimpleX")
SIDES = ("NNCF", "MKR")
SEQUENTIAL = ("SASRec", "BERT4Rec", "LightSANs", "GRU4Rec", "NARM", "SRGNN")
USERS, DRAWN, BATCHES, TURNS = 40, 101, 5, 3


def built(name: str, folder: str) -> tuple[Any, list[Any]]:
    """Return an untrained model of MovieLens-100K as it runs here, evaluating, and its batches."""
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    overrides = {"use_gpu": False, "checkpoint_dir": str(Path(folder, "saved"))}
    config = Config(name, "ml-100k", overrides=overrides)
    train, _, test = prepare_data(config, create_dataset(config))
    return config.model_class(config, train._dataset).eval(), batches(test["test"]._dataset)


def batches(part: Any) -> list[Any]:
    """Return pairs: USERS rows of a part a batch, each of another user, with DRAWN items each."""
    import numpy as np
    import torch

    from recbole_diffusion.compat import Interaction

    draw = torch.Generator().manual_seed(0)
    _, first = np.unique(part.inter_feat["user_id"].numpy(), return_index=True)
    whole = []
    for rows in np.array_split(first[: USERS * BATCHES], BATCHES):
        pairs = part.inter_feat[torch.from_numpy(rows)].repeat_interleave(DRAWN)
        candidates = torch.randint(1, part.item_num, (len(pairs),), generator=draw)
        pairs.update(Interaction({"item_id": candidates}))
        whole.append(pairs)
    return whole


def seconds(score: Callable[[Any], Any], pairs: list[Any]) -> float:
    """Return the processor seconds of all batches."""
    import torch

    start = time.process_time()
    with torch.no_grad():
        for batch in pairs:
            score(batch)
    return time.process_time() - start


def as_recboles(model: Any) -> Any:
    """Return an object of RecBole's class with the same weights: all it calls is RecBole's, layers too."""
    from torch import nn

    from recbole_diffusion.model.recbole_autoencoders import RowLinear

    own = any(isinstance(layer, RowLinear) for layer in model.modules())
    weights = {id(weight): weight for weight in model.parameters()}
    plain = copy.deepcopy(model, weights) if own else copy.copy(model)
    plain.__class__ = type(model).adapts
    for layer in plain.modules() if own else ():
        if isinstance(layer, RowLinear):
            layer.__class__ = nn.Linear
    return plain


def moved(model: Any) -> None:
    """Move all weights a little, as an epoch does: tables kept of given weights help no other turn."""
    for weight in model.parameters():
        weight.data += 1e-4
    model.eval()  # as each evaluation begins


def row(name: str) -> str:
    """Measure one model; return its row of the page.

    Raises:
        RuntimeError: the two sides' scores differ.
    """
    import torch

    with tempfile.TemporaryDirectory() as folder:
        model, pairs = built(name, folder)
        plain = as_recboles(model).predict
        with torch.no_grad():
            if not torch.allclose(model.predict(pairs[0]), plain(pairs[0]), atol=1e-5):
                raise RuntimeError(f"{name}: other scores than RecBole's")
        taken = []
        for _ in range(TURNS):
            moved(model)
            taken.append((seconds(model.predict, pairs), seconds(plain, pairs)))
    ours, theirs = (statistics.median(side) for side in zip(*taken, strict=True))
    cells = (
        name,
        f"{ours / BATCHES * 1e3:,.1f} ms",
        f"{theirs / BATCHES * 1e3:,.1f} ms",
        f"{theirs / ours:,.1f}",
    )
    return f"| {' | '.join(cells)} |"


def show_rows(
    doc: str | None, text: Callable[[], list[str]], names: Sequence[str], row: Callable[[str], str]
) -> None:
    """Measure models one after the other on one thread and show the page.

    Args:
        doc: of the program.
        text: makes the lines before the rows.
        names: of the models.
        row: measures one and returns its line.
    """
    from benchmarks._page import page_parser, show_page

    asked = page_parser(doc).parse_args()
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line too
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    lines = text()
    for name in names:
        lines.append(row(name))
        print(lines[-1], file=sys.stderr, flush=True)
    show_page(lines, asked.output)


def head() -> list[str]:
    """Return the page's lines before the rows."""
    from benchmarks._page import machine, stack, table_head

    return [
        "# Scores of drawn items",
        "",
        f"`python -m benchmarks.pair_speed`; {machine('shared with other work')};",
        f"{stack()}.",
        f"Processor time of a batch of {USERS} users with {DRAWN} items each, MovieLens-100K: medians of",
        f"{TURNS} turns of {BATCHES} batches. RecBole's autoencoders score all items for every pair, here",
        "once for a user; most of its graph models propagate for every batch, here once; its sequential",
        "models encode a history for every pair, here once; so do FISM and SimpleX; NNCF and MKR compute",
        "what is of a user or of an item for every pair, here once.",
        "",
        *table_head("model", "ours", "RecBole", "ratio", words=1),
    ]


def main() -> None:
    """Measure every model and show the page."""
    show_rows(__doc__, head, (*ROWS, *GRAPHS, *HISTORIES, *SIDES, *SEQUENTIAL), row)


if __name__ == "__main__":
    main()
