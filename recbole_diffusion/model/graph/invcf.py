"""InvCF: preference and popularity as two sets of vectors that are kept apart; preference alone ranks.

Reference:
    Zhang, Zheng, Wang, Yuan, Chua: "Invariant Collaborative Filtering to Popularity Distribution Shift". WWW
    2023.

u, i and n are vectors of preference, u', i' and n' those of popularity: the same propagation from vectors of
classes, one class for each number of interactions. C is InfoNCE on cosines with temperature tau, and pi one
permutation of the batch::

    L = C(u, i, n) + l_1 C(u', i', n')
      + l_3 [ C([u';u], [i';i], [n';n]) + C([u'_pi;u], [i'_pi;i], [n';n]) ]
      + l_2 [ dCor(u, u') + dCor(i, i') ] + penalties
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.encoder import Distinct, LightGCNEncoder
from recbole_diffusion.model.graph.host import EncoderModel, candidate_scores, squared_length
from recbole_diffusion.model.graph.options import InvCFOptions
from recbole_diffusion.model.propagation import mean_of_layers
from recbole_diffusion.sampler.uniform import uniform_negatives

Pair = tuple[Tensor, Tensor]  # of users and of items
CORRELATED = 512  # rows of a batch in the distance correlation, whose cost is their square


class InvCF(EncoderModel):
    """An encoder of preference and one of popularity, trained together.

    Differences from the authors' code, whose default terms do something else:
        * The distance correlation is added, so that it falls; theirs is subtracted, which is right for their
          other distances only. It is of preference with popularity; theirs of blocks of four coordinates,
          with a matrix that is none of distances.
        * Joined negatives are [popularity; preference] as users and positives are, also when sampled.
        * The penalty of the negatives is half the square; theirs is 0.5 to the power of the norm.
        * With in-batch negatives, rows of the same item are none of each other's.
    """

    options: InvCFOptions
    user_class: Tensor
    item_class: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, tables = self.options, {}
        for name, axis in (("user", 1), ("item", 0)):
            # The class of each id is its number of interactions; a power of two of them, which data that have
            # grown a little have too. The padding id has 0.
            counts = torch.from_numpy(self.interactions.getnnz(axis=axis)).long()
            self.register_buffer(f"{name}_class", counts, persistent=False)
            tables[name] = nn.Parameter(torch.empty(2 ** int(counts.max()).bit_length(), o.embedding_size))
        self.popularity = nn.ParameterDict(tables)
        for table in tables.values():
            nn.init.xavier_uniform_(table) if o.init_std is None else nn.init.normal_(table, std=o.init_std)
        weights = {
            "popularity": o.popularity_weight,
            "joined": o.joined_weight,
            "independence": o.independence_weight,
        }
        on = [name for name, weight in weights.items() if weight]
        self.loss_names = ("preference", *on, "penalty")

    def vectors(self) -> Pair:
        """Return preference vectors, [n_users, d] and [n_items, d]; of length 1 with ``cosine_scores``."""
        users, items = self.encoder.vectors()
        if not self.options.cosine_scores:
            return users, items
        return F.normalize(users, dim=1), F.normalize(items, dim=1)

    def popularity_vectors(self, some: Pair) -> Pair:
        """Return popularity vectors of some users and items, long [m] and [n] -> [m, d] and [n, d]."""
        tables = (
            F.embedding(self.user_class, self.popularity["user"]),
            F.embedding(self.item_class, self.popularity["item"]),
        )
        if not isinstance(self.encoder, LightGCNEncoder):
            return F.embedding(some[0], tables[0]), F.embedding(some[1], tables[1])
        return mean_of_layers(self.encoder.graph, self.encoder.n_layers, *tables, some)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the parts that are switched on, in the order of ``loss_names``."""
        o = self.options
        users, items = self.drawn_pairs(interaction)
        negatives = None
        if o.n_negatives is not None:
            many = users.repeat_interleave(o.n_negatives)
            negatives = uniform_negatives(self.positives, many).view(len(users), -1)
        everything = items if negatives is None else torch.cat([items, negatives.flatten()])
        some_users, some_items = Distinct(users), Distinct(everything, self.n_items)
        batch = Batch(some_users.places, some_items.places, len(users))
        ids = some_users.ids, some_items.ids
        of_preference = self.encoder.vectors(ids)
        parts = {"preference": self.contrast(batch, of_preference)}
        if o.popularity_weight or o.joined_weight or o.independence_weight:
            of_popularity = self.popularity_vectors(ids)
        if o.popularity_weight:
            parts["popularity"] = o.popularity_weight * self.contrast(batch, of_popularity)
        if o.joined_weight:
            order = torch.randperm(len(users), device=users.device)
            joined = self.joined(batch, of_preference, of_popularity, order)
            parts["joined"] = o.joined_weight * joined
        if o.independence_weight:
            rows = [batch.rows(*pair, CORRELATED) for pair in (of_preference, of_popularity)]
            correlated = [distance_correlation(*both) for both in zip(*rows, strict=True)]
            parts["independence"] = o.independence_weight * (correlated[0] + correlated[1])
        parts["penalty"] = o.reg_weight * self._penalties(users, everything)
        return tuple(parts.values())

    def joined(self, batch: "Batch", of_preference: Pair, of_popularity: Pair, order: Tensor) -> Tensor:
        """Return C of popularity and preference one after the other, as they are and with others' popularity.

        Args:
            batch: which row of the vectors is whose.
            of_preference: vectors of distinct users and items.
            of_popularity: the same.
            order: pi, long [batch].
        """
        own = tuple(torch.cat(both, 1) for both in zip(of_popularity, of_preference, strict=True))
        # Each row's user and positive with the popularity of another row's, [batch, 2 d].
        rows = [
            torch.cat([exchanged[order], kept], 1)
            for exchanged, kept in zip(batch.rows(*of_popularity), batch.rows(*of_preference), strict=True)
        ]
        return self.contrast(batch, own) + self.contrast(batch, own, rows)

    def contrast(
        self, batch: "Batch", vectors: tuple[Tensor, ...], rows: list[Tensor] | None = None
    ) -> Tensor:
        """Return C, the mean InfoNCE on cosines.

        Args:
            batch: which row of the vectors is whose.
            vectors: of distinct users and items.
            rows: of each pair's user and positive, [batch, d], where they are others than those.
        """
        U, V = (F.normalize(table, dim=1) for table in vectors)
        u, v = batch.rows(U, V) if rows is None else [F.normalize(one, dim=1) for one in rows]
        own = (u * v).sum(1) / self.options.temperature  # [batch]
        if batch.negatives is None:
            others = u @ v.T / self.options.temperature  # [batch, batch]
            return F.cross_entropy(
                others.masked_fill(batch.same_item(), -torch.inf).diagonal_scatter(own), batch.numbers
            )
        others = candidate_scores(u, V, batch.negatives) / self.options.temperature
        scores = torch.cat([own[:, None], others], 1)  # [batch, 1 + N]
        return (scores.logsumexp(1) - own).mean()

    def _penalties(self, users: Tensor, items: Tensor) -> Tensor:
        """Return half the squared free vectors a row of each C, with the weight of C."""
        o, of_preference = self.options, self.counted_penalty(users, items)
        pairs = (
            (self.popularity["user"], self.user_class[users]),
            (self.popularity["item"], self.item_class[items]),
        )
        of_popularity = sum(squared_length(*pair) for pair in pairs) / (2 * len(users))
        joined = 2 * o.joined_weight
        return (1 + joined) * of_preference + (o.popularity_weight + joined) * of_popularity


