"""Which part of the authors' CNSDiff makes its figure on Food: the preset and one change at a time.

    OMP_NUM_THREADS=1 python -m benchmarks.cnsdiff_released --data_path=DATA --runs=RUNS [--output=FILE]

``DATA`` holds food/. Each row is ``preset: released`` with three seeds, six epochs, the epoch chosen by
ndcg@20 of validation, as their code was run. What no option does is put in for the time of a run: a
denoiser that no step trains, and what their untrained denoiser makes, one vector for all items. Runs that
``RUNS`` has are not made again.
"""

import contextlib
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._page import machine, page_parser, show_page, stack, table_head

SEEDS, EPOCHS = (0, 1, 2), 6
LENGTH = 3.45  # of what their denoiser makes; item vectors begin with 0.25
OURS = {"alignment_form": "cosine"}
ROWS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "the preset": ((), {}),
    "an untrained denoiser": (("untrained",), {}),
    "one vector for all items": (("constant",), {}),
    "`alignment_form: cosine`": ((), OURS),
    "`alignment_form: cosine`, `reg_weight: 0`": ((), {**OURS, "reg_weight": 0.0}),
    "`alignment_form: cosine`, `sampling_weight: 0`": ((), {**OURS, "sampling_weight": 0.0}),
    "`alignment_form: cosine`, one vector for all items": (("constant",), OURS),
    "`alignment_weight: 0`": ((), {"alignment_weight": 0.0}),
    "`negative_sampler: uniform`": ((), {"negative_sampler": "uniform"}),
}
SHOWN = [("test_ood", "recall@20"), ("test_ood", "ndcg@20"), ("test_iid", "ndcg@20"), ("valid", "ndcg@20")]


def one_vector(model: Any, _distinct: Tensor, where: Tensor, u: Tensor) -> Tensor:
    """Return the same vector for each row, [batch, d], in the place of ``CNSDiff._generated``."""
    d = model.options.embedding_size
    direction = torch.randn(d, generator=torch.Generator().manual_seed(0)).to(u)
    return (F.normalize(direction, dim=0) * LENGTH).expand(len(where), -1)


@contextlib.contextmanager
def changed(changes: tuple[str, ...]) -> Iterator[None]:
    """Put what ``changes`` names in the place of CNSDiff's own for a while."""
    from recbole_diffusion.model.graph.cnsdiff import CNSDiff

    made = CNSDiff.__init__

    def untrained(model: Any, *args: Any) -> None:
        made(model, *args)
        model.negatives.requires_grad_(False)

    with contextlib.ExitStack() as stack_:
        if "constant" in changes:
            stack_.enter_context(mock.patch.object(CNSDiff, "_generated", one_vector))
        if "untrained" in changes:
            stack_.enter_context(mock.patch.object(CNSDiff, "__init__", untrained))
        yield


def result(name: str, seed: int, data_path: str, runs: Path) -> dict[str, Any]:
    """Return the result of one run, which is made if it is not there."""
    from recbole_diffusion.quick_start import run
    from recbole_diffusion.storage.run_folder import RunFolder

    changes, options = ROWS[name]
    folder = runs / f"{list(ROWS).index(name)}-{seed}"
    if (folder / "result.json").is_file():
        return RunFolder(folder).read_result()
    own = {"data_path": data_path, "run_dir": str(folder), "seed": seed, "use_gpu": False}
    chosen = {"preset": "released", "epochs": EPOCHS, "stopping_step": EPOCHS, "valid_metric": "NDCG@20"}
    with changed(changes):
        return run("CNSDiff", "food", overrides={**own, **chosen, **options})


def cells(results: list[dict[str, Any]]) -> list[str]:
    """Return the numbers of a row: mean and deviation over seeds of each metric, and the chosen epochs."""
    found = []
    for part, metric in SHOWN:
        values = [one[part][metric] for one in results]
        found.append(f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")
    return [*found, ", ".join(str(one["best_epoch"] + 1) for one in results)]


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True, help="folder that holds food/")
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    lines = [
        "# CNSDiff's released settings on Food, one change at a time",
        "",
        f"`python -m benchmarks.cnsdiff_released --data_path=DATA --runs=RUNS`; {machine()}; seeds "
        f"{', '.join(map(str, SEEDS))};",
        f"{stack()}.",
        "",
        f"`preset: released`, {EPOCHS} epochs, the epoch chosen by ndcg@20 of `valid`; mean and deviation",
        "over seeds. The authors' code, run and chosen in the same way, has 0.0472 and 0.0277 (recall@20 and",
        "ndcg@20 of `test_ood`, its third epoch, one seed).",
        "",
        *table_head("row", *(f"{part} {metric}" for part, metric in SHOWN), "epochs"),
    ]
    for name in ROWS:
        results = [result(name, seed, arguments.data_path, arguments.runs) for seed in SEEDS]
        lines.append(f"| {' | '.join([name, *cells(results)])} |")
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
