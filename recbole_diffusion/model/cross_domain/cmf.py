"""CMF: both domains are factorised together, and a shared user has one vector.

Paper: Singh, Gordon, "Relational Learning via Collective Matrix Factorization", KDD 2008.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.base import ColdStartRecommender
from recbole_diffusion.model.cross_domain.matrix_factorization import (
    MatrixFactorization,
    MatrixShape,
    derived_seed,
)
from recbole_diffusion.model.cross_domain.rating_negatives import NegativePool
from recbole_diffusion.model.cross_domain.source_history import SourceFoldIn, SourceRatings
from recbole_diffusion.model.stage import TrainingStage, UpdateStep


class CMF(SourceFoldIn, ColdStartRecommender):
    """One factorisation of the users and items of both domains.

    A cold user's vector comes from the source ratings.

    Differences from the paper:

    - Squared errors with the identity as link, by mini-batches and Adam; the paper has general losses and
      Newton steps.
    - With ``bias`` each domain has its own mean and each item a bias; a user's bias is common to both
      domains, like the vector.
    - ``task_absolute`` mixes in absolute errors, in both domains.
    - There is one stage, which stops early by the validation users. ``mf_std``, ``mf_reg_weight`` and
      ``mf_bias_reg_weight`` are those of the factorisations; ``learning_rate``, ``train_batch_size`` and
      ``epochs`` are the run's.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        # [target ratings + source ratings], in the order of ``joint``.
        weight_of = torch.ones(len(self.ratings) + len(self.source_trained))  # of each rating's error
        weight_of[len(self.ratings) :] = self.options.source_weight
        # A buffer, which moves with the model and is in no checkpoint; an attribute that moves has changed.
        self.register_buffer("weight_of", weight_of, persistent=False)
        means = [
            own.ratings.double().mean().item() if self.options.bias else 0.0
            for own in (self.ratings, self.source_trained)
        ]
        # One list of ratings, about both domains' users by common id and both domains' items, the target's
        # first; each domain without its own mean.
        users = self.common_ids(dataset.shared)
        self.joint = Ratings(
            torch.cat([self.ratings.users, users[self.source_trained.users]]),
            torch.cat([self.ratings.items, self.n_items + self.source_trained.items]),
            torch.cat([self.ratings.ratings - means[0], self.source_trained.ratings - means[1]]),
        )
        # Users by common id; the source's items follow the target's.
        shape = MatrixShape(int(users.max()) + 1, self.n_items + self.source_shape.n_items)
        self.factors = MatrixFactorization(shape, self.options, 0.0, derived_seed(self.seed, "joint"))
        self.factors.count(self.joint)
        self.register_buffer("target_mean", torch.tensor(means[0]))
        self.source_mean, self.fold_in_weight = means[1], self.options.source_weight

    def common_ids(self, shared: Tensor) -> Tensor:
        """Return each source user's common id, [n_source_users]: a shared user's target id, else a new one.

        Args:
            shared: target and source ids of the shared users, [n, 2].
        """
        ids = torch.zeros(self.source_shape.n_users, dtype=torch.long)
        ids[shared[:, 1]] = shared[:, 0]
        # A user of the source alone gets an id after those of the target.
        alone = (ids == 0).nonzero().squeeze(1)[1:]  # id 0 is the padding in both
        ids[alone] = torch.arange(len(alone)) + self.n_users
        return ids

    def stages(self) -> list[TrainingStage]:
        """Return the one stage."""
        general, parameters = self.general, list(self.factors.parameters())
        return [
            TrainingStage(
                name="joint",
                steps=(UpdateStep(self.joint_loss, parameters, general["learning_rate"]),),
                rows=torch.arange(len(self.joint)),
                batch_size=general["train_batch_size"],
                epochs=general["epochs"],
                stopping_step=general["stopping_step"],
                min_updates=self.options.min_updates,
                patience_in_updates=self.options.patience_in_updates,
            )
        ]

    def joint_loss(self, batch: Tensor) -> Tensor:
        """Return the weighted mean error of ratings of both domains with the penalty, a scalar."""
        # The joint list moves to the device once, with the first batch.
        self.joint = self.joint.to(batch.device)
        joint = (self.joint.users, self.joint.items, self.joint.ratings, self.weight_of)
        users, items, ratings, weights = (column[batch] for column in joint)  # [batch] each
        # Squared errors of both domains under one penalty, source ratings at ``source_weight``.
        return self.factors.loss(users, items, ratings, weights, self.options.task_absolute)

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return vectors and offsets of the target items."""
        vectors, offsets = self.factors.item_vectors(), self.factors.item_offsets()
        # The first rows are the target's; its mean returns, which the ratings are trained without.
        return vectors[: self.n_items], self.target_mean + offsets[: self.n_items]

    def known(self, users: Tensor) -> Tensor:
        """Return the common vectors."""
        return self.factors.user_vectors(users)

    def transfer(self, users: Tensor) -> Tensor:
        """Return the common vectors; those of cold users are trained by the source ratings alone."""
        return self.factors.user_vectors(users)

    def as_cold(self, users: Tensor) -> Tensor:
        """Return the vectors folded in from the source ratings alone, [batch, width].

        The common vectors of training users have seen their target ratings, which those of cold users have
        not.
        """
        gathered = SourceRatings(self.source_ratings, self.source_shape.n_users)
        items, rows, ratings = gathered.of(self.source_of[users])
        counts = torch.bincount(rows, minlength=len(users))
        histories = FoldInHistories(items, counts.cumsum(0) - counts, rows, ratings)
        return self.fold_in_vectors(histories, 0)[:, :-1]

    def source_factors(self) -> MatrixFactorization:
        """Return the joint factors."""
        return self.factors

    def source_rows(self, users: Tensor) -> Tensor:
        """Return the users themselves, whose id is common to both domains."""
        return users

    def source_history(self, histories: FoldInHistories) -> FoldInHistories:
        """Return histories in the item numbers of the joint factors, ratings without the source's mean."""
        # The source's items follow the target's.
        return replace(
            histories,
            items=histories.items + self.n_items,
            ratings=histories.known_ratings - self.source_mean,
        )

    def negative_pool(self) -> NegativePool:
        """Return the negatives of the source, whose items follow the target's, without the source's mean."""
        o = self.options
        return NegativePool(o.negatives_per_rating, o.negative_rating - self.source_mean, self.n_items + 1)

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the vectors as they are, common to both domains."""
        return vectors
