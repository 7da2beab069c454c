"""Time and memory of an epoch of DGRM: MovieLens-1M, and made-up ratings of Apps for Android's size.

    python -m benchmarks.dgrm_speed [--data_path=DATA] [--output=benchmarks/results/dgrm_speed.md]

Each size is a process of its own, so that its peak memory is its own: it loads the data, trains one epoch
with the defaults, and scores one evaluation batch. Seconds of the processor stand beside seconds of the
clock, which on a shared machine say little. The last two parts compare, in one process, a training batch with
the equations as they are written (a perceptron on whole rows, its penalty by autograd), and the generator's
projected prediction with the same chain on dense rows.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks._page import machine, page_parser, show_page, stack, table_head

ANDROID = (87_271, 13_209, 752_937)  # users, items, ratings: Table 1
SCORED, BATCHES = 1024, 12


def write_android(folder: Path) -> None:
    """Write made-up ratings of Table 1's size: skewed popularity, no user or item empty, three parts."""
    import numpy as np

    draw = np.random.default_rng(0)
    n_users, n_items, n_rows = ANDROID
    extra = int(1.2 * n_rows)
    users = np.r_[
        np.arange(n_users),
        draw.integers(0, n_users, n_items),
        (draw.random(extra) ** 2 * n_users).astype(int),
    ]
    items = np.r_[
        draw.integers(0, n_items, n_users),
        np.arange(n_items),
        (draw.random(extra) ** 2 * n_items).astype(int),
    ]
    _, first = np.unique(users * n_items + items, return_index=True)
    first = np.sort(first)[:n_rows]
    users, items, ratings = users[first], items[first], draw.integers(1, 6, len(first))
    target = folder / "android"
    target.mkdir()
    parts = {"train": slice(None), "valid": slice(0, 1000), "test": slice(1000, 2000)}
    for part, own in parts.items():
        rows = [f"{u}\t{i}\t{r}" for u, i, r in zip(users[own], items[own], ratings[own], strict=True)]
        text = ["user_id:token\titem_id:token\trating:float", *rows]
        (target / f"android.{part}.inter").write_text("\n".join(text) + "\n")


def child(dataset: str, options: dict[str, Any]) -> dict[str, float]:
    """Load, train one epoch, score a batch of users; return seconds and memory."""
    import torch

    from recbole_diffusion.compat import Interaction, init_seed
    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data
    from recbole_diffusion.storage.run_folder import RunFolder
    from recbole_diffusion.trainer.factory import trainer_for

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    torch.set_num_threads(1)
    config = Config("DGRM", dataset, overrides={**options, "use_gpu": False, "metrics": ["Recall"]})
    init_seed(0, True)
    at_start = peak()
    train, _, _ = prepare_data(config, create_dataset(config))
    model = config.model_class(config, train._dataset)
    loaded = peak()
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_for(config, model, RunFolder(folder))
        clock, processor = time.perf_counter(), time.process_time()
        trainer._train_epoch(train, 0)
        epoch = time.perf_counter() - clock, time.process_time() - processor
        batches = [batch for _, batch in zip(range(BATCHES + 1), train, strict=False)]
        parts, plain = (seconds_of_batches(trainer, batches, loss) for loss in (None, plain_loss))
    model.eval()
    users = Interaction({model.USER_ID: torch.arange(1, SCORED + 1)})
    processor = time.process_time()
    scores = model.full_sort_predict(users)
    projected = time.process_time() - processor
    processor = time.process_time()
    dense_chain(model, users[model.USER_ID])
    dense = time.process_time() - processor
    return {
        "users": model.n_users - 1,
        "items": model.n_items - 1,
        "ratings": len(train._dataset),
        "parameters": sum(one.numel() for one in model.parameters()),
        "epoch_seconds": epoch[0],
        "epoch_processor_seconds": epoch[1],
        "parts_seconds": parts,
        "plain_seconds": plain,
        "projected_seconds": projected,
        "dense_seconds": dense,
        "scores_mb": scores.numel() * 4 / 2**20,
        "start_mb": at_start,
        "loaded_mb": loaded,
        "peak_mb": peak(),
    }


def seconds_of_batches(trainer: Any, batches: list, loss: Any) -> float:
    """Return processor seconds of a batch's losses and gradients; the first batch is not counted."""
    model = trainer.model
    for number, batch in enumerate(batches):
        if number == 1:
            start = time.process_time()
        for player in (0, 1):
            model.zero_grad(set_to_none=True)
            if loss is not None:
                loss(model, batch, player).backward()
            elif player == 0:
                model.critic_loss(batch).backward()
            else:
                model.critic.requires_grad_(False)
                sum(model.generator_loss(batch)).backward()
                model.critic.requires_grad_(True)
    return (time.process_time() - start) / (len(batches) - 1)


