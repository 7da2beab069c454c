"""Energy and entropy of a model's scores, by blocks of users (TV-Diff, section 3.1, Eq. 4 to 8).

There are three readings. ``equations`` is Eq. 5, 7 and 8 to the letter. ``released`` is what the script
behind the authors' Figures 2 and 3 computes (umsimonchen/TV-Diff, ``exp/energy/visual.py``):

* energy: cells that reach 1 / |N(u)| over all items, whether the user has them or not; a cell p below it
  counts p^2 |N(u)|. The interactions have energy |N(u)|.
* entropy: in bits, of scores clipped at 1e-6.

They are not two scales of one quantity: in the first an item without interaction counts 1 as soon as its
score is not negative, in the second it counts next to nothing.

``stored`` is that script on what it reads. For BPR and LightGCN these are embeddings. For diffusion models
they are the scores that the code stores after it has ranked them, in single precision, with -1e9 in place
of every training item's. Divided by their sum, the user's |N(u)| items have 1 / |N(u)| up to rounding, all
others nothing: whether they reach 1 / |N(u)| is decided by rounding and by the sum of the other scores, not
by how the model reconstructs them. The entropy is that of the other items.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recbole_diffusion.sampler.interaction_csr import InteractionCSR

READINGS = ("equations", "released", "stored")
RANKED = -10e8  # what the released code puts in place of a training item's score
CLIP = 1e-6  # of the released script's entropy


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


def released_energy(scores: Tensor, counts: Tensor, how: str) -> Tensor:
    """Return the energy of each row as the released script has it, [batch].

    With ``softmax``, a row of p has #{p >= 1 / |N(u)|} plus the sum of p^2 |N(u)| over its other cells.
    Reconstructions (``l1``) are divided by their plain sum, negative ones included, and then clipped at 0. If
    that leaves a sum above 1, which one negative score does, the row is cut at 1, divided by its sum, and has
    the count alone; other rows have at most |N(u)| for the count, and the squares.

    One thing of the script is left out: for such rows of TV-Diff it counts the cells of DiffRec.

    Args:
        scores: [batch, n].
        counts: |N(u)|, [batch].
        how: as in :func:`row_probabilities`.
    """
    degree = counts[:, None].to(scores.dtype)
    if how == "softmax":
        p = torch.softmax(scores, dim=1)
        return (p >= 1 / degree).sum(1) + _below(p, degree)
    p = (scores / _sums(scores)).clamp_min(0)
    # Sums of rows without a negative score are 1 up to rounding.
    beyond = (_sums(p)[:, 0] > 1 + 1e-9) | (p > 1).any(1)
    cut = p.clamp_max(1)
    cut = cut / _sums(cut)
    plain = torch.minimum((p >= 1 / degree).sum(1), counts) + _below(p, degree)
    return torch.where(beyond, (cut >= 1 / degree).sum(1).to(plain.dtype), plain)


def _sums(rows: Tensor) -> Tensor:
    """Return the sum of each row, [batch, 1], in numpy's order: in single precision rounding decides."""
    return torch.from_numpy(rows.cpu().numpy().sum(1, keepdims=True)).to(rows.device)


def _below(p: Tensor, degree: Tensor) -> Tensor:
    """Return the sum of p^2 |N(u)| over the cells below 1 / |N(u)|, [batch]."""
    return torch.where(p < 1 / degree, p.square() * degree, 0.0).sum(1)


def released_entropy(scores: Tensor, how: str) -> Tensor:
    """Return the entropy of each row as the released script has it, in bits, [batch].

    Reconstructions are clipped at 1e-6 and divided by their sum; a softmax is clipped and not divided again.
    """
    p = torch.softmax(scores, dim=1) if how == "softmax" else scores
    p = p.clamp_min(CLIP)
    if how == "l1":
        p = p / p.sum(1, keepdim=True)
    return -(p * p.log2()).sum(1)


@torch.no_grad()
def by_reading(
    score: Callable[[Tensor], Tensor],
    positives: InteractionCSR,
    users: Tensor,
    readings: Sequence[str] = READINGS,
    *,
    how: str = "l1",
    block: int = 256,
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return energy and entropy of a model's scores for each of some users, by reading, float64 [users] each.

    Memory grows with ``block`` x items, not with users x items.

    Args:
        score: user ids [batch] -> scores [batch, n_items], the padding item in column 0.
        positives: the training interactions.
        users: ids of users with a training interaction, long [users].
        readings: some of READINGS.
        how: see :func:`row_probabilities`.
        block: users scored together.

    Raises:
        ValueError: another ``how`` or reading.
    """
    if unknown := [reading for reading in readings if reading not in READINGS]:
        raise ValueError(f"reading is {unknown[0]!r}; it takes {', '.join(READINGS)}")
    found: dict[str, list[tuple[Tensor, Tensor]]] = {reading: [] for reading in readings}
    for ids in users.split(block):
        # Without the padding item: column i is item i + 1.
        scores = score(ids)[:, 1:].double()
        probabilities = row_probabilities(scores, how)
        items, _, rows = positives.gather(ids)
        if "equations" in found:
            original = torch.zeros_like(probabilities)
            # 1 / |N(u)| at the user's items, D_U^-1 R.
            original[rows, items - 1] = 1 / positives.counts(ids)[rows].double()
            found["equations"].append((row_energy(probabilities, original), row_entropy(probabilities)))
        for reading in [name for name in READINGS[1:] if name in found]:
            if reading == "stored" and how == "l1":
                scores = scores.float()
                scores[rows, items - 1] = RANKED
            energy = released_energy(scores, positives.counts(ids), how)
            found[reading].append((energy.double(), released_entropy(scores, how).double()))
    return {
        reading: (torch.cat([one for one, _ in parts]), torch.cat([one for _, one in parts]))
        for reading, parts in found.items()
    }


def original_by_user(
    positives: InteractionCSR, users: Tensor, reading: str = "equations"
) -> tuple[Tensor, Tensor]:
    """Return energy and entropy of some users' interactions themselves, D_U^-1 R, float64 [users] each.

    Each row is uniform: its entropy is log |N(u)|. By Eq. 7 every cell reaches itself, so that the energy is
    the number of items; in the other readings it is |N(u)|.
    """
    counts = positives.counts(users).double()
    if reading == "equations":
        return torch.full_like(counts, positives.n_items - 1), counts.log()
    return counts, counts.log2()
