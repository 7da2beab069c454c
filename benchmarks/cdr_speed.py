"""Speed of the cross-domain models, and memory of a pair of Amazon's size.

    python -m benchmarks.cdr_speed [--data_path=DATA --dataset=douban_book_music] [--output=FILE]
    python -m benchmarks.cdr_speed --memory [--output=FILE]

The first compares DiffCDR with its plain form in one process, in turns: one solver run for each rating row,
with two separate noise calls an evaluation, as in the released code; and gives the throughput of all models.
A sample is a rating. The second writes a made-up pair of 600,000 users and 9 million source ratings, loads it
and trains one epoch of both factorisations, in a process of its own.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import Tensor

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.diffusion import fast_orders, solve

GUIDANCE = 0.1  # the paper's; with 0 or 1 one of the two noise calls is all there is
PLAIN_ROWS, BATCH = 2048, 128  # rating rows that the plain form is timed on, and how many it takes at once


def build(model: str, dataset: str, data_path: str | None, **options: Any) -> Any:
    """Return a model with fresh weights on the CPU."""
    overrides = {"use_gpu": False, **({"data_path": data_path} if data_path else {}), **options}
    config = Config(model, dataset, overrides=overrides)
    torch.manual_seed(0)
    made = config.model_class(config, prepare_data(config, create_dataset(config))[0]._dataset)
    for stage in made.stages():
        if stage.begin:
            stage.begin()
    return made


def plain_transfer(model: Any, users: Tensor) -> Tensor:
    """Return the transferred vectors of rows without sharing repeats, one call for each noise."""
    net, condition = model.denoiser, model.condition(users)
    nothing = torch.zeros_like(condition)

    def noise(x: Tensor, t: Tensor) -> Tensor:
        given, free = net(x, t, condition), net(x, t, nothing)
        found = free + GUIDANCE * (given - free)
        return (
            net.schedule.sigma(t)[:, None] * x + net.schedule.alpha(t)[:, None] * found
            if net.velocity
            else found
        )

    with torch.no_grad():
        made = solve(
            noise, torch.zeros(len(users), model.width), net.schedule, fast_orders(model.options.evaluations)
        )
    return model.alignment(made * model.statistics[3] + model.statistics[2])


def train_batch(stage: Any, optimizers: list[torch.optim.Optimizer], rows: Tensor) -> None:
    """Take the updates of one batch."""
    for step, optimizer in zip(stage.steps, optimizers, strict=True):
        for _ in range(step.repeats):
            optimizer.zero_grad(set_to_none=True)
            step.loss(rows).backward(inputs=list(step.parameters))
            optimizer.step()
            if step.after:
                step.after()


def optimizers_of(stage: Any) -> list[torch.optim.Optimizer]:
    """Return the optimizers of a stage."""
    return [torch.optim.Adam(step.parameters, lr=step.learning_rate, fused=True) for step in stage.steps]


def train_epoch(model: Any, stage: Any, optimizers: list[torch.optim.Optimizer]) -> None:
    """Train one epoch of a stage."""
    model.train()
    for rows in stage.rows[torch.randperm(len(stage.rows))].split(stage.batch_size):
        train_batch(stage, optimizers, rows)


def shared_rows(model: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the training ratings of shared users, in random order."""
    kept = torch.isin(model.ratings.users, model.shared)
    order = torch.randperm(int(kept.sum()))
    return tuple(
        column[kept][order] for column in (model.ratings.users, model.ratings.items, model.ratings.ratings)
    )


def plain_training(model: Any, rows: tuple[Tensor, ...], optimizers: list[torch.optim.Optimizer]) -> None:
    """Train on rating rows: both updates of Algorithm 1 on each row."""
    model.train()
    side, offsets = (part.detach() for part in model.item_side())
    for users, items, ratings in zip(*(column.split(BATCH) for column in rows), strict=True):
        optimizers[0].zero_grad(set_to_none=True)
        model.noise_loss(users).backward(inputs=list(model.denoiser.parameters()))
        optimizers[0].step()
        optimizers[1].zero_grad(set_to_none=True)
        vectors = plain_transfer(model, users)
        error = (vectors * side[items]).sum(1) + offsets[items] - ratings
        ((vectors - model.target_vectors(users)).abs().mean() + error.square().mean()).backward(
            inputs=list(model.alignment.parameters())
        )
        optimizers[1].step()