def plain_loss(model: Any, batch: Any, player: int) -> Any:
    """Return the loss of the critic (0) or the generator (1), as the paper's equations are written."""
    import torch
    import torch.nn.functional as F

    o, d, G, C = model.options, model.diffusion, model.generator, model.critic
    weight = torch.cat([C.before, C.after, C.context.weight.T])

    def critic(before: Any, after: Any, t: Any) -> Any:
        first = torch.cat([before, after, C.steps(t)], 1) @ weight + C.context.bias
        return C.last(F.leaky_relu(first, 0.2)).squeeze(1)

    def drawn() -> tuple[Any, ...]:
        items, _, rows, values = model.ratings.gather(batch[model.USER_ID])
        x0 = model.ratings.dense(len(batch), rows, items, values)
        t = torch.randint(0, o.steps, (len(batch),))
        xt = d.q_sample(x0, t, torch.randn_like(x0))
        hidden = G.hidden(F.dropout(xt, o.dropout_prob) @ G.W, torch.randn(len(batch), o.noise_size), t)
        return x0, xt, t, G.all(hidden) * (x0 > 0)

    def before(x0: Any, xt: Any, t: Any) -> Any:
        return d.posterior_mean(x0, xt, t) + d.posterior_std(t, xt) * torch.randn_like(xt)

    def of_critic() -> Any:
        x0, xt, t, predicted = drawn()
        real, fake = before(x0, xt, t), before(predicted.detach(), xt, t)
        between = torch.lerp(real, fake, torch.rand(len(t), 1)).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between, xt, t).sum(), between, create_graph=True)
        penalty = o.penalty_weight * (slope.norm(dim=1) - 1).square().mean()
        return critic(fake, xt, t).mean() - critic(real, xt, t).mean() + penalty

    def of_generator() -> Any:
        x0, xt, t, predicted = drawn()
        error = (model.ratings.high * (predicted - x0)).square().sum() / len(t)
        return (
            o.reconstruction_weight * error
            - o.adversarial_weight * critic(before(predicted, xt, t), xt, t).mean()
        )

    return of_critic() if player == 0 else of_generator()


def dense_chain(model: Any, users: Any) -> Any:
    """Return the prediction of the model with dense rows all the way, as the paper writes it."""
    import torch

    o, d, G = model.options, model.diffusion, model.generator
    with torch.no_grad():
        items, _, rows, values = model.ratings.gather(users)
        x0 = model.ratings.dense(len(users), rows, items, values)
        mask = (x0 > 0).float()
        x = d.signal[-1] * x0 + d.noise[-1] * torch.randn_like(x0)
        for step in range(o.steps - 1, o.steps - 1 - o.denoising_steps, -1):
            t = torch.full((len(users),), step)
            predicted = G.all(G.hidden(x @ G.W, torch.randn(len(users), o.noise_size), t)) * mask
            x = d.posterior_mean(predicted, x, t) + d.posterior_std(t, x) * torch.randn_like(x)
        last = torch.full((len(users),), max(o.steps - 1 - o.denoising_steps, 0))
        return G.all(G.hidden(x @ G.W, torch.randn(len(users), o.noise_size), last))


def measured(dataset: str, options: dict[str, Any]) -> dict[str, float]:
    """Return what a process of its own has measured."""
    words = [sys.executable, "-m", "benchmarks.dgrm_speed", "--child", json.dumps([dataset, options])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def page(found: dict[str, dict[str, float]]) -> list[str]:
    """Return the lines of the page."""
    lines = [
        "# DGRM: time and memory",
        "",
        f"`python -m benchmarks.dgrm_speed --data_path=DATA`; {machine('shared with other work')};",
        f"{stack()}. Defaults of",
        "`properties/model/DGRM.yaml`: batches of 64 users, two generator updates and one critic update "
        "each.",
        "Memory is of the whole process, at its peak; Python and torch alone are the first number.",
        "",
        *table_head(
            "data",
            "users x items, training ratings",
            "memory MB: start, loaded, peak",
            "weights",
            "epoch, processor s",
            "clock s",
            words=3,
        ),
    ]
    for name, one in found.items():
        size = f"{one['users']:,} x {one['items']:,}, {one['ratings']:,}"
        memory = f"{one['start_mb']:.0f}, {one['loaded_mb']:.0f}, {one['peak_mb']:.0f}"
        seconds = f"{one['epoch_processor_seconds']:.1f} | {one['epoch_seconds']:.1f}"
        lines.append(f"| {name} | {size} | {memory} | {one['parameters']:,} | {seconds} |")
    lines += [
        "",
        "Losses and gradients of one batch, one update of each player: the critic's first layer in parts "
        "(one product with R^t",
        "for the real row, the generated one and the penalty; the penalty by a Gram matrix; no gradient for "
        "the player that",
        "rests), and the equations as they are written: a perceptron on both rows, the penalty by autograd.",
        "",
        *table_head("data", "in parts, processor ms", "as written, processor ms", "ratio"),
    ]
    for name, one in found.items():
        parts, plain = 1000 * one["parts_seconds"], 1000 * one["plain_seconds"]
        lines.append(f"| {name} | {parts:.0f} | {plain:.0f} | {plain / parts:.1f} |")
    lines += [
        "",
        f"Prediction of {SCORED} users with T' = 1: projected (sparse product plus a Gaussian with "
        "covariance W^T W, no",
        "dense row) and the same chain on dense rows. Both end in the ratings of all items.",
        "",
        *table_head("data", "projected, processor s", "dense, processor s", "ratio"),
    ]
    for name, one in found.items():
        projected, dense = one["projected_seconds"], one["dense_seconds"]
        lines.append(f"| {name} | {projected:.2f} | {dense:.2f} | {dense / projected:.1f} |")
    return lines


def main() -> None:
    """Read the command line."""
    parser = page_parser(__doc__)
    parser.add_argument("--data_path")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        request, sys.argv = json.loads(arguments.child), sys.argv[:1]
        print(json.dumps(child(*request)))
        return
    found = {}
    if arguments.data_path:
        found["MovieLens-1M"] = measured("ml-1m", {"data_path": arguments.data_path})
    with tempfile.TemporaryDirectory() as folder:
        write_android(Path(folder))
        options = {
            "data_path": folder,
            "benchmark_filename": ["train", "valid", "test"],
            "rating_scale": [1, 5],
        }
        found["made up, Apps for Android's size"] = measured("android", options)
    show_page(page(found), arguments.output)


if __name__ == "__main__":
    main()
