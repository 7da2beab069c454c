"""CPU seconds of a training epoch of CCDRec on Baby against a plain form of the released code.

    python -m benchmarks.ccdrec_epoch --data_path=DATA [--before=CHECKOUT] [--output=FILE]

``DATA`` holds baby/. Each side is a process on one thread; they train the same number of batches in turns.
The plain form (``_ccdrec_plain.py``) is written anew after what the released code computes. ``--before``
names another checkout of this repository, measured in the same turns.
"""

from pathlib import Path
from typing import Any

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from benchmarks._turns import HERE, in_turns

ROWS = 118_551  # training interactions of Baby
# Of the released configuration what changes the cost: batches of 512, no loss against projected features.
RELEASED = {"modal_weight": 0.0, "train_batch_size": 512}
SETTINGS = {"released settings, batches of 512": RELEASED, "defaults, batches of 2,048": {}}
OTHERS = {"FREEDOM, defaults": ("FREEDOM", {})}


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True, help="folder that holds baby/")
    parser.add_argument("--before", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
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