class Batch:
    """Which distinct user and items each row of a batch has.

    Attributes:
        users: long [batch].
        items: the positives, long [batch].
        negatives: long [batch, N], or None: the positives of other rows.
        numbers: 0, 1, ..., long [batch].
    """

    def __init__(self, users: Tensor, items: Tensor, rows: int) -> None:
        self.users, self.items = users, items[:rows]
        self.negatives = items[rows:].view(rows, -1) if len(items) > rows else None
        self.numbers = torch.arange(rows, device=users.device)

    def rows(self, users: Tensor, items: Tensor, most: int | None = None) -> list[Tensor]:
        """Return the vectors of each row's user and positive, [batch, d], of ``most`` rows at most."""
        return [F.embedding(self.users[:most], users), F.embedding(self.items[:most], items)]

    def same_item(self) -> Tensor:
        """Return whether two rows have the same positive, bool [batch, batch]."""
        return self.items[:, None] == self.items


def distance_correlation(x: Tensor, y: Tensor) -> Tensor:
    """Return dCor of two samples [n, d]: 0 if independent, 1 if equal up to shift and scale."""
    A, B = (_centred_distances(sample) for sample in (x, y))
    variances = (A.square().mean() * B.square().mean()).clamp_min(0)
    if float(variances.detach()) == 0:  # all rows of a sample alike
        return 0 * (A.sum() + B.sum())
    # sqrt(dCov^2(X, Y)) / sqrt(sqrt(dCov^2(X, X)) sqrt(dCov^2(Y, Y)))
    return ((A * B).mean().clamp_min(1e-12) / variances.sqrt()).sqrt()


def _centred_distances(sample: Tensor) -> Tensor:
    """Return the distances of all pairs of rows less the means of row and column, [n, n]."""
    # By differences: exactly 0 for equal rows, where the gradient is 0 too.
    distances = torch.cdist(sample, sample, compute_mode="donot_use_mm_for_euclid_dist")
    return distances - distances.mean(0) - distances.mean(1, keepdim=True) + distances.mean()
