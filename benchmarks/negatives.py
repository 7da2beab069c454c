"""What AR-GSP's random subsets change against exact ranks, on a trained model.

    python -m benchmarks.negatives --run=RUN_DIR [--output=FILE]

Draws negatives for the same rows in both modes and reports where they stand in the true ranking, and the
time.
"""

import itertools
import time
from pathlib import Path

import torch

from benchmarks._page import machine, page_parser, show_page, stack, table_head
from recbole_diffusion.sampler.ar_gsp import ArGsp
from recbole_diffusion.serving.loaded_run import load_run


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = page_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True)
    arguments = parser.parse_args()
    loaded = load_run(arguments.run)
    config, model = loaded.config, loaded.model
    model.train()
    torch.manual_seed(0)
    users = next(iter(loaded.loaders[0]))[model.USER_ID]
    o = config.options
    t = torch.randint(0, o.steps, users.shape)
    items = model.item_vectors().detach()
    with torch.no_grad():
        vectors, _ = model._projected_energy(users, t, items)
        ranks = (vectors @ items[1:].T).argsort(1, descending=True).argsort(1) + 1
    run = f"a TVDiff run of width {o.hidden_size}, seed {config['seed']}"
    command = f"`python -m benchmarks.negatives --run=RUN_DIR`, {run}"
    lines = [
        f"# AR-GSP: random subsets against exact ranks ({config['dataset']}, {len(users)} rows, "
        f"{len(items) - 1} items)",
        "",
        f"{command}; {machine()};",
        f"{stack()}.",
        "Rank is that of the drawn item among all items for its row.",
        "",
        *table_head(
            "mode",
            "negatives a row",
            "gamma",
            "rank <= gamma n",
            "median / gamma n",
            "95th percentile / gamma n",
            "seconds a batch",
        ),
    ]
    modes = (("exact", 2**62, 1), ("subsets of 512", 0, 512), ("subsets of 2,048", 0, 2048))
    for many, gamma, (name, cells, size) in itertools.product((1, 50), (0.5, 0.2, 0.06, 0.02), modes):
        sampler = ArGsp(gamma, o.relaxation_rate, o.steps, cells, size)
        counts = torch.full_like(users, many)
        drawn, seconds = [], []
        for _ in range(5 if many == 1 else 1):
            start = time.perf_counter()
            drawn.append(sampler.draw(vectors, items, model.positives, users, t, counts))
            seconds.append(time.perf_counter() - start)
        rows = torch.arange(len(users)).repeat_interleave(many)
        share = torch.cat([ranks[rows, one - 1] for one in drawn]) / (gamma * (len(items) - 1))
        figures = f"{(share <= 1).float().mean():.3f} | {share.median():.2f} | {share.quantile(0.95):.2f}"
        lines.append(f"| {name} | {many} | {gamma} | {figures} | {sorted(seconds)[len(seconds) // 2]:.3f} |")
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
