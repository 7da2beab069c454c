"""Synthetic hard negatives from the layers of a graph encoder: MixGCF, Huang et al., KDD 2021.

In each layer l the candidates are moved towards the positive (positive mixing),

    e'_l = a_l e_positive,l + (1 - a_l) e_candidate,l        with a_l from U(0, 1),

the one whose e'_l has the largest inner product with the user's vector is taken (hop mixing), and the layers'
winners, which may come from different candidates, are pooled as LightGCN pools its layers, by their mean.

The choice needs no mixed vector: u.e'_l = a_l u.e_positive,l + (1 - a_l) u.e_candidate,l. So only one layer's
candidates [batch, N, d] are held at a time, without gradient, and the two rows of each winner are gathered
again with gradient.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def mixgcf(
    user_vectors: Tensor,
    layers: Sequence[Tensor],
    positives_ids: Tensor,
    candidate_ids: Tensor,
    *,
    share_coefficients: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return a synthetic negative for each row, with gradient to the positive's and the winners' rows.

    Args:
        user_vectors: [batch, d], the users' pooled vectors; they take part in the choice only and get no
            gradient.
        layers: the item tables of layers 0 to L, each [n_items, d]; a single one for matrix factorisation.
        positives_ids: long [batch].
        candidate_ids: long [batch, N], no positives of their users.
        share_coefficients: one a_l for all candidates of a row, as in the authors' code, instead of one for
            each candidate. Shared, a_l is uniform for the winner too and the choice is that of the largest
            u.e_candidate,l. With one for each, a positive that scores above the candidates favours a winner
            of large a_l: a harder negative.
        generator: source of randomness; torch's global one if None.

    Returns:
        [batch, d].

    Raises:
        ValueError: there is no layer or no candidate, or the shapes do not fit.
    """
    _require_shapes(user_vectors, layers, positives_ids, candidate_ids)
    # a_l of this layer, [batch, N]; a shared one is drawn once for the row.
    coefficients_shape = (len(candidate_ids), 1 if share_coefficients else candidate_ids.shape[1])
    pooled = torch.zeros_like(user_vectors)
    for table in layers:
        coefficients = torch.rand(
            coefficients_shape, generator=generator, dtype=user_vectors.dtype, device=user_vectors.device
        ).expand(candidate_ids.shape)
        winners = _hardest(user_vectors, table, positives_ids, candidate_ids, coefficients)
        winners = winners[:, None]  # [batch, 1]
        share = coefficients.gather(1, winners)  # [batch, 1]
        # Each layer has its own winner, long [batch].
        chosen = candidate_ids.gather(1, winners).squeeze(1)
        # e'_l of the winner, [batch, d], with gradient to both rows.
        pooled = pooled + share * F.embedding(positives_ids, table) + (1 - share) * F.embedding(chosen, table)
    # Pooled as LightGCN pools its layers, by their mean.
    return pooled / len(layers)


@torch.no_grad()
def _hardest(
    user_vectors: Tensor, table: Tensor, positives_ids: Tensor, candidate_ids: Tensor, coefficients: Tensor
) -> Tensor:
    """Return the positions of the candidates whose mixed vectors score highest in one layer, long [batch]."""
    # u.e_positive, [batch, 1], and u.e_candidate, [batch, N], of this layer.
    positive_scores = (user_vectors * table[positives_ids]).sum(1)[:, None]  # [batch, 1]
    candidate_scores = torch.einsum("bd,bnd->bn", user_vectors, table[candidate_ids])
    # u.e'_l = a_l u.e_positive + (1 - a_l) u.e_candidate
    # Of one type: autocast makes a product of 16 bits beside a sum of 32.
    candidate_scores, coefficients = candidate_scores.to(positive_scores), coefficients.to(positive_scores)
    mixed = torch.lerp(candidate_scores, positive_scores.expand_as(candidate_scores), coefficients)
    return mixed.argmax(1)  # [batch, N] -> [batch]


def _require_shapes(
    user_vectors: Tensor, layers: Sequence[Tensor], positives_ids: Tensor, candidate_ids: Tensor
) -> None:
    """Raise ValueError unless the arguments of :func:`mixgcf` fit each other."""
    if len(layers) == 0:
        raise ValueError("layers is empty; it takes one item table a layer, layer 0 first")
    if candidate_ids.ndim != 2 or candidate_ids.shape[1] < 1:
        raise ValueError(
            f"candidate_ids has shape {tuple(candidate_ids.shape)}; it takes [batch, N] with N at least 1"
        )
    batch = len(candidate_ids)
    if positives_ids.shape != (batch,):
        raise ValueError(
            f"positives_ids has shape {tuple(positives_ids.shape)}; candidate_ids has {batch} rows"
        )
    if user_vectors.ndim != 2 or len(user_vectors) != batch:
        raise ValueError(f"user_vectors has shape {tuple(user_vectors.shape)}; it takes [{batch}, d]")
    wrong = [
        tuple(table.shape)
        for table in layers
        if table.ndim != 2 or table.shape != (len(layers[0]), user_vectors.shape[1])
    ]
    if wrong:
        raise ValueError(
            f"layers holds a table of shape {wrong[0]}; all take [n_items, {user_vectors.shape[1]}]"
        )
