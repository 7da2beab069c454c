"""Energy and entropy of scores by user (TV-Diff, Figure 2), and their difference to the data's (Figure 3)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation.thermodynamics import by_user
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

MOST_CELLS = 1e8  # users x items that are scored; with more, only every n-th user is
BINS = 40
# Scores that are inner products of embeddings (Eq. 5); those of the other models are reconstructions.
SOFTMAX = ("BPR", "LightGCN")
OF_THE_INTERACTIONS = "#9aa1ab"


def energy_and_entropy(loaded: Mapping[str, Any], numbers: Mapping[str, int]) -> Figure:
    """Return energy and entropy over users, and how far each model is from the interactions.

    Args:
        loaded: loaded runs by method.
        numbers: of the methods on the page, for their colours.

    Raises:
        RunError: a score is not a finite number.
    """
    energies = Panel("energy of a user (Figure 2)", "energy U, Eq. 7", "share of users")
    entropies = Panel("entropy of a user (Figure 2)", "entropy S, Eq. 8 (nats)", "share of users")
    away = Panel("difference to the interactions, a user (Figure 3)", "energy: U' - U", "entropy: S' - S")
    columns: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    n_users = n_all = 0
    for name, run in loaded.items():
        (energy, entropy), original, n_all = _measured(run)
        n_users = len(energy)
        columns.setdefault("interactions", original)
        columns[name] = energy, entropy
    for panel, column in ((energies, 0), (entropies, 1)):
        values = {name: pair[column] for name, pair in columns.items()}
        edges = np.histogram_bin_edges(np.concatenate(list(values.values())), BINS)
        for name, of_users in values.items():
            if column == 0 and name not in numbers:
                continue  # the energy of interactions is the number of items, for every user
            shares = np.histogram(of_users, edges)[0] / len(of_users)
            colour = _colour(name, numbers)
            panel.series.append(
                PlotSeries(name, edges.tolist(), shares.tolist(), kind="steps", colour=colour)
            )
    energy_of, entropy_of = columns["interactions"]
    for name, (energy, entropy) in columns.items():
        x, y = float((energy - energy_of).mean()), float((entropy - entropy_of).mean())
        text = f"{name}<br>energy {x:+.1f}<br>entropy {y:+.3f}"
        away.series.append(
            PlotSeries(name, [x], [y], kind="points", colour=_colour(name, numbers), texts=[text])
        )
    note = (
        f"Scores of {n_users:,} of {n_all:,} users, normalised by their L1 norm, or by softmax for inner "
        f"products of embeddings ({', '.join(SOFTMAX)}; Eq. 5). The interactions have energy "
        f"{energy_of[0]:,.0f} and entropy log |N(u)|. The first seed of each method. By the paper, the "
        "difference in energy should be near 0, and that in entropy low."
    )
    return Figure(
        "energy and entropy",
        "Energy and entropy (TV-Diff, Figures 2 and 3)",
        [energies, entropies, away],
        note,
    )


def _colour(name: str, numbers: Mapping[str, int]) -> str:
    return colour_of(numbers[name]) if name in numbers else OF_THE_INTERACTIONS


def _measured(run: Any) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], int]:
    """Return energy and entropy by user, of the model and of the interactions, and the number of users."""
    matrix = binary_interactions(run.parts["train"])
    n_items = matrix.shape[1]
    device = next(run.model.parameters()).device
    positives = InteractionCSR.from_scipy(matrix).to(device)
    known = torch.nonzero(positives.offsets.diff() > 0).squeeze(1)
    users = known[:: max(1, -(-len(known) * n_items // int(MOST_CELLS)))]
    how = "softmax" if run.config["model"] in SOFTMAX else "l1"

    def score(ids: torch.Tensor) -> torch.Tensor:
        # RecBole's DiffRec and others give one flat row for all users.
        return run.model.full_sort_predict({run.model.USER_ID: ids}).detach().view(len(ids), -1)

    energy, entropy = (column.cpu().numpy() for column in by_user(score, positives, users, how=how))
    if not (np.isfinite(energy).all() and np.isfinite(entropy).all()):
        raise RunError(f"scores of {run.folder.path} are not finite numbers; the model has diverged")
    counts = positives.counts(users).cpu().numpy()
    return (energy, entropy), (np.full(len(users), n_items - 1.0), np.log(counts)), len(known)
