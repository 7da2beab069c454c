"""Every model on a GPU beside the processor: seconds, memory, bfloat16, and whether the metrics are equal.

    python -m benchmarks.gpu --output=benchmarks/results/gpu.md [--kept=FILE] [--only=TVDiff,BPR] [--seeds=2]
    python -m benchmarks.gpu --device=cpu --only=EASE,BPR --epochs=1      # a rehearsal, without a GPU

The data are MovieLens-100K, which comes with RecBole: two domains by genre for the models of cold users, two
modalities of its item file for the multimodal ones. Each model is trained for a few epochs with each seed on
either side, on one split. With ``--kept`` every measurement goes to a file as soon as it is made and is not
made again: the processor's side can be measured before a GPU is there, and a run that was ended goes on.
Nothing but the runs is measured, in this process, one after the other.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks._page import page_parser, show_page, stack, table_head
from recbole_diffusion import registry, run
from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.storage.atomic import write_text

SPLIT_SEED = 2026
LEAST = 1e-3  # difference of metrics that counts as none, whatever the deviation
SIDES = ("cpu", "device", "bfloat16")
# Stages before the epochs of models that train in several.
SHORT = {"mf_epochs": 2, "encoder_epochs": 2}
Measured = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = page_parser(__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal")
    parser.add_argument("--only", default="", help="models, with commas between; default: all")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument(
        "--data_path", help="folder of the data set, if it is not one that comes with RecBole"
    )
    parser.add_argument("--kept", type=Path, help="file of measurements, read and written")
    return parser.parse_args()


@contextlib.contextmanager
def bfloat16_autocast(device: str) -> Iterator[None]:
    """Let ``enable_amp`` compute in bfloat16 while the block runs; torch's own choice on CUDA is float16."""
    before = torch.get_autocast_dtype(device)
    torch.set_autocast_dtype(device, torch.bfloat16)
    try:
        yield
    finally:
        torch.set_autocast_dtype(device, before)


def measure(model: str, side: str, seed: int, given: argparse.Namespace) -> Measured:
    """Return what one run took and reached, or why there is none.

    Args:
        model: its name.
        side: one of SIDES.
        seed: of the run; the split is that of SPLIT_SEED.
        given: the command line.
    """
    on_gpu = side != "cpu" and given.device == "cuda"
    options: dict[str, Any] = {"epochs": given.epochs, "seed": seed, "split_seed": SPLIT_SEED}
    options |= {"use_gpu": on_gpu, "show_progress": False, "state": "WARNING"}
    options |= {"data_path": given.data_path} if given.data_path else {}
    options |= {"enable_amp": True} if side == "bfloat16" else {}
    own = registry.options_class(model).__dataclass_fields__ if model in registry.MODELS else ()
    options |= {name: value for name, value in SHORT.items() if name in own}
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        with tempfile.TemporaryDirectory() as folder, bfloat16_autocast(given.device):
            result = run(model, given.dataset, overrides={**options, "runs_path": folder})
    except (UsageError, RunError, RuntimeError) as error:
        return {"why": " ".join(str(error).split())[:160]}
    test = result["test"]
    metric = "rated_mae" if "rated_mae" in test else next(name for name in test if name.startswith("recall@"))
    return {
        "epoch": statistics.median(result["epoch_seconds"][1:] or result["epoch_seconds"] or [0.0]),
        "build": result["seconds"]["build"],
        "score": result["seconds"]["test"],
        "memory": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else None,
        "metric": metric,
        "value": test[metric],
        "trained": result["parameters"] > 1,  # RecBole's EASE has one, which nothing reads
    }


def measurements(
    model: str, given: argparse.Namespace, kept: dict[str, Measured]
) -> dict[str, list[Measured]]:
    """Return the measurements of a model by side, one a seed; new ones are added to ``kept`` and its file."""
    found: dict[str, list[Measured]] = {}
    for side in SIDES:
        if side == "bfloat16" and not any(one.get("trained") for one in found["device"]):
            found[side] = [{"why": "nothing is trained"}]
            continue
        for seed in range(1, given.seeds + 1):
            words = [model, side if side == "cpu" else f"{given.device} {side}", given.dataset]
            key = " ".join([*words, f"{counted(given.epochs, 'epoch')}, seed {seed}"])
            if key not in kept:
                print(key, file=sys.stderr, flush=True)
                kept[key] = measure(model, side, seed, given)
                if given.kept:
                    write_text(given.kept, json.dumps(kept, indent=1) + "\n")
            found.setdefault(side, []).append(kept[key])
    return found


def equal(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether two means are within two standard errors of their difference, or LEAST apart."""
    error = sum(statistics.variance(some) / len(some) for some in (one, other) if len(some) > 1) ** 0.5
    return abs(statistics.fmean(one) - statistics.fmean(other)) <= max(2 * error, LEAST)


def row(model: str, found: dict[str, list[Measured]]) -> str:
    """Return the row of a model."""
    wrong = next((one["why"] for side in ("cpu", "device") for one in found[side] if "why" in one), None)
    if wrong:
        return f"| {model} | failed: {wrong.replace('|', '/')} |" + " |" * 9

    def mean(side: str, what: str) -> float:
        return statistics.fmean(one[what] for one in found[side])

    def values(side: str) -> list[float]:
        return [one["value"] for one in found[side]]

    memory = found["device"][0]["memory"]
    cells = [model, found["cpu"][0]["metric"]]
    for what in ("epoch", "score"):
        cells += [f"{mean(side, what):.3f}" for side in ("cpu", "device")]
    cells += ["n/a" if memory is None else f"{memory:,.0f}"]
    cells += [f"{mean(side, 'value'):.4f}" for side in ("cpu", "device")]
    cells += ["yes" if equal(values("cpu"), values("device")) else "**no**"]
    why = found["bfloat16"][0].get("why")
    cells += [f"n/a: {why}" if why else f"{mean('bfloat16', 'epoch'):.3f} s, {mean('bfloat16', 'value'):.4f}"]
    return f"| {' | '.join(cells)} |"


def page(rows: Sequence[str], given: argparse.Namespace) -> list[str]:
    """Return the page of these rows."""
    on_gpu = given.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else "no GPU: a rehearsal, which says nothing about one"
    words = [
        f"--{name}={value}" for name, value in vars(given).items() if name in ("epochs", "seeds", "dataset")
    ]
    return [
        "# Every model on a GPU",
        "",
        f"`python -m benchmarks.gpu {' '.join(words)}`; {device};",
        f"{stack()}.",
        "",
        f"Means over {counted(given.seeds, 'seed')}, one split. Seconds an epoch (median, without the first)",
        "and of the test, peak of the device's memory in MiB, a metric of the test on both, and whether",
        f"the two are equal: within two standard errors of the difference, or {LEAST:g}. bfloat16: epoch and",
        "metric with `enable_amp: True`, autocast in bfloat16.",
        "",
        *table_head(
            *("model", "metric", "epoch, CPU", "epoch", "test, CPU", "test", "MiB", "on CPU", "on device"),
            *("equal", "bfloat16"),
            words=2,
        ),
        *rows,
    ]


def main() -> None:
    given = arguments()
    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU here: torch.cuda.is_available() is false; rehearse with --device=cpu")
    known = [*registry.MODELS, *registry.BASELINES]
    models = [name.strip() for name in given.only.split(",") if name.strip()] or known
    kept = json.loads(given.kept.read_text()) if given.kept and given.kept.is_file() else {}
    rows = [row(model, measurements(model, given, kept)) for model in models]
    show_page(page(rows, given), given.output)


if __name__ == "__main__":
    main()
