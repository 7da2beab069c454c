"""CPU seconds of a training epoch of CCDRec on Baby against a plain form of the released code.

    python -m benchmarks.ccdrec_epoch --data_path=DATA [--before=CHECKOUT] [--output=FILE]
    python -m benchmarks.ccdrec_epoch --features

``DATA`` holds baby/. Each side is a process on one thread; they train the same number of batches in turns.
The plain form (``_ccdrec_plain.py``) is written anew after what the released code computes. ``--before``
names another checkout of this repository, measured in the same turns. ``--features`` measures the products
with frozen features in 16 and in 32 bits instead.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks._turns import HERE, in_turns

ROWS = 118_551  # training interactions of Baby
# Of the released configuration what changes the cost: batches of 512, no loss against projected features.
RELEASED = {"modal_weight": 0.0, "train_batch_size": 512}
SETTINGS = {"released settings, batches of 512": RELEASED, "defaults, batches of 2,048": {}}
OTHERS = {"FREEDOM, defaults": ("FREEDOM", {})}


def feature_lines() -> list[str]:
    """Return the table of the two products that a batch takes with a modality's frozen features."""
    import torch

    torch.set_num_threads(1)
    n, width, lines = 7050, 64, []
    for d in (129, 4096):
        features, weights, gradient = torch.randn(n, d), torch.randn(d, width) / d**0.5, torch.randn(n, width)
        exact = features @ weights
        for name, kind, converted in (
            ("float32", torch.float32, False),
            ("float16, converted at each use", torch.float16, True),
            ("bfloat16, converted at each use", torch.bfloat16, True),
            ("bfloat16, products in it", torch.bfloat16, False),
        ):
            stored = features.to(kind)
            of_product = torch.float32 if converted else kind
            w, g = weights.to(of_product), gradient.to(of_product)

            def products(
                stored: torch.Tensor = stored, w: torch.Tensor = w, g: torch.Tensor = g
            ) -> torch.Tensor:
                """Return the projection; the gradient of the weights is computed beside."""
                found = stored.to(w.dtype) @ w
                _ = stored.to(g.dtype).T @ g
                return found

            error = float((products().float() - exact).norm() / exact.norm())
            size = stored.numel() * stored.element_size() / 2**20
            lines.append(
                f"| {d:,} | {name} | {size:.0f} MB | {milliseconds(products):.1f} ms | {error:.0e} |"
            )
    return [
        *table_head("numbers an item", "store", "memory", "both products", "relative error", words=2),
        *lines,
    ]


def milliseconds(work: Callable[[], object], turns: int = 9) -> float:
    """Return the median CPU milliseconds of a piece of work."""
    taken = []
    for _ in range(turns):
        start = time.process_time()
        work()
        taken.append(1e3 * (time.process_time() - start))
    return statistics.median(taken)


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", help="folder that holds baby/")
    parser.add_argument("--features", action="store_true", help="measure frozen features in 16 bits instead")
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.features:
        show_page(feature_lines(), arguments.output)
        return
    if not arguments.data_path:
        parser.error("--data_path is needed")
    cases = {f"CCDRec, {name}": ("CCDRec", options) for name, options in SETTINGS.items()} | OTHERS
    lines = []
    for name, (model, options) in cases.items():
        size = options.get("train_batch_size", 2048)
        case: dict[str, Any] = {
            "model": model,
            "dataset": "baby",
            "data_path": str(Path(arguments.data_path).resolve()),
            "options": {**options, "train_batch_size": size},
            "batches": 16 if size == 512 else 6,
        }
        sides = {"now": (HERE, case)}
        if model == "CCDRec":
            sides["plain"] = (HERE, {**case, "plain": True})
        if arguments.before:
            sides["before"] = (arguments.before.resolve(), case)
        found = in_turns(sides, arguments.rounds)
        seconds = {side: cost.epoch(-(-ROWS // size)) for side, cost in found.items()}
        cells = [f"{seconds[side]:.1f} s" if side in seconds else "" for side in ("plain", "before", "now")]
        cells += [
            f"{seconds[side] / seconds['now']:.2f}" if side in seconds else "" for side in ("plain", "before")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    before = " --before=CHECKOUT" if arguments.before else ""
    show_page(
        [
            "# An epoch of CCDRec against a plain form of the released code",
            "",
            f"`python -m benchmarks.ccdrec_epoch --data_path=DATA{before}`;",
            f"{machine('shared with other work', 'seed 0')}; {stack()}.",
            "Baby with its derived features, 129 numbers a modality. CPU seconds on one thread, sides in "
            f"turns, medians of {arguments.rounds} rounds.",
            "",
            *table_head("epoch", "plain form", "before", "now", "plain / now", "before / now"),
            *lines,
        ],
        arguments.output,
    )


if __name__ == "__main__":
    main()
