"""What trains CCDRec on Baby, and how hard its pools are.

    OMP_NUM_THREADS=1 python -m benchmarks.ccdrec_path --data_path=DATA [--runs=RUN,RUN,...] [--output=FILE]

``DATA`` holds baby/. First the gradients of the hard pairs and of Eq. 5 in the first batch, by what they
reach, for each ``gradient_path`` and the released settings, and by the weights of finished runs of CCDRec
with a curriculum. Then, for these runs, what negatives are like that are drawn from each pool.
"""

from typing import Any

import torch
from torch import Tensor

from benchmarks._page import machine, page_parser, show_page, stack, table_head

ROWS = 20_000  # training pairs that negatives are drawn for
OLD = {"gradient_path": "cut", "diffusion_error": "mean"}
SETTINGS: dict[str, dict[str, Any]] = {
    "cut": OLD,
    "ranking": {"gradient_path": "ranking"},
    "ranking, `modal_weight: 0`": {"gradient_path": "ranking", "modal_weight": 0.0},
    "full, `modal_weight: 0`": {"gradient_path": "full", "modal_weight": 0.0},
    "cut, over LATTICE": {**OLD, "backbone": "LATTICE"},
    "ranking, over LATTICE": {"gradient_path": "ranking", "backbone": "LATTICE"},
    "`preset: released`": {"preset": "released"},
}


def norm(loss: Tensor, weights: list[Tensor]) -> float:
    """Return the Euclidean norm of a loss's gradient by some weights, 0 where it reaches none."""
    found = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    return sum(float(one.square().sum()) for one in found if one is not None) ** 0.5


def gradients(model: Any, batch: Any, epoch: int = 0) -> list[str]:
    """Return the cells of a row: norms of the hard pairs' gradient and of Eq. 5's, and their ratio."""
    model.train()
    model.begin_epoch(epoch)
    parts = dict(zip(model.loss_names, model.calculate_loss(batch), strict=True))
    reached = {
        "estimator": list(model.fusion.item_diffusion.estimator.parameters()),
        "projections": list(model.backbone.built_projections.parameters()),
        "items": [model.backbone.encoder.items],
    }
    cells = []
    for weights in reached.values():
        hard, diffusion = (norm(parts[name], weights) for name in ("hard", "diffusion"))
        ratio = f"1 : {diffusion / hard:,.1f}" if hard and diffusion else ""
        cells += [f"{hard:.1e}" if hard else "none", f"{diffusion:.1e}" if diffusion else "none", ratio]
    return cells


def untrained(data_path: str, options: dict[str, Any]) -> list[str]:
    """Return the cells of a row for a model before training."""
    from recbole_diffusion.testing import Built

    built = Built("CCDRec", "baby", {"data_path": data_path, "use_gpu": False, **options})
    return gradients(built.model, built.batch())


def pairs_of(model: Any, count: int) -> tuple[Tensor, Tensor]:
    """Return users and items of some training pairs, long [count] each."""
    users, items = (torch.from_numpy(one).long() for one in model.backbone.interactions.nonzero())
    some = torch.randperm(len(users), generator=torch.Generator().manual_seed(0))[:count]
    return users[some], items[some]


@torch.no_grad()
def pools(model: Any, o: Any) -> tuple[list[str], list[list[str]]]:
    """Return the heads and rows of a model's table: one column for each pool, the uniform draw first."""
    from recbole_diffusion.sampler.curriculum import curricular_negatives, nearest_candidates
    from recbole_diffusion.sampler.uniform import uniform_negatives

    model.eval()
    torch.manual_seed(0)
    U, V = model.vectors()
    states = model.fusion.states(model.backbone)
    tables = {f"state {step}": states[step] for step in sorted(states, reverse=True)} | {"final vectors": V}
    users, items = pairs_of(model, ROWS)
    popularity = torch.bincount(
        torch.from_numpy(model.backbone.interactions.indices).long(), minlength=len(V)
    )
    share = {"candidate_ratio": o.candidate_ratio, "top_ratio": o.top_ratio}
    unit = torch.nn.functional.normalize(V, dim=1)
    of_positive = (U[users] * V[items]).sum(1)
    rows: list[list[str]] = [["cosine with the positive"], ["scored above it"], ["training rows of the item"]]
    for table in (None, *tables.values()):
        if table is None:
            drawn = uniform_negatives(model.positives, users)
        else:
            nearest = nearest_candidates(table, **share, candidate_limit=o.candidate_limit)
            drawn = curricular_negatives(nearest, items, users, model.positives)
        rows[0].append(f"{float((unit[items] * unit[drawn]).sum(1).mean()):.2f}")
        rows[1].append(f"{float(((U[users] * V[drawn]).sum(1) > of_positive).float().mean()):.3f}")
        rows[2].append(f"{float(popularity[drawn].float().mean()):.0f}")
    return ["uniform", *tables], rows


def main() -> None:
    """Read the command line, measure, print the page."""
    from recbole_diffusion import load_run

    parser = page_parser(__doc__)
    parser.add_argument("--data_path", required=True, help="folder that holds baby/")
    parser.add_argument("--runs", default="", help="folders of finished runs, separated by commas")
    arguments = parser.parse_args()
    heads = [
        f"{who}: {what}"
        for who in ("estimator", "projections", "items")
        for what in ("hard pairs", "Eq. 5", "ratio")
    ]
    lines = [
        "# What trains CCDRec, and how hard its pools are",
        "",
        f"`python -m benchmarks.ccdrec_path --data_path=DATA`; {machine('seed of the defaults')}; {stack()}.",
        "",
        "Norms of gradients in the first batch, Baby with its derived features.",
        "",
        *table_head("settings", *heads),
    ]
    for name, options in SETTINGS.items():
        lines.append(f"| {name} | {' | '.join(untrained(arguments.data_path, options))} |")
    folders = list(filter(None, arguments.runs.split(",")))
    runs = {folder: load_run(folder, data_path=arguments.data_path, use_gpu=False) for folder in folders}
    for folder, run in runs.items():
        epoch, model = run.folder.read_result()["best_epoch"], run.model
        users, items = pairs_of(model, run.config["train_batch_size"])
        cells = gradients(model, {model.USER_ID: users, model.ITEM_ID: items}, epoch)
        lines.append(f"| `{folder}`, after epoch {epoch} | {' | '.join(cells)} |")
    for folder, run in runs.items():
        columns, rows = pools(run.model, run.config.options)
        lines += ["", f"`{folder}`, {ROWS:,} training pairs:", "", *table_head("negatives from", *columns)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    show_page(lines, arguments.output)


if __name__ == "__main__":
    main()
