"""How DiffCDR's diffusion brings source users to the target domain (Figure 4), by t-SNE."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.errors import UsageError
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of, shade_of

USERS = 1000  # as in the paper
SEED = 0


def transferred_users(loaded: Mapping[str, Any], _: Mapping[str, int]) -> Figure:
    """Return a panel each for source users, 1, 5 and 30 evaluations, and aligned users, against target users.

    Raises:
        UsageError: no run has the diffusion.
    """
    panels = []
    for name, run in loaded.items():
        if run.model.options.diffusion:
            panels += _panels(f"{name}: " if len(loaded) > 1 else "", run.model)
    if not panels:
        raise UsageError("no run has the diffusion; run with --diffusion=true")
    note = (
        f"At most {USERS:,} shared users of the training part, drawn with the seed of the run: their target "
        "vectors, and their source vectors after each step of the transfer. Distance: the mean over users "
        "between the two. The aligned vectors are the ones that score. t-SNE of all vectors together: it "
        "shows neighbours, not distances. The first seed of each method."
    )
    title = "Transferred and target users (DiffCDR, Figure 4 c and d)"
    return Figure("transferred users", title, panels, note)


def _panels(prefix: str, model: Any) -> list[Panel]:
    users = model.drawn_users(USERS)
    ways, truth = model.transfer_path(users), model.target_vectors(users)
    *places, of_truth = placed([*ways.values(), truth])
    panels = []
    for number, ((name, vectors), place) in enumerate(zip(ways.items(), places, strict=True)):
        what = {"source": "source users", "aligned": "aligned"}.get(
            name, f"{name} evaluation" + "s" * (name != "1")
        )
        distance = (vectors - truth).norm(dim=1).mean().item()
        panel = Panel(f"{prefix}{what}, distance {distance:.3f}", "", "", bare=True)
        shown = {"target users": (of_truth, colour_of(8)), what: (place, shade_of(number / (len(ways) - 1)))}
        for kind, (points, colour) in shown.items():
            x, y = zip(*points, strict=True)
            panel.series.append(
                PlotSeries(kind, x, y, kind="points", colour=colour, texts=[kind] * len(x), faint=True)
            )
        panels.append(panel)
    return panels


def placed(parts: list[Tensor]) -> list[list[tuple[float, float]]]:
    """Return points in the plane for each part's vectors [n, k], by t-SNE of all together."""
    from sklearn.manifold import TSNE

    points = torch.cat(parts).float().cpu().numpy()
    perplexity = min(30.0, max(1.0, (len(points) - 1) / 3))
    found = torch.from_numpy(TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(points))
    return [[(x, y) for x, y in place.tolist()] for place in found.split([len(part) for part in parts])]
