"""Energy and entropy of a model's scores, by blocks of users (TV-Diff, section 3.1, Eq. 4 to 8)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR


@dataclass(frozen=True)
class Thermodynamics:
    """Sums over users; divide by ``users`` to compare data sets.

    Attributes:
        energy: U of Eq. 7, at most users x items.
        entropy: S of Eq. 8, in nats.
        users: number of users with a training interaction; the others are left out.
    """

    energy: float
    entropy: float
    users: int


def row_probabilities(scores: Tensor, how: str) -> Tensor:
    """Return reconstructed interaction probabilities (Eq. 5).

    Args:
        scores: raw reconstructions, [batch, n].
        how: ``l1`` divides by the row's L1 norm (diffusion models), ``softmax`` is for inner products of
            embeddings (BPR, LightGCN).

    Raises:
        ValueError: another ``how``.
    """
    if how == "l1":
        # r_ui / sum_j |r_uj|, [batch, n]
        return scores / scores.abs().sum(1, keepdim=True).clamp_min(torch.finfo(scores.dtype).tiny)
    if how == "softmax":
        return torch.softmax(scores, dim=1)
    raise ValueError(f"how is {how!r}; it takes 'l1' or 'softmax'")


def row_energy(reconstructed: Tensor, original: Tensor) -> Tensor:
    """Return U of Eq. 7 for each row.

    A cell counts 1 if it reaches the original probability, else the fraction of it that it reaches.

    The paper's Eq. 7 compares with r_ui in the first indicator and with its normalised form elsewhere; the
    normalised form is meant (Eq. 6). An item without interaction has probability 0: it counts 1 if its
    reconstruction is not negative, else 0.

    Args:
        reconstructed: [batch, n].
        original: D_U^-1 R, [batch, n].
    """
    # The fraction that a cell reaches of its original probability, [batch, n].
    share = torch.where(
        original > 0, reconstructed / original.clamp_min(torch.finfo(original.dtype).tiny), 0.0
    )
    return torch.where(reconstructed >= original, 1.0, share).sum(1)


def row_entropy(reconstructed: Tensor) -> Tensor:
    """Return S of Eq. 8 for each row, with the absolute values of negative reconstructions."""
    # -x log x of each cell, 0 at 0, summed by row.
    return torch.special.entr(reconstructed.abs()).sum(1)


@torch.no_grad()
def by_user(
    score: Callable[[Tensor], Tensor],
    positives: InteractionCSR,
    users: Tensor,
    *,
    how: str = "l1",
    block: int = 256,
) -> tuple[Tensor, Tensor]:
    """Return energy and entropy of a model's scores for each of some users, float64 [users] each.

    Memory grows with ``block`` x items, not with users x items.

    Args:
        score: user ids [batch] -> scores [batch, n_items], the padding item in column 0.
        positives: the training interactions.
        users: ids of users with a training interaction, long [users].
        how: see :func:`row_probabilities`.
        block: users scored together.
    """
    energy, entropy = [], []
    for ids in users.split(block):
        # Without the padding item: column i is item i + 1.
        probabilities = row_probabilities(score(ids)[:, 1:].double(), how)
        items, _, rows = positives.gather(ids)
        original = torch.zeros_like(probabilities)
        # 1 / |N(u)| at the user's items, D_U^-1 R.
        original[rows, items - 1] = 1 / positives.counts(ids)[rows].double()
        energy.append(row_energy(probabilities, original))
        entropy.append(row_entropy(probabilities))
    return torch.cat(energy), torch.cat(entropy)


def thermodynamics(
    score: Callable[[Tensor], Tensor], positives: InteractionCSR, *, how: str = "l1", block: int = 256
) -> Thermodynamics:
    """Return energy and entropy of a model over all users with training interactions; see :func:`by_user`."""
    users = torch.nonzero(positives.offsets.diff() > 0).squeeze(1)
    energy, entropy = by_user(score, positives, users, how=how, block=block)
    return Thermodynamics(float(energy.sum()), float(entropy.sum()), len(users))


@torch.no_grad()
def original_thermodynamics(positives: InteractionCSR) -> Thermodynamics:
    """Return energy and entropy of the interactions themselves, D_U^-1 R.

    Every cell reaches itself, and each row is uniform.
    """
    # Users with interactions: U counts all of a user's cells, S is log |N(u)|.
    counts = positives.offsets.diff()
    counts = counts[counts > 0].double()
    return Thermodynamics(
        float(len(counts) * (positives.n_items - 1)), float(counts.log().sum()), len(counts)
    )
