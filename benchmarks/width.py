r"""TVDiff at width 1000: what scoring all users costs, against an earlier build and a plain matrix product.

    python -m benchmarks.width --data_path=DATA --runs=RUNS --before=FOLDER [--output=FILE]

``RUNS`` holds a run folder for each data set, trained by

    python run_recbole_diff.py --model=TVDiff --dataset=lastfm --negative_sampler=uniform --epochs=6 \
        --eval_step=3 --data_path=DATA --run_dir=RUNS/lastfm
    python run_recbole_diff.py --model=TVDiff --dataset=gowalla --negative_sampler=uniform --epochs=1 \
        --train_batch_size=4096 --data_path=DATA --run_dir=RUNS/gowalla

``FOLDER`` is a checkout of the earlier version (commit 692dae2). Each version has a process of its own with
the same weights; they take turns, and processor seconds of one thread are compared. ``--users`` says how
many users each turn scores; what a whole data set costs is computed from that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
K, TURNS, DRAWS = 20, 3, 4
BLOCK = {"ours": 2048, "before": 409}  # users of a block of `recommend` on Gowalla
TOLERANCE = 3e-5  # of the short chain, which is off by default
DATA = ("lastfm", "gowalla")


def seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def model_of(dataset: str, data_path: str, folder: Path) -> Any:
    """Return the trained model in the version that Python imports, in evaluation mode."""
    import torch

    from recbole_diffusion.config import Config
    from recbole_diffusion.data.preparation import create_dataset, prepare_data

    overrides = {"data_path": data_path, "use_gpu": False, "negative_sampler": "uniform"}
    config = Config("TVDiff", dataset, overrides=overrides)
    if "chain_tolerance" in vars(config.options):  # the earlier build has none
        config = Config("TVDiff", dataset, overrides=overrides | {"chain_tolerance": TOLERANCE})
    train = prepare_data(config, create_dataset(config))[0]._dataset
    model = config.model_class(config, train)
    weights = torch.load(folder / "best.pt", weights_only=True)["state_dict"]
    names = {name.replace("item_encoder", "tower"): name for name in weights}  # of 0.1.0
    model.load_state_dict({name: weights[names.get(name, name)] for name in model.state_dict()})
    return model.eval()


def sampled(model: Any, count: int) -> Any:
    """Return consecutive users, from the beginning of a block that the models compute together."""
    import torch

    first = 1024 if model.n_users > 1024 + count else 1
    return torch.arange(first, min(first + count, model.n_users))


def works_of(model: Any, users: Any) -> dict[str, Callable[[], object]]:
    """Return what is timed: what precedes the first user, lists by vectors, and by all scores."""
    import torch

    from recbole_diffusion.serving.scoring import finder_for_users

    blocks = users.split(BLOCK["ours" if hasattr(model, "near_users") else "before"])
    find: list[Any] = []

    def prepare() -> None:
        model.train()
        model.eval()
        find[:] = [finder_for_users(model, 0)]
        find[0](blocks[0][:256], K, None)

    def lists() -> None:
        if hasattr(model, "near_users"):
            model.near_users.forget()
        for block in blocks:
            find[0](block, K, None)

    @torch.no_grad()
    def all_scores() -> None:
        if "done" in model._cache:  # the earlier version keeps its users
            model._cache["done"].zero_()
        for block in blocks:
            model.full_sort_predict({model.USER_ID: block}).topk(K)

    return {"prepare": prepare, "lists": lists, "all scores": all_scores}


def serve(dataset: str, data_path: str, folder: Path, count: int) -> None:
    """Time what standard input asks for, until it ends."""
    model = model_of(dataset, data_path, folder)
    works = works_of(model, sampled(model, count))
    for line in sys.stdin:
        print(json.dumps(seconds(works[line.strip()])), flush=True)


class Side:
    """A process of one version."""

    def __init__(self, build: Path, dataset: str, options: argparse.Namespace) -> None:
        words = [sys.executable, __file__, f"--alone={dataset}", f"--data_path={options.data_path}"]
        words += [f"--runs={options.runs.resolve()}", f"--users={options.users}"]
        environment = {**os.environ, "PYTHONPATH": str(build.resolve()), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            words, env=environment, cwd=build, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def seconds(self, work: str) -> float:
        """Return the processor seconds of one turn."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{work}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line[:1].isdigit():  # not a line of a log
                return float(line)
        raise SystemExit(f"the process of {self.process.args} has ended")

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def in_turns(dataset: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the median seconds of each piece of work by version."""
    here = Path(__file__).resolve().parent.parent
    taken: dict[str, dict[str, list[float]]] = {"ours": {}, "before": {}}
    sides = {"ours": Side(here, dataset, options), "before": Side(options.before, dataset, options)}
    for _ in range(options.turns):
        for work in ("prepare", "lists", "all scores"):
            for name, side in sides.items():
                if work != "all scores" or name == "before":  # our evaluation makes lists by vectors
                    taken[name].setdefault(work, []).append(side.seconds(work))
    for side in sides.values():
        side.end()
    return {
        name: {work: statistics.median(times) for work, times in works.items()}
        for name, works in taken.items()
    }


def chain_row(dataset: str, model: Any, users: Any) -> tuple[str, str]:
    """Return the rows of the chain and of the spectrum."""
    import torch

    from recbole_diffusion.model import loss as losses

    model._item_side()
    M, short = model._cache["M"], model.short_chain()
    values = torch.linalg.svdvals(M.double())
    energy = (torch.linalg.svdvals(model._cache["H"].double().T @ model._cache["H"].double())).cumsum(0)
    spectrum = " | ".join(f"{float(values[r]):.3g}" for r in (0, 9, 49, 99, 199, 499, 999))
    share = " | ".join(f"{float(energy[r] / energy[-1]):.2f}" for r in (99, 199, 499))
    if short is None:
        raise SystemExit("this processor does not multiply bfloat16 fast: there is no short chain to measure")
    z = losses.sum_by_row(model.W_I, *model.positives.gather(users)[:2])
    steps, gemm = short.chain.last, torch.empty_like(z)
    works = {
        "product": lambda: torch.mm(z, M, out=gemm),
        "plain": lambda: model._reverse(z, None),
        "short": lambda: short(z),
    }
    taken = {name: statistics.median(seconds(work) for _ in range(TURNS + 1)) for name, work in works.items()}
    exact, near = model._reverse(z, None), model._with_one(short.chain.end(short(z)))
    error = (near - exact).norm(dim=1) / exact.norm(dim=1)
    find = {}
    for tolerance in (0.0, TOLERANCE):
        model.options = type(model.options)(**{**vars(model.options), "chain_tolerance": tolerance})
        model.train().eval()
        from recbole_diffusion.serving.scoring import finder_for_users

        finder = finder_for_users(model, 0)
        find[tolerance] = torch.cat([finder(block, K, None)[1] for block in users.split(BLOCK["ours"])])
    equal = (find[0.0] == find[TOLERANCE]).all(1)
    row = (
        f"| {dataset} | {len(short.blocks)} of {steps} | {taken['plain']:.2f} s | {taken['short']:.2f} s | "
        f"{taken['plain'] / taken['short']:.1f} | {taken['plain'] / (steps * taken['product']):.2f} | "
        f"{taken['short'] / (steps * taken['product']):.2f} | {float(error.median()):.0e} | "
        f"{float(error.max()):.0e} | {int(equal.sum()):,} of {len(equal):,} |"
    )
    return row, f"| {dataset} | {spectrum} | {share} |"


def truncated_rows(dataset: str, model: Any) -> list[str]:
    """Return the rows of chains with the leading part of M alone, which costs 2 r / d of a product a step."""
    import torch

    from recbole_diffusion.model import loss as losses

    chain, H = model.short_chain().chain, model._item_side()[1:]
    z = losses.sum_by_row(model.W_I, *model.positives.gather(sampled(model, 64))[:2])
    left, values, right = torch.linalg.svd(chain.product)
    exact = chain.end(chain.plain(z))
    lists, rows = (exact @ H.T).topk(K).indices, []
    for rank in (100, 200, 400, 600):
        now = z
        for t in range(chain.last, 0, -1):
            moved = (torch.tanh(now + chain.times[t]) @ (left[:, :rank] * values[:rank])) @ right[:rank]
            now = chain.x0[t] * moved + chain.xt[t] * now
        off = (chain.end(now) - exact).norm(dim=1) / exact.norm(dim=1)
        equal = ((chain.end(now) @ H.T).topk(K).indices == lists).all(1)
        rows.append(
            f"| {dataset} | {rank} | {2 * rank / len(values):.1f} | {float(values[rank]):.2f} | "
            f"{float(off.median()):.0e} | {float(off.max()):.0e} | {int(equal.sum())} of {len(z)} |"
        )
    return rows


def training_row(dataset: str, model: Any) -> str:
    """Return the row of a training batch, with the whole Gram matrix multiplied and by halves."""
    import torch

    from recbole_diffusion.model import layers

    gram = layers._Gram
    users = sampled(model, 2048)
    items, starts, _ = model.positives.gather(users)
    has = torch.diff(starts, append=starts.new_tensor([len(items)])) > 0
    batch = {model.USER_ID: users[has], model.ITEM_ID: items[starts[has]]}
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step(wide: int) -> Callable[[], None]:
        def run() -> None:
            gram.wide = wide
            optimizer.zero_grad()
            sum(model.calculate_loss(batch)).backward()
            optimizer.step()

        return run

    with torch.no_grad():
        H = model.item_vectors()
        square = torch.empty(H.shape[1], H.shape[1])

    def products() -> None:
        torch.mm(H.T, H, out=square)
        torch.mm(H, square)

    works = {"whole": step(10**9), "halves": step(gram.wide), "products": products}
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(TURNS + 1):
        for name, work in works.items():
            used = seconds(work)
            if turn:
                taken[name].append(used)
    whole, halves, least = (statistics.median(taken[name]) for name in ("whole", "halves", "products"))
    return (
        f"| {dataset} | {len(batch[model.USER_ID]):,} | {halves:.2f} s | {whole:.2f} s | "
        f"{whole / halves:.2f} | {least:.2f} s | {halves / least:.2f} |"
    )


def sampled_gram_rows(dataset: str, model: Any) -> list[str]:
    """Return the rows of a Gram matrix of sampled items: how far error and gradients are off.

    m of the n items, without replacement, drawn anew for each step; n / m times their Gram matrix is
    unbiased. The last row has other users with the whole matrix, the noise that training has anyway.
    """
    import torch

    from recbole_diffusion.diffusion import uniform_steps
    from recbole_diffusion.model import layers
    from recbole_diffusion.model import loss as losses

    model.train()
    source = torch.Generator().manual_seed(1)
    everyone = torch.arange(1, model.n_users)
    some_users = [everyone[torch.randperm(len(everyone), generator=source)[:2048]] for _ in range(DRAWS + 1)]
    weights = {"W_I": model.W_I, "W_U": next(model.item_encoder.parameters())}

    def error(users: torch.Tensor, share: float) -> tuple[float, list[torch.Tensor]]:
        """Return the squared error a row and its gradients, the Gram matrix of a share of the items."""

        def gram(rows: torch.Tensor) -> torch.Tensor:
            if share == 1:
                return layers.gram(rows)
            kept = 1 + torch.randperm(len(rows) - 1, generator=source)[: round(share * (len(rows) - 1))]
            return layers.gram(rows[kept]) / share  # [d, d]

        torch.manual_seed(0)  # the same steps, noise and dropout each time
        losses.gram, t = gram, uniform_steps(model.options.steps, len(users))
        try:
            value = model._projected_energy(users, t, model.item_vectors())[1].mean()
        finally:
            losses.gram = layers.gram
        gradients = torch.autograd.grad(value, list(weights.values()))
        return float(value.detach()), list(gradients)

    def row(what: str, cost: str, others: list[tuple[float, list[torch.Tensor]]]) -> str:
        off = statistics.mean(abs(other / whole - 1) for other, _ in others)
        relative = [
            statistics.mean(float((found[i] - exact[i]).norm() / exact[i].norm()) for _, found in others)
            for i in range(len(weights))
        ]
        numbers = " | ".join(f"{number:.3g}" for number in (off, *relative))
        return f"| {dataset} | {what} | {cost} | {numbers} |"

    whole, exact = error(some_users[0], 1)
    rows = [
        row(f"1 / {parts}", f"{1 / parts:.3g}", [error(some_users[0], 1 / parts) for _ in range(DRAWS)])
        for parts in (2, 4, 8, 16)
    ]
    return [*rows, row("all, other users", "1", [error(users, 1) for users in some_users[1:]])]


def page(options: argparse.Namespace) -> list[str]:
    """Measure, and return the lines of the page."""
    import torch

    from benchmarks._page import machine, stack, table_head

    chains, spectra, lists, batches, truncated, grams = [], [], [], [], [], []
    for dataset in options.data:
        found = in_turns(dataset, options)
        model = model_of(dataset, options.data_path, options.runs / dataset)
        users = sampled(model, options.users)
        with torch.no_grad():
            chain, spectrum = chain_row(dataset, model, users)
            truncated += truncated_rows(dataset, model)
        chains.append(chain)
        spectra.append(spectrum)
        grams += sampled_gram_rows(dataset, model)
        batches.append(training_row(dataset, model))
        times = (model.n_users - 1) / len(users)
        ours = found["ours"]["prepare"] + times * found["ours"]["lists"]
        by_vectors = found["before"]["prepare"] + times * found["before"]["lists"]
        by_scores = found["before"]["prepare"] + times * found["before"]["all scores"]
        lists.append(
            f"| {dataset} | {model.n_users - 1:,} | {ours:.1f} s | {by_scores:.1f} s | "
            f"{by_scores / ours:.1f} | {by_vectors:.1f} s | {by_vectors / ours:.1f} |"
        )
    return [
        "# TVDiff at width 1000",
        "",
        f"`python -m benchmarks.width --data_path=DATA --runs=RUNS --before=FOLDER --users={options.users}`;",
        f"{machine('one thread, shared with other work')};",
        f"{stack()}.",
        f"Processor seconds; each side in a process of its own with the same weights, in turns, medians of "
        f"{options.turns}. The earlier build is commit 692dae2.",
        "",
        f"## Lists of {K} for all users",
        "",
        f"Measured on {options.users:,} users, and computed for all. The earlier",
        "evaluation scored all items; its `recommend` searched as today's does.",
        "",
        *table_head("data", "users", "ours", "earlier evaluation", "ratio", "earlier `recommend`", "ratio"),
        *lists,
        "",
        "## The chain alone",
        "",
        "Over the same number of plain products of float32, [users, 1000] x [1000, 1000], one a step.",
        "",
        *table_head(
            *("data", "products", "plain chain", "short chain", "ratio", "plain / products"),
            *("short / products", "median error", "largest error", "equal lists"),
        ),
        *chains,
        "",
        "## A training batch",
        "",
        "Loss, gradient and a step of Adam, the negatives uniform. The two products are H^T H and its",
        "gradient's, 160 GFLOP at Gowalla's size.",
        "",
        *table_head("data", "rows", "ours", "H^T H whole", "ratio", "the two products", "ours over them"),
        *batches,
        "",
        "A Gram matrix of sampled items instead, drawn anew for each batch: mean relative deviation of the",
        f"squared error and, by norm, of its gradients, over {DRAWS} draws, and {DRAWS} other batches of",
        "users.",
        "",
        *table_head(
            "data", "items", "cost of the products", "squared error", "gradient of W_I", "gradient of W_U"
        ),
        *grams,
        "",
        "## The spectrum of M = H^T W_I",
        "",
        "Singular values of M by rank, and the share of |H|^2 in its leading directions.",
        "",
        *table_head("data", "1", "10", "50", "100", "200", "500", "1000", "100 of H", "200 of H", "500 of H"),
        *spectra,
        "",
        "The chain with M's leading part alone, beside the plain one, on 64 users:",
        "",
        *table_head(
            *("data", "rank", "cost of a step in products", "next singular value", "median error"),
            *("largest error", "equal lists"),
        ),
        *truncated,
    ]


def main() -> None:
    """Read the command line, measure, print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if "--alone" not in sys.argv:  # there an earlier version is imported, whose benchmarks are others
        from benchmarks._page import refuse_underscores

        refuse_underscores(parser)
    parser.add_argument("--output", type=Path, help="file to write the page to as well")
    parser.add_argument("--data_path", required=True, help="folder that holds lastfm/ and gowalla/")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trained runs")
    parser.add_argument("--before", type=Path, help="checkout of an earlier version")
    parser.add_argument("--users", type=int, default=2048, help="users of a turn")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--data", nargs="+", default=DATA, choices=DATA)
    parser.add_argument("--alone", choices=DATA, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # RecBole's Config reads the command line too
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    if options.alone:
        serve(options.alone, options.data_path, options.runs / options.alone, options.users)
        return
    if options.before is None:
        parser.error("--before is needed")
    from benchmarks._page import show_page

    show_page(page(options), options.output)


if __name__ == "__main__":
    main()
