"""SSCDR: the mapping also learns from source users and items that have no counterpart, by their distances.

Paper: Kang, Hwang, Lee, Yu, "Semi-Supervised Learning for Cross-Domain Recommendation to Cold-Start Users",
CIKM 2019.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.cross_domain.source_history import history_of, liked, means_over_pairs
from recbole_diffusion.model.stage import UpdateStep
from recbole_diffusion.sampler.uniform import uniform_negatives


class SSCDR(MappingRecommender):
    """A perceptron maps source users, each represented by its neighbourhood, to target users.

    Supervised loss: the distance of a shared user's mapped vector to the target vector. Unsupervised loss,
    for all users and items of the source: a mapped user is to be nearer to a mapped item that the user likes
    than to another.

    Differences from the paper:

    - The latent factors are those of ``matrix_factorization.py``, as for every mapping model here, not the
      paper's metric learning; distances are taken in the unit ball, as there. With ``bias`` an item is the
      point [v, b_i], a user [u, b_u].
    - Neighbours are gathered before the mapping in training too, so that training and scoring see the same
      vectors.
    - A batch of the unsupervised loss has as many liked source pairs as the batch has users.
    """

    neighbourhood: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, width = self.options, self.width
        self.mapping = nn.Sequential(
            nn.Linear(width, o.mapping_size), nn.Tanh(), nn.Linear(o.mapping_size, width)
        )
        self.history = history_of(self.source_ratings, self.source_shape, o.history_floor)
        # All pairs of a source user and a liked item, of users for whom there is another item to draw.
        counts = self.history.counts(torch.arange(self.source_shape.n_users))
        has_negative = counts < self.source_shape.n_items - 1
        owners = torch.repeat_interleave(torch.arange(len(counts)), counts)
        pairs = torch.stack([owners, self.history.items], 1)
        self.register_buffer("pairs", pairs[has_negative[owners]], persistent=False)
        # Gathered vectors of the source users; persistent, since they belong to the weights.
        self.register_buffer("neighbourhood", torch.zeros(self.source_shape.n_users, width))

    @torch.no_grad()
    def begin_transfer(self) -> None:
        """Gather the neighbourhoods from the final factors."""
        self.neighbourhood.copy_(self._gathered()[0])

    def _gathered(self) -> tuple[Tensor, list[Tensor]]:
        """Return the gathered vectors of source users, and the vectors of source items before each hop.

        In each hop a vector becomes the mean of itself and the mean of its neighbours'.
        """
        before = []
        users = self.source.user_vectors()
        items = self.source.item_points(torch.arange(self.source_shape.n_items, device=users.device))
        everyone = torch.arange(len(users), device=users.device)
        owners = torch.repeat_interleave(everyone, self.history.counts(everyone))  # of liked items, [pairs]
        for _ in range(self.options.hops):
            before.append(items)
            # Both sides at once, from the vectors before this hop: [users, width] and [items, width].
            users, items = (
                means_over_pairs(users, items, owners, self.history.items),
                means_over_pairs(items, users, self.history.items, owners),
            )
        return users, before

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the one update of the mapping."""
        return (
            UpdateStep(self.mapping_loss, list(self.mapping.parameters()), self.general["learning_rate"]),
        )

    def mapping_loss(self, users: Tensor) -> Tensor:
        """Return the supervised loss and lambda times the unsupervised one, a scalar."""
        # |f(u^s) - u^t|^2 over the coordinates, a mean over users.
        supervised = (self.transfer(users) - self.target_vectors(users)).square().sum(1).mean()
        if not self.options.unsupervised_weight or not len(self.pairs):
            return supervised
        # As many pairs (user, liked item) as the batch has users, [batch, 2].
        drawn = self.pairs[torch.randint(len(self.pairs), (len(users),), device=users.device)]
        # For each pair an item that its user has not liked, long [batch].
        negatives = uniform_negatives(self.history, drawn[:, 0])
        return supervised + self.options.unsupervised_weight * self.distance_loss(
            drawn[:, 0], drawn[:, 1], negatives
        )

    def distance_loss(self, source_users: Tensor, liked: Tensor, others: Tensor) -> Tensor:
        """Return the mean of max(0, margin + |f(u) - f(liked)|^2 - |f(u) - f(other)|^2), a scalar.

        Args:
            source_users: source ids, long [batch].
            liked: source item ids, long [batch].
            others: source item ids that the users have not liked, long [batch].
        """
        # Gathered users, and items as points among users; all go through the mapping.
        points = (self.neighbourhood[source_users], self.source_items(liked), self.source_items(others))
        user, near, far = (into_ball(self.mapping(some)) for some in points)  # [batch, width] each
        # Hinge of a triplet: the liked item is to be nearer by the margin.
        gap = (user - near).square().sum(1) - (user - far).square().sum(1)
        return F.relu(self.options.margin + gap).mean()

    def transfer(self, users: Tensor) -> Tensor:
        """Return the mapped neighbourhoods, [batch, width]."""
        return self.mapping(self.neighbourhood[self.source_of[users]])

    def _forget(self) -> None:
        super()._forget()
        self._before_hops: list[Tensor] | None = None

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the mapped neighbourhoods of users by source vectors and liked items, [batch, width]."""
        if self._before_hops is None:
            self._before_hops = self._gathered()[1]
        items, rows = liked(histories, self.options.history_floor)
        # A hop of training read the items as they were before it, so each has its own table here.
        for points in self._before_hops:
            vectors = means_over_pairs(vectors, points, rows, items)
        return self.mapping(vectors)


def into_ball(points: Tensor) -> Tensor:
    """Return the points with those outside the unit ball projected onto its surface, [n, width]."""
    # Divided by the length where that is above 1.
    return points / points.norm(dim=1, keepdim=True).clamp(min=1.0)
