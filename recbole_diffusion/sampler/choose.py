"""Negative samplers by name, one negative per pair, for any pairwise model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.sampler.hard import ahns, best_share, dns, in_proportion
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.mixgcf import mixgcf
from recbole_diffusion.sampler.popularity import popularity_negatives, popularity_table
from recbole_diffusion.sampler.realhns import (
    SCALE,
    likeness_limit,
    mean_likeness,
    real_hard,
    real_hard_window,
)
from recbole_diffusion.sampler.uniform import uniform_negatives

SAMPLERS = ("uniform", "popularity", "dns", "ahns", "ar", "sl", "realhns", "mixgcf")


class ScoredVectors(NamedTuple):
    """The vectors by which hard negatives are chosen.

    Attributes:
        users: of the batch, [batch, d], without gradient.
        items: all of them, [n_items, d], without gradient.
        layers: the encoder's item tables, each [n_items, d], with gradient: ``mixgcf`` mixes them.
    """

    users: Tensor
    items: Tensor
    layers: Sequence[Tensor] = ()


class RealHNSLimit(NamedTuple):
    """What RealHNS as published needs besides vectors; see ``sampler/realhns.py``.

    Attributes:
        limit: theta of the epoch, None while all negatives are uniform.
        window: ranks of the pool that are kept, as shares of it.
    """

    limit: float | None
    window: tuple[float, float]


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
    threshold: RealHNSLimit | None = None,
    share: float = 1.0,
    power: float = 1.0,
    exclude_positives: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Choose one negative for each row, by torch's global random stream.

    Args:
        name: one of SAMPLERS. ``uniform`` and ``popularity`` draw an item, ``ar`` and ``sl`` one of the whole
            catalogue by the user's scores; the others choose from a pool of uniform candidates: ``dns`` by
            inner product with the user, ``ahns`` by cosine, ``realhns`` by either, without those most like
            the positive, and ``mixgcf`` makes a vector of candidates and positive.
        positives: the training positives, never drawn.
        users: long [batch].
        items: the positive items, long [batch].
        vectors: called where the choice needs vectors.
        candidate_items: N, size of a pool.
        hardest: M of ``dns`` and ``realhns``, of N.
        cumulative: of ``popularity``, from :func:`popularity_table`.
        hardness: alpha, beta and p of ``ahns``.
        false_ratio: of ``realhns``, share of the M that are dropped as false negatives.
        threshold: of ``realhns`` as published, in place of ``hardest`` and ``false_ratio``.
        share: of ``ar``, ratio of the items that are a user's best.
        power: of ``sl``, of the positive scores.
        exclude_positives: of ``sl``.

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
    if threshold is not None and threshold.limit is None:
        return uniform_negatives(positives, users), None
    if name in ("ar", "sl"):
        found = vectors()
        rows = positives, users, found.users, found.items
        if name == "ar":
            return best_share(*rows, share), None
        return in_proportion(*rows, power, exclude_positives=exclude_positives), None
    many = users.repeat_interleave(candidate_items)
    pool = uniform_negatives(positives, many).view(len(users), -1)  # [batch, N]
    # Asked for here, since uniform and popularity need none.
    found = vectors()
    if name == "mixgcf":
        # The negative is a vector; an id goes with it for losses that read ids, such as a penalty.
        return pool[:, 0], mixgcf(found.users, found.layers, items, pool, share_coefficients=True)
    if name == "dns":
        return at(pool, dns(_scores(found.users, found.items, pool), hardest)), None
    # At length 1, for those that compare by cosine.
    unit_users, unit_items = F.normalize(found.users, dim=1), F.normalize(found.items, dim=1)
    if name == "ahns":
        # The user's cosine with the candidates, [batch, N], and with the positive, [batch].
        wanted = (unit_users * unit_items[items]).sum(1)
        return at(pool, ahns(_scores(unit_users, unit_items, pool), wanted, **(hardness or {}))), None
    # The candidates' cosine with the positive, [batch, N]: the largest are taken as false negatives.
    likeness = _scores(unit_items[items], unit_items, pool)
    if threshold is None:
        scores = _scores(found.users, found.items, pool)
        return at(pool, real_hard(scores, likeness, hardest, false_ratio)), None
    limit = float(threshold.limit or 0.0)
    place, left = real_hard_window(
        _scores(unit_users, unit_items, pool), SCALE * likeness, limit, threshold.window
    )
    # A candidate of the pool, which is uniform, where the filter leaves nothing.
    return torch.where(left, at(pool, place), pool[:, 0]), None


def at(pool: Tensor, place: Tensor) -> Tensor:
    """Return the ids at places of a pool, long [batch, N] and [batch] -> [batch]."""
    return pool.gather(1, place[:, None]).squeeze(1)


def _scores(rows: Tensor, items: Tensor, pool: Tensor) -> Tensor:
    """Return the inner products of each row [batch, d] with its candidates [batch, N], [batch, N]."""
    return torch.einsum("bd,bnd->bn", rows, items[pool])


class NegativeChoice(nn.Module):
    """A sampler by name with what it keeps between batches; it moves with the model, and has no weights.

    Args:
        positives: the training positives.
        counts: interactions of each item, [n_items], row 0 the padding item.
        options: a ``NegativeOptions``; its ``negative_sampler`` is the name.
    """

    cumulative: Tensor | None

    def __init__(self, positives: InteractionCSR, counts: Tensor, options: Any) -> None:
        super().__init__()
        self.positives, self.options, self.name = positives, options, options.negative_sampler
        by_count = popularity_table(counts, options.popularity_power) if self.name == "popularity" else None
        self.register_buffer("cumulative", by_count, persistent=False)
        self._limit: float | None = None  # of RealHNS as published

    def begin_epoch(self, epoch: int, items: Callable[[], Tensor]) -> None:
        """Prepare an epoch, counted from 0; ``items`` gives the item vectors, [n_items, d]."""
        if not self.options.by_threshold:
            return
        number, warm = epoch + 1, self.options.warm_epochs
        self._limit = likeness_limit(number, warm, mean_likeness(items())) if number > warm else None

    def by_scores(self, users: Tensor, scores: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return negatives of ``dns`` for a model that has no vectors, long [batch].

        Args:
            users: long [batch].
            scores: gives the scores of pairs of users and items, long [pairs] each -> [pairs].
        """
        o = self.options
        many = users.repeat_interleave(o.candidate_items)
        pool = uniform_negatives(self.positives, many)
        return at(pool.view(len(users), -1), dns(scores(many, pool).view(len(users), -1), o.hardest))

    def forward(
        self, users: Tensor, items: Tensor, vectors: Callable[[], ScoredVectors]
    ) -> tuple[Tensor, Tensor | None]:
        """Return negatives of a batch, as :func:`choose_negatives` does; its arguments are those there."""
        o = self.options
        threshold = RealHNSLimit(self._limit, (o.window_low, o.window_high)) if o.by_threshold else None
        return choose_negatives(
            self.name,
            self.positives,
            users,
            items,
            vectors,
            candidate_items=o.candidate_items,
            hardest=o.hardest,
            cumulative=self.cumulative,
            hardness={"alpha": o.ahns_alpha, "beta": o.ahns_beta, "p": o.ahns_p},
            false_ratio=o.false_ratio,
            threshold=threshold,
            share=o.ar_share,
            power=o.sl_power,
            exclude_positives=not o.sl_positives,
        )
