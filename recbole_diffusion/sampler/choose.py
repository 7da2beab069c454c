"""Negative samplers by name, one negative per pair: those CNSDiff and CCDRec are compared with."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.sampler.hard import ahns, dns
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.mixgcf import mixgcf
from recbole_diffusion.sampler.popularity import popularity_negatives
from recbole_diffusion.sampler.realhns import real_hard
from recbole_diffusion.sampler.uniform import uniform_negatives

SAMPLERS = ("uniform", "popularity", "dns", "mixgcf", "ahns", "realhns")


class ScoredVectors(NamedTuple):
    """The vectors by which hard negatives are chosen.

    Attributes:
        users: of the batch, [batch, d], without gradient.
        items: all of them, [n_items, d], without gradient.
        layers: the encoder's item tables, each [n_items, d], with gradient: ``mixgcf`` mixes them.
    """

    users: Tensor
    items: Tensor
    layers: Sequence[Tensor]


def choose_negatives(
    name: str,
    positives: InteractionCSR,
    users: Tensor,
    items: Tensor,
    vectors: Callable[[], ScoredVectors],
    *,
    candidate_items: int,
    hardest: int = 1,
    cumulative: Tensor | None = None,
    hardness: Mapping[str, float] | None = None,
    false_ratio: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """Choose one negative for each row, by torch's global random stream.

    Args:
        name: one of SAMPLERS. ``uniform`` and ``popularity`` draw an item; the others choose from a pool of
            uniform candidates: ``dns`` by inner product with the user, ``ahns`` by cosine, ``realhns`` by
            inner product without those most like the positive, and ``mixgcf`` makes a vector of candidates
            and positive.
        positives: the training positives, never drawn.
        users: long [batch].
        items: the positive items, long [batch].
        vectors: called where the choice needs vectors.
        candidate_items: N, size of a pool.
        hardest: M of ``dns`` and ``realhns``, of N.
        cumulative: of ``popularity``, from :func:`popularity_table`.
        hardness: alpha, beta and p of ``ahns``.
        false_ratio: of ``realhns``, share of the M that are dropped as false negatives.

    Returns:
        Item ids, long [batch], and vectors [batch, d] in place of the items' own: those of ``mixgcf``, else
        None.

    Raises:
        ValueError: an unknown sampler, or a user without a negative.
    """
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    if name == "uniform":
        return uniform_negatives(positives, users), None
    if name == "popularity":
        if cumulative is None:
            raise ValueError("popularity needs cumulative, from popularity_table")
        return popularity_negatives(positives, users, cumulative), None
    pool = uniform_negatives(positives, users.repeat_interleave(candidate_items)).view(
        len(users), -1
    )  # [batch, N]
    # Asked for here, since uniform and popularity need none.
    found = vectors()
    if name == "mixgcf":
        # The negative is a vector; an id goes with it for losses that read ids, such as a penalty.
        return pool[:, 0], mixgcf(found.users, found.layers, items, pool, share_coefficients=True)
    # At length 1 for those that compare by cosine.
    unit_items = F.normalize(found.items, dim=1) if name in ("ahns", "realhns") else found.items
    if name == "ahns":
        unit_users = F.normalize(found.users, dim=1)
        # The user's cosine with the candidates, [batch, N], and with the positive, [batch].
        place = ahns(
            _scores(unit_users, unit_items, pool), (unit_users * unit_items[items]).sum(1), **(hardness or {})
        )
    elif name == "dns":
        place = dns(_scores(found.users, found.items, pool), hardest)
    else:
        # The candidates' cosine with the positive, [batch, N]: the largest are taken as false negatives.
        similarities = _scores(unit_items[items], unit_items, pool)
        place = real_hard(_scores(found.users, found.items, pool), similarities, hardest, false_ratio)
    # The id at the place chosen, long [batch].
    return pool.gather(1, place[:, None]).squeeze(1), None


def _scores(rows: Tensor, items: Tensor, pool: Tensor) -> Tensor:
    """Return the inner products of each row [batch, d] with its candidates [batch, N], [batch, N]."""
    return torch.einsum("bd,bnd->bn", rows, items[pool])
