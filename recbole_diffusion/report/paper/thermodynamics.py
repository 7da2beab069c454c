"""Energy and entropy of scores by user (TV-Diff, Figure 2), and their difference to the data's (Figure 3).

Two readings of ``evaluation/thermodynamics.py``: the equations', and that of the authors' script, beside its
numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.errors import RunError
from recbole_diffusion.evaluation.thermodynamics import READINGS, by_reading, original_by_user
from recbole_diffusion.report.figure import Figure, Panel, PlotSeries, colour_of
from recbole_diffusion.report.paper.tvdiff import OF_THE_PAPER, published
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

MOST_CELLS = 1e8  # users x items that are scored; with more, only every n-th user is
BINS = 40
# Scores that are inner products of embeddings (Eq. 5); those of the other models are reconstructions.
SOFTMAX = ("BPR", "LightGCN")
OF_THE_INTERACTIONS = "#9aa1ab"


@dataclass(frozen=True)
class OfUsers:
    """What one model has, by user.

    Attributes:
        energy: of the model, float64 [users].
        entropy: of the model, float64 [users].
        original_energy: of the interactions.
        original_entropy: of the interactions.
        n_all: number of users with an interaction, of whom these are all or every n-th.
    """

    energy: np.ndarray
    entropy: np.ndarray
    original_energy: np.ndarray
    original_entropy: np.ndarray
    n_all: int

    def away(self) -> tuple[float, float]:
        """Return the mean differences to the interactions, of energy and of entropy."""
        energy, entropy = self.energy - self.original_energy, self.entropy - self.original_entropy
        return float(energy.mean()), float(entropy.mean())


def energy_and_entropy(loaded: Mapping[str, Any], numbers: Mapping[str, int]) -> list[Figure]:
    """Return energy and entropy over users, and how far each model is from the interactions.

    Where the paper has numbers for the data set, a second figure holds the authors' reading against them.

    Args:
        loaded: loaded runs by method.
        numbers: of the methods on the page, for their colours.

    Raises:
        RunError: a score is not a finite number.
    """
    paper = published()[3].get(next(iter(loaded.values())).config["dataset"], {})
    readings = READINGS[:2] if paper else READINGS[:1]
    found = {name: measured(run, readings) for name, run in loaded.items()}
    figures = [_by_equations({name: of["equations"] for name, of in found.items()}, numbers)]
    if paper:
        figures.append(_as_released({name: of["released"] for name, of in found.items()}, numbers, paper))
    return figures


def _by_equations(found: Mapping[str, OfUsers], numbers: Mapping[str, int]) -> Figure:
    energies = Panel("energy of a user (Figure 2)", "energy U, Eq. 7", "share of users")
    entropies = Panel("entropy of a user (Figure 2)", "entropy S, Eq. 8 (nats)", "share of users")
    away = Panel("difference to the interactions, a user (Figure 3)", "energy: U' - U", "entropy: S' - S")
    one = next(iter(found.values()))
    columns = {"interactions": (one.original_energy, one.original_entropy)}
    columns |= {name: (of.energy, of.entropy) for name, of in found.items()}
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
    away.series.append(_point("interactions", (0.0, 0.0), OF_THE_INTERACTIONS))
    away.series += [_point(name, of.away(), _colour(name, numbers)) for name, of in found.items()]
    note = (
        f"Scores of {len(one.energy):,} of {one.n_all:,} users, normalised by their L1 norm, or by softmax "
        f"for inner products of embeddings ({', '.join(SOFTMAX)}; Eq. 5). The interactions have energy "
        f"{one.original_energy[0]:,.0f} and entropy log |N(u)|. The first seed of each method. By the paper, "
        "the difference in energy should be near 0, and that in entropy low."
    )
    return Figure(
        "energy and entropy",
        "Energy and entropy (TV-Diff, Figures 2 and 3)",
        [energies, entropies, away],
        note,
    )


def _as_released(
    found: Mapping[str, OfUsers], numbers: Mapping[str, int], paper: Mapping[str, Sequence[float]]
) -> Figure:
    """Return the differences as the authors' script has them, and its numbers by model."""
    panel = Panel("", "energy: U' - U", "entropy: S' - S (bits)")
    n_all = next(iter(found.values())).n_all
    for model, totals in paper.items():
        of_user = totals[0] / n_all, totals[1] / n_all
        panel.series.append(_point(f"paper, {model}", of_user, OF_THE_PAPER, symbol="square"))
    panel.series += [_point(name, of.away(), _colour(name, numbers)) for name, of in found.items()]
    note = (
        "Differences to the interactions, a user. Cells that reach 1 / |N(u)| over all items, the squares of "
        "the others; scores clipped at 1e-6, logarithms to base 2: the script behind the authors' figures "
        "(evaluation/thermodynamics.py). The paper's points are its totals over the users of this run; its "
        "diffusion models' are of scores with -1e9 in place of the training items'."
    )
    title = "Energy and entropy as the authors' script has them (TV-Diff, Figure 3)"
    return Figure("energy and entropy as released", title, [panel], note)


def _point(name: str, of_user: tuple[float, float], colour: str, symbol: str = "circle") -> PlotSeries:
    text = f"{name}<br>energy {of_user[0]:+.1f}<br>entropy {of_user[1]:+.3f}"
    return PlotSeries(
        name, [of_user[0]], [of_user[1]], kind="points", colour=colour, symbol=symbol, texts=[text]
    )


def _colour(name: str, numbers: Mapping[str, int]) -> str:
    return colour_of(numbers[name]) if name in numbers else OF_THE_INTERACTIONS


def measured(
    run: Any, readings: Sequence[str] = READINGS, most_cells: float = MOST_CELLS
) -> dict[str, OfUsers]:
    """Return energy and entropy by user, of a loaded run and of its training interactions, by reading.

    Args:
        run: what :func:`~recbole_diffusion.load_run` returns.
        readings: of ``evaluation/thermodynamics.py``.
        most_cells: users x items that are scored; with more, only every n-th user is.

    Raises:
        RunError: a score is not a finite number.
    """
    matrix = binary_interactions(run.parts["train"])
    device = next(run.model.parameters()).device
    positives = InteractionCSR.from_scipy(matrix).to(device)
    known = torch.nonzero(positives.offsets.diff() > 0).squeeze(1)
    users = known[:: max(1, math.ceil(len(known) * matrix.shape[1] / most_cells))]
    how = "softmax" if run.config["model"] in SOFTMAX else "l1"

    def score(ids: torch.Tensor) -> torch.Tensor:
        # RecBole's DiffRec and others give one flat row for all users.
        return run.model.full_sort_predict({run.model.USER_ID: ids}).detach().view(len(ids), -1)

    found = {}
    for reading, of_model in by_reading(score, positives, users, readings, how=how).items():
        energy, entropy = (one.cpu().numpy() for one in of_model)
        if not (np.isfinite(energy).all() and np.isfinite(entropy).all()):
            raise RunError(f"scores of {run.folder.path} are not finite numbers; the model has diverged")
        original = [one.cpu().numpy() for one in original_by_user(positives, users, reading)]
        found[reading] = OfUsers(energy, entropy, original[0], original[1], len(known))
    return found