def seconds_of(work: Callable[[], Any]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratios(dataset: str, data_path: str | None, repeats: int = 5) -> list[str]:
    """Return the two lines of DiffCDR against its plain form."""
    options = {
        "guidance": GUIDANCE,
        "denoiser_updates": 1,
        "task_absolute": 0.0,
        "item_offset_reg_weight": None,
    }
    model = build("DiffCDR", dataset, data_path, **options)
    stage, rows = model.stages()[-1], shared_rows(model)
    few = tuple(column[:PLAIN_ROWS] for column in rows)
    ours, plain = optimizers_of(stage), optimizers_of(stage)
    users, items = rows[0], rows[1]
    cold = model.is_cold.clone()
    model.is_cold[model.shared] = True  # so that these users are transferred
    lines = []
    for name, fast, slow in (
        ("training", lambda: train_epoch(model, stage, ours), lambda: plain_training(model, few, plain)),
        (
            "prediction",
            lambda: model.eval().predict({model.USER_ID: users, model.ITEM_ID: items}),
            lambda: [plain_transfer(model, part) for part in few[0].split(BATCH)],
        ),
    ):
        pairs = [(seconds_of(fast), seconds_of(slow)) for _ in range(repeats)]
        a, b = ([count / pair[side] for pair in pairs] for side, count in ((0, len(users)), (1, len(few[0]))))
        ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
        lines.append(f"| {name} | {statistics.median(a):,.0f} | {statistics.median(b):,.0f} | {ratio:.0f} |")
    model.is_cold.copy_(cold)
    return lines


def speeds(model: Any, repeats: int) -> tuple[float | None, float]:
    """Return ratings a second in the last training stage, or None, and in prediction for cold users."""
    stages, users = model.stages(), model.is_cold.nonzero().flatten()[1:]
    items = torch.randint(1, model.n_items, (100 * len(users),))
    pairs = {model.USER_ID: users.repeat_interleave(100), model.ITEM_ID: items}
    predicted = statistics.median(
        len(items) / seconds_of(lambda: model.eval().predict(pairs)) for _ in range(repeats)
    )
    if not stages:
        return None, predicted
    samples = len(stages[-1].rows) if stages[-1].key else len(shared_rows(model)[0])
    optimizers = optimizers_of(stages[-1])
    return statistics.median(
        samples / seconds_of(lambda: train_epoch(model, stages[-1], optimizers)) for _ in range(repeats)
    ), predicted


def throughput(dataset: str, data_path: str | None, repeats: int = 3) -> list[str]:
    """Return a line a model: ratings a second in training's last stage and in cold-user prediction."""
    lines = []
    for name, spec in registry.MODELS.items():
        if spec.family != "cross_domain":
            continue
        trained, predicted = speeds(build(name, dataset, data_path), repeats)
        lines.append(
            f"| {name} | {f'{trained / 1000:,.1f} K' if trained else '-'} | {predicted / 1000:,.1f} K |"
        )
    return lines


def write_pair(folder: Path, n_users: int = 600_000, n_rows: int = 9_000_000, n_items: int = 370_000) -> None:
    """Write a made-up pair: ``n_rows`` ratings of ``n_users`` users, and a fifth of both in the target."""
    generator = np.random.default_rng(0)
    for name, share in (("made_source", 1.0), ("made_target", 0.2)):
        users, rows, items = (int(share * one) for one in (n_users, n_rows, n_items))
        (folder / name).mkdir(parents=True)
        with (folder / name / f"{name}.inter").open("w") as out:
            out.write("user_id:token\titem_id:token\trating:float\n")
            for start in range(0, rows, 10**6):
                count = min(10**6, rows - start)
                who = generator.integers(users, size=count) if start else np.arange(count) % users
                what = (generator.random(count) ** 2 * items).astype(np.int64)
                stars = generator.integers(1, 6, size=count)
                out.writelines(
                    f"A{u}\tB{i}\t{r}\n"
                    for u, i, r in zip(who.tolist(), what.tolist(), stars.tolist(), strict=True)
                )


MEMORY = """
import json, sys
from recbole_diffusion.quick_start import run
options = json.loads(sys.argv[1])
result = run("EMCDR", "made_pair", overrides=options, test=False)
print(json.dumps({name: result[name] for name in ("peak_rss_mb", "seconds", "epoch_seconds")}))
"""


def memory() -> list[str]:
    """Return the line of the made-up pair."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        write_pair(Path(folder))
        options = {
            "data_path": folder,
            "run_dir": f"{folder}/run",
            "source_domain": {"dataset": "made_source"},
            "target_domain": {"dataset": "made_target"},
            "rating_scale": [1, 5],
            "warm_start_share": 0.0,
            "report_groups": 0,
            "mf_epochs": 1,
            "mf_batch_size": 65536,
            "epochs": 1,
            "valid_user_ratio": 0.001,
            "train_batch_size": 8192,
            "eval_batch_size": 2**23,
            "use_gpu": False,
            "state": "ERROR",
        }
        words = [sys.executable, "-c", MEMORY, json.dumps(options)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    load, (source, target, mapping) = found["seconds"]["load"], found["epoch_seconds"]
    return [
        f"| {found['peak_rss_mb'] / 1024:.2f} GB | {load:.0f} s | {source:.0f} s | {target:.0f} s | "
        f"{mapping:.1f} s |"
    ]


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path")
    parser.add_argument("--dataset", default="ml-100k")
    parser.add_argument("--memory", action="store_true")
    arguments = parser.parse_args()
    where = (arguments.dataset, arguments.data_path)
    how = f"{machine('shared with other work', 'seed 0')}; {stack()}."
    if arguments.memory:
        lines = ["# Memory of a cross-domain pair of Amazon's size", ""]
        lines += [f"`python -m benchmarks.cdr_speed --memory`; {how}"]
        lines += [
            "Made-up: 600,000 users, 9 million source ratings of 370,000 items; a fifth of it in the target.",
            "",
        ]
        parts = ("source factors, an epoch", "target factors, an epoch", "mapping, an epoch")
        lines += [*table_head("peak memory of the process", "loading", *parts, words=0), *memory()]
    else:
        given = f" --data_path=DATA --dataset={arguments.dataset}" if arguments.data_path else ""
        lines = [
            "# Speed of the cross-domain models",
            "",
            f"`python -m benchmarks.cdr_speed{given}`, {arguments.dataset}; {how}",
            "",
        ]
        lines += [
            "DiffCDR, and plain: a solver run a rating row, two noise calls an evaluation; ratings a second, "
            "medians:",
            "",
        ]
        lines += [*table_head("work", "here", "plain", "ratio"), *ratios(*where), ""]
        lines += [
            "Thousand samples a second; the last stage of training, and prediction for cold users with 100 "
            "items each:",
            "",
        ]
        lines += [*table_head("model", "training", "prediction"), *throughput(*where)]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
