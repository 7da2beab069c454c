"""CCDRec's items, modalities and users (Figure 4) and negatives by hardness (Figure 5), by t-SNE."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, SeriesStyle, colour_of, shade_of
from recbole_diffusion.sampler.curriculum import curricular_negatives, nearest_candidates
from recbole_diffusion.trainer import checkpoint

USERS = 5  # of Figure 4
USERS_OF_NEGATIVES = 2  # of Figure 5
MOST_ITEMS = 30  # shown per user
LEAST_ITEMS = 5  # of a user to be shown, if enough users have as many
DRAWS = 3  # negatives per positive and level
SEED = 0
SYMBOLS = ("square", "diamond", "triangle-up", "x", "cross")


def embeddings(loaded: Mapping[str, Any], _: Mapping[str, int]) -> Figure:
    """Return t-SNE of item, modality and fused vectors of five users' items (Figure 4).

    Raises:
        UsageError: no run has the diffusion that fuses.
    """
    panels = []
    for name, run in _fusing(loaded).items():
        users = _some_users(run, USERS)
        for state, model in (("before training", _untrained(run)), ("best epoch", run.model)):
            panels.append(_embedding_panel(f"{name}, {state}", run, model, users))
    note = (
        f"{USERS} random users, one colour each, with at most {MOST_ITEMS} of their training items. t-SNE of "
        "all vectors together: distances between clusters mean little. The first seed of each method."
    )
    return Figure("embeddings", "Items, modalities and users (CCDRec, Figure 4)", panels, note)


def negatives(loaded: Mapping[str, Any], _: Mapping[str, int]) -> Figure:
    """Return t-SNE of two users, their items, and negatives from each pool of the reverse chain (Figure 5).

    Raises:
        UsageError: no run has the diffusion whose chain makes the pools.
    """
    panels = []
    for name, run in _fusing(loaded).items():
        for number, user in enumerate(_some_users(run, USERS_OF_NEGATIVES)):
            panels.append(_negative_panel(f"{name}, user {number + 1}", run, user))
    note = (
        "Negatives as the trained model would draw them from the states of the chain: the fewer steps are "
        "left, the harder. They are shown by their final vectors."
    )
    return Figure("negatives by hardness", "Negatives by hardness (CCDRec, Figure 5)", panels, note)


def _fusing(loaded: Mapping[str, Any]) -> dict[str, Any]:
    having = {name: run for name, run in loaded.items() if run.model.fusion is not None}
    if not having:
        raise UsageError("no run has the diffusion; run with --aligning=true")
    return having


def _some_users(run: Any, count: int) -> list[int]:
    """Return random users with at least LEAST_ITEMS training items, or those with the most."""
    counts = run.model.positives.offsets.diff().cpu().numpy()
    able = np.flatnonzero(counts >= LEAST_ITEMS)
    if len(able) < count:
        able = np.argsort(-counts, kind="stable")[:count]
        able = able[counts[able] > 0]
    return np.random.default_rng(SEED).choice(able, min(count, len(able)), replace=False).tolist()


def _items_of(run: Any, user: int) -> torch.Tensor:
    positives = run.model.positives
    items = positives.gather(torch.tensor([user], device=positives.items.device))[0]
    return items[:: max(1, -(-len(items) // MOST_ITEMS))]


def _untrained(run: Any) -> Any:
    """Return the model as initialised for the run; the random state of the process is left as it was."""
    from recbole_diffusion.compat import init_seed

    before = checkpoint.random_state()
    try:
        init_seed(run.config["seed"], run.config["reproducibility"])
        model = run.config.model_class(run.config, run.parts["train"]).to(run.config["device"])
    finally:
        checkpoint.restore_random_state(before)
    model.eval()
    return model


@torch.no_grad()
def _embedding_panel(title: str, run: Any, model: Any, users: list[int]) -> Panel:
    backbone = model.backbone
    user_vectors, final = model.vectors()
    fused = model.fusion.fused(backbone.high_order(), model.fusion.states(backbone)[0])
    of_users = [(user, _items_of(run, user)) for user in users]
    rows, kinds = [], []
    for number, (user, items) in enumerate(of_users):
        modal = backbone.modal_items(items)  # [n, modalities, d]
        sets = {"user": user_vectors[[user]], "item": backbone.ego_items()[items]}
        sets |= {one.modality.name: modal[:, m] for m, one in enumerate(backbone.projections)}
        sets |= {"fused item": fused[items], "scored item": final[items]}
        for kind, vectors in sets.items():
            rows.append(vectors)
            kinds += [(number, kind)] * len(vectors)
    places = _placed(torch.cat(rows))
    panel = Panel(title, "", "", bare=True)
    symbols = dict(zip(dict.fromkeys(kind for _, kind in kinds if kind != "user"), SYMBOLS, strict=False))
    for number in range(len(users)):
        for kind in [*symbols, "user"]:
            where = [place for place, of in zip(places, kinds, strict=True) if of == (number, kind)]
            style: SeriesStyle = {
                "kind": "points",
                "symbol": "star" if kind == "user" else symbols[kind],
                "colour": colour_of(number),
                "faint": kind != "user",
                "texts": [f"user {number + 1}: {kind}"] * len(where),
            }
            panel.series.append(PlotSeries.from_points(kind, where, **style))
    return panel


@torch.no_grad()
def _negative_panel(title: str, run: Any, user: int) -> Panel:
    model, o = run.model, run.model.options
    user_vectors, final = model.vectors()
    items = _items_of(run, user)
    generator = torch.Generator(final.device).manual_seed(SEED)
    pools = dict(sorted(model.fusion.states(model.backbone).items(), reverse=True))
    shares = {
        "candidate_ratio": o.candidate_ratio,
        "top_ratio": o.top_ratio,
        "candidate_limit": o.candidate_limit,
    }
    rows = {}
    for step, pool in pools.items():
        nearest = nearest_candidates(pool, **shares, generator=generator)
        many = items.repeat(DRAWS)
        drawn = curricular_negatives(
            nearest, many, torch.full_like(many, user), model.positives, generator=generator
        )
        rows[f"negatives, step {step} of {o.steps}"] = final[drawn.unique()]
    rows |= {"positive items": final[items], "user": user_vectors[[user]]}
    places = _placed(torch.cat(list(rows.values())))
    panel, start = Panel(title, "", "", bare=True), 0
    for number, (kind, vectors) in enumerate(rows.items()):
        where = places[start : start + len(vectors)]
        start += len(vectors)
        colour = {"user": "#d65f7a", "positive items": "#4878d0"}.get(kind) or shade_of(
            number / max(1, len(pools) - 1)
        )
        style: SeriesStyle = {
            "kind": "points",
            "symbol": {"user": "star", "positive items": "square"}.get(kind, "circle"),
            "colour": colour,
            "faint": kind != "user",
            "texts": [kind] * len(where),
        }
        panel.series.append(PlotSeries.from_points(kind, where, **style))
    return panel


def _placed(vectors: torch.Tensor) -> list[tuple[float, float]]:
    """Return a point in the plane for each vector [n, d], by t-SNE of their directions."""
    from sklearn.manifold import TSNE

    points = torch.nn.functional.normalize(vectors.float(), dim=1).cpu().numpy()
    perplexity = min(30.0, max(1.0, (len(points) - 1) / 3))
    found = TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(points)
    return [(float(x), float(y)) for x, y in found]
