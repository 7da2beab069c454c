"""All models of cold users beside each other: before and after the warm start, and vectors by t-SNE.

Figures 3 and 4 (a, b) of DiffCDR's paper.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings, ratings_of
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of
from recbole_diffusion.report.paper.diffcdr import USERS, placed
from recbole_diffusion.report.runs import RunRecord

ERRORS = {"rated_mae": "MAE", "rated_rmse": "RMSE"}
HALVES = (("test_cold", "cold", "#9db4e6"), ("test_warm", "after the warm start", "#2f4b8f"))
OF_TARGET = 8  # number of the colour of target users


def cold_and_warm(methods: Mapping[str, Sequence[RunRecord]], _: Mapping[str, int]) -> Figure:
    """Return each method's errors on the later half of cold users' ratings, before and after a warm start.

    Raises:
        UsageError: no run has a warm start.
    """
    having = {
        name: [run.test_parts for run in runs if {"test_cold", "test_warm"} <= run.test_parts.keys()]
        for name, runs in methods.items()
    }
    having = {name: runs for name, runs in having.items() if runs}
    if not having:
        raise UsageError("no run has a warm start; run with --warm_start_share=0.5")
    panels = []
    for metric, title in ERRORS.items():
        panel = Panel(title, "", title)
        for part, name, colour in HALVES:
            values = [[run[part][metric] for run in runs] for runs in having.values()]
            spread = [stdev(some) if len(some) > 1 else 0.0 for some in values]
            panel.series.append(
                PlotSeries(name, list(having), [fmean(some) for some in values], "bars", colour, error=spread)
            )
        panels.append(panel)
    note = (
        "Ratings of the later half of each test user, before and after the model has learned the first half: "
        "means and sample deviations over seeds."
    )
    return Figure("cold and warm users", "Cold and warm start (DiffCDR, Figure 3)", panels, note)


@torch.no_grad()
def transferred_by_method(loaded: Mapping[str, Any], numbers: Mapping[str, int]) -> list[Figure]:
    """Return a figure of training and test users for each set of methods that share their target factors."""
    groups: list[dict[str, Any]] = []
    for name, run in loaded.items():
        factors = run.model.target.users
        same = next((one for one in groups if _equal(next(iter(one.values())), factors)), None)
        groups.append({name: run}) if same is None else same.update({name: run})
    return [
        _figure(group, numbers, f" {place}" if len(groups) > 1 else "")
        for place, group in enumerate(groups, 1)
    ]


def _equal(run: Any, factors: Tensor) -> bool:
    own = run.model.target.users
    return own.shape == factors.shape and torch.equal(own, factors)


def _figure(group: Mapping[str, Any], numbers: Mapping[str, int], suffix: str) -> Figure:
    first = next(iter(group.values()))
    panels = []
    for title, (users, truth) in (
        ("training users", _of_training(first)),
        ("test users", _of_test(first)),
    ):
        # The vectors that score cold users, for training users too, [n, width] each.
        made = {name: run.model.cold_vectors(users) for name, run in group.items()}
        *places, of_truth = placed([*made.values(), truth])
        panel = Panel(title, "", "", bare=True)
        shown = [("target users", of_truth, colour_of(OF_TARGET), "triangle-up")]
        for (name, vectors), place in zip(made.items(), places, strict=True):
            distance = (vectors - truth).norm(dim=1).mean().item()
            shown.append((f"{name}, {distance:.3f}", place, colour_of(numbers[name]), "circle"))
        for name, points, colour, symbol in shown:
            x, y = zip(*points, strict=True)
            panel.series.append(
                PlotSeries(
                    name,
                    x,
                    y,
                    kind="points",
                    colour=colour,
                    symbol=symbol,
                    texts=[name] * len(x),
                    faint=True,
                )
            )
        panels.append(panel)
    note = (
        f"At most {USERS:,} users: the vectors that score them, from the source alone, and their target "
        "vectors; the number is the mean distance between the two. A test user's target vector is folded in "
        "from the hidden ratings, with the target's items as they are. t-SNE of all vectors of a panel "
        "together: it shows neighbours, not distances. The first seed of each method."
    )
    title = f"Transferred and target users by method{suffix} (DiffCDR, Figure 4 a and b)"
    return Figure(f"transferred by method{suffix}", title, panels, note)


def _of_training(run: Any) -> tuple[Tensor, Tensor]:
    """Return at most USERS training users, ascending, and their target vectors."""
    model = run.model
    users = model.drawn_users(USERS)
    return users, model.target_vectors(users)


def _of_test(run: Any) -> tuple[Tensor, Tensor]:
    """Return at most USERS test users, ascending, and the vectors that their hidden ratings give."""
    rows = ratings_of(run.parts["test"])
    device = run.model.target.users.device
    users = torch.unique(rows.users)[:USERS]
    return users.to(device), run.model.target.fold_in(histories_by_user(rows, users, device))


def histories_by_user(ratings: Ratings, users: Tensor, device: torch.device) -> FoldInHistories:
    """Return the ratings of some users, ascending, as histories in their order."""
    kept = torch.isin(ratings.users, users).nonzero().squeeze(1)
    # By user, then item, as one number for each.
    most = int(ratings.items.max()) + 1
    kept = kept[torch.argsort(ratings.users[kept] * most + ratings.items[kept], stable=True)]
    rows = torch.searchsorted(users, ratings.users[kept])
    counts = torch.bincount(rows, minlength=len(users))
    return FoldInHistories(
        ratings.items[kept].to(device),
        (counts.cumsum(0) - counts).to(device),
        rows.to(device),
        ratings.ratings[kept].to(device),
    )
