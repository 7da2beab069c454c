"""What the models of cold users in a target domain share.

A rating is predicted as ``offset_i + user vector . item vector``. How a model plugs in:

- :class:`ColdStartRecommender`: give ``item_side()`` (item vectors and offsets), ``known(users)`` (vectors of
  users with target ratings) and ``transfer(users)`` (vectors of users without). ``stages()`` lists what is
  trained, in order, and may be empty (the trivial baselines). TGT and CMF are of this kind: their stages are
  their own (``factorization_stage`` makes one of ratings).
- :class:`MappingRecommender`: the two factorisations are there, trained by the first two stages and shared by
  all such models through the stage cache. Give ``parts()``, the updates of the third stage (one :class:`UpdateStep`
  each: a loss of target user ids and what it updates), and ``transfer(users)``. There are
  ``source_vectors(users)`` and ``target_vectors(users)`` of shared users by target id, ``rating_loss(users,
  vectors)``, the task loss (Eq. 2) on all training ratings of the users, and ``transfer_new(vectors,
  histories, seed)``, the same for users without a number (``model/source_histories.py``), and
  ``begin_transfer()``, a hook once the factors are final; what it computes must be persistent buffers, for
  the resume. With ``CalibratedOptions`` the model is calibrated on ratings by one more update, if
  ``task_absolute`` is given.

EMCDR is the smallest example.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.cross_domain import describe, ratings_of
from recbole_diffusion.model.base import FoldInHistories, InnerProducts, Recommender
from recbole_diffusion.model.cross_domain.calibration import Calibration
from recbole_diffusion.model.cross_domain.matrix_factorization import (
    MatrixFactorization,
    MatrixShape,
    derived_seed,
    factorization_stage,
)
from recbole_diffusion.model.cross_domain.profile import SourceProfile
from recbole_diffusion.model.cross_domain.source_history import SourceFoldIn
from recbole_diffusion.model.cross_domain.stage import TrainingStage, UpdateStep
from recbole_diffusion.model.cross_domain.warm_start import WarmStart
from recbole_diffusion.options.cross_domain import CalibratedOptions
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


class ColdStartRecommender(Recommender):
    """A model that predicts ratings of target items, also for users whose target ratings it has never seen.

    Attributes:
        options: the model's options.
        ratings: the training ratings of the target domain.
        warm: whether the next scores are those after the warm start.
        shared: target ids of the shared users in training, [n].
        source_of: source id of each target user, 0 where there is none, [n_users].
        is_cold: whether a target user has no training rating, [n_users].
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    has_item_vectors = True
    trainer_class = "staged"
    dataset_class = "cross_domain"
    loader_class = "positives"
    protocol = "cross_domain"
    source_of: Tensor
    is_cold: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options, self.seed = config.options, config.general.seed
        self.general = {
            name: config[name] for name in ("epochs", "learning_rate", "train_batch_size", "stopping_step")
        }
        self.scale = tuple(map(float, config.rating.rating_scale))
        self.ratings, self.source_ratings = ratings_of(dataset), ratings_of(dataset.source)
        self.source_shape = MatrixShape(dataset.source.user_num, dataset.source.item_num)
        self.shared, self.valid_users = dataset.train_users, dataset.valid_users
        source_of = torch.zeros(self.n_users, dtype=torch.long)
        source_of[dataset.shared[:, 0]] = dataset.shared[:, 1]
        self.register_buffer("source_of", source_of, persistent=False)
        counts = torch.bincount(self.ratings.users, minlength=self.n_users)
        self.register_buffer("is_cold", counts == 0, persistent=False)
        self.warm = False
        self._warm_start = (
            WarmStart(dataset.warm_rows, dataset.warm_valid, self.options.warm_start_l2, self.scale)
            if dataset.warm_rows
            else None
        )
        self._sizes = describe(dataset)

    # What a model gives.

    def stages(self) -> list[TrainingStage]:
        """Return what is trained, in order."""
        return []

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors [n_items, width] and offsets [n_items]."""
        raise NotImplementedError

    def known(self, users: Tensor) -> Tensor:
        """Return the vectors of users who have target ratings in training, [batch, width]."""
        raise NotImplementedError

    def transfer(self, users: Tensor) -> Tensor:
        """Return the vectors of users who have none, from what their source ratings say, [batch, width]; users are target ids."""
        raise NotImplementedError

    def cold_vectors(self, users: Tensor) -> Tensor:
        """Return what cold users are scored with, [batch, width]."""
        return self.calibrated(self.transfer(users))

    def calibrated(self, vectors: Tensor) -> Tensor:
        """Return transferred vectors as they are scored, [batch, width]."""
        return vectors

    # Scores.

    def _forget(self) -> None:
        self._item_side: tuple[Tensor, Tensor] | None = None
        self._warm_vectors: tuple[Tensor, Tensor] | None = None

    def _items(self) -> tuple[Tensor, Tensor]:
        if self._item_side is None or self.training:
            self._item_side = tuple(part.detach() for part in self.item_side())
        return self._item_side

    @torch.no_grad()
    def vectors_of(self, users: Tensor) -> Tensor:
        """Return the vectors of distinct users for scoring, [batch, width]: known, transferred, or after the warm start."""
        cold = self.is_cold[users]
        found = self.known(users)
        if cold.any():
            found[cold] = self.cold_vectors(users[cold])
        return self._warmed(users, found) if self.warm and self._warm_start else found

    def _warmed(self, users: Tensor, vectors: Tensor) -> Tensor:
        if self._warm_vectors is None:
            device = users.device
            self._warm_vectors = self._warm_start.vectors(
                lambda some: self.cold_vectors(some.to(device)), *self._items()
            )
        warm, values = self._warm_vectors
        place = torch.searchsorted(warm, users).clamp(max=len(warm) - 1)
        return torch.where((warm[place] == users)[:, None], values[place], vectors)

    @staticmethod
    def append_ones(vectors: Tensor) -> Tensor:
        """Return user vectors with a one behind, which meets the items' offsets, [batch, width + 1]."""
        return torch.cat([vectors, torch.ones_like(vectors[:, :1])], 1)

    def inner_products(self) -> InnerProducts:
        """Return the vectors of users with a one behind, and those of items with their offsets."""
        items, offsets = self._items()

        def of(users: Tensor) -> Tensor:
            distinct, rows = torch.unique(users, return_inverse=True)
            return self.append_ones(self.vectors_of(distinct))[rows]

        return InnerProducts(of, torch.cat([items, offsets[:, None]], 1))

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]."""
        users, rows = torch.unique(interaction[self.USER_ID], return_inverse=True)
        items, offsets = self._items()
        return (self.vectors_of(users) @ items.T + offsets)[rows]

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of pairs, [batch]; one transfer for each distinct user."""
        users, rows = torch.unique(interaction[self.USER_ID], return_inverse=True)
        items, offsets = self._items()
        chosen = interaction[self.ITEM_ID]
        return (self.vectors_of(users)[rows] * items[chosen]).sum(1) + offsets[chosen]

    def final_diagnostics(self) -> dict[str, Any]:
        """Return what the result says beside the metrics, of the best weights."""
        found: dict[str, Any] = {"domains": self._sizes}
        return found | ({"warm_start_l2": self._warm_start.pull} if self._warm_start else {})


class MappingRecommender(SourceFoldIn, ColdStartRecommender):
    """A model that maps the source vectors of shared users to target vectors, on two trained factorisations.

    Attributes:
        source: factors of the source domain.
        target: factors of the target domain.
        profile: how users rate in the source domain, None where the model does not read it.
    """

    renamed_weights: ClassVar = {"calibration.shift": "calibration.item_offset"}

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, mean = (
            self.options,
            [one.ratings.double().mean().item() for one in (self.source_ratings, self.ratings)],
        )
        self.source = MatrixFactorization(self.source_shape, o, mean[0], derived_seed(self.seed, "source"))
        self.target = MatrixFactorization(
            MatrixShape(self.n_users, self.n_items), o, mean[1], derived_seed(self.seed, "target")
        )
        self.width = self.target.width
        self.profile: SourceProfile | None = None
        order = torch.argsort(self.ratings.users, stable=True)
        offsets = torch.cat(
            [
                torch.zeros(1, dtype=torch.long),
                torch.bincount(self.ratings.users, minlength=self.n_users).cumsum(0),
            ]
        )
        self.rated = InteractionCSR(offsets, self.ratings.items[order], self.n_items)
        self.register_buffer("rated_values", self.ratings.ratings[order], persistent=False)
        self.shared_ratings = int(torch.isin(self.ratings.users, self.shared).sum())
        self.calibration = None
        if isinstance(o, CalibratedOptions) and o.task_absolute is not None:
            self.calibration = Calibration(
                self.width, None if o.item_offset_reg_weight is None else self.n_items
            )

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the updates of each batch of target user ids, in turn."""
        raise NotImplementedError

    def transfer_updates(self) -> tuple[UpdateStep, ...]:
        """Return the model's parts, and the calibration's update if there is one."""
        if self.calibration is None:
            return self.mapping_updates()
        rate = self.options.calibration_learning_rate
        return (
            *self.mapping_updates(),
            UpdateStep(self.calibration_loss, list(self.calibration.parameters()), rate, weight_decay=0.0),
        )

    def begin_transfer(self) -> None:
        """Do what needs the trained factors, once before the first epoch of the mapping."""

    def stages(self) -> list[TrainingStage]:
        """Return source, target and transfer."""
        o, general = self.options, self.general
        return [
            factorization_stage("source", self.source, self.source_ratings, o, self.seed),
            factorization_stage("target", self.target, self.ratings, o, self.seed),
            TrainingStage(
                name="transfer",
                steps=self.transfer_updates(),
                rows=self.shared,
                batch_size=general["train_batch_size"],
                epochs=general["epochs"],
                stopping_step=general["stopping_step"],
                begin=self.begin_transfer,
                min_updates=o.min_updates,
                patience_in_updates=o.patience_in_updates,
            ),
        ]

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the losses of the mapping's updates on the shared users of a batch; training itself goes by :meth:`stages`."""
        users = torch.unique(interaction[self.USER_ID])
        users = users[torch.isin(users, self.shared.to(users.device))]
        return tuple(step.loss(users) for step in self.transfer_updates())

    def source_factors(self) -> MatrixFactorization:
        """Return the factors of the source domain."""
        return self.source

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, shifted by the calibration if that is what it does."""
        vectors, offsets = self.target.item_vectors(), self.target.item_offsets()
        shifted = self.calibration is not None and self.calibration.item_offset is not None
        return vectors, offsets + self.calibration.item_offset if shifted else offsets

    def calibrated(self, vectors: Tensor) -> Tensor:
        """Return transferred vectors, calibrated if that is asked for, [batch, width]."""
        return vectors if self.calibration is None else self.calibration(vectors)

    def calibration_loss(self, users: Tensor) -> Tensor:
        """Return the task loss of the calibrated vectors, a scalar; the mapping gets no gradient."""
        with torch.no_grad():
            vectors = self.transfer(users)
        return self.task_loss_of(users, self.calibration(vectors), self.calibration.item_offset)

    def task_loss_of(
        self, users: Tensor, vectors: Tensor, item_offset: Tensor | None, common: Tensor | float = 0.0
    ) -> Tensor:
        """Return ``rating_loss`` by the options ``task_absolute`` and ``item_offset_reg_weight``, a scalar.

        The shift is held by so many ratings of shift 0, where a batch has its share of the shared users'
        ratings; what is ``common`` to all items is not.
        """
        o = self.options
        error = self.rating_loss(
            users, vectors, o.task_absolute, item_offset if item_offset is None else item_offset + common
        )
        return (
            error
            if item_offset is None
            else error + o.item_offset_reg_weight * item_offset.square().sum() / self.shared_ratings
        )

    def known(self, users: Tensor) -> Tensor:
        """Return the target factors' own vectors."""
        return self.target.user_vectors(users)

    def source_vectors(self, users: Tensor) -> Tensor:
        """Return the source vectors of shared users, by target id, without gradient, [batch, width]."""
        return self.source.user_vectors(self.source_of[users]).detach()

    def source_items(self, items: Tensor) -> Tensor:
        """Return the source items as points among the users: v, or with biases [v, b_i]; without gradient, [n, width]."""
        return self.source.item_points(items).detach()

    # Profiles, where the model sets ``profile``.

    def _forget(self) -> None:
        super()._forget()
        self._all_profiles: Tensor | None = None

    def learned_profiles(self, users: Tensor) -> Tensor:
        """Take what the profile needs of everyone and of training users, by target id; return all users' profiles."""
        return self.profile.learn(
            self.source_ratings, self.source, self.source_of[users], self.source_shape.n_users
        )

    def profiles_of(self, users: Tensor) -> Tensor | None:
        """Return the profiles of users by target id, [batch, SIZE]; those of all are computed once, until the mode changes."""
        if self.profile is None:
            return None
        if self._all_profiles is None:
            rows, device = self.source_ratings, users.device
            columns = (column.to(device) for column in (rows.items, rows.users, rows.ratings))
            self._all_profiles = self.profile(*columns, self.source, self.source_shape.n_users)
        return self._all_profiles[self.source_of[users]]

    def new_profiles(self, histories: FoldInHistories, many: int) -> Tensor | None:
        """Return the profiles of users by their source ratings, [many, SIZE]."""
        if self.profile is None:
            return None
        return self.profile(histories.items, histories.rows, histories.ratings, self.source, many)

    def target_vectors(self, users: Tensor) -> Tensor:
        """Return the target vectors of training users, without gradient, [batch, width]."""
        return self.target.user_vectors(users).detach()

    def rating_loss(
        self, users: Tensor, vectors: Tensor, absolute: float = 0.0, item_offset: Tensor | None = None
    ) -> Tensor:
        """Return the mean error of the users' training ratings if ``vectors`` were theirs, a scalar.

        Args:
            users: distinct target ids, [batch].
            vectors: [batch, width].
            absolute: share of absolute errors in the loss, the rest are squared ones; 0 is Eq. 2.
            item_offset: what is added to the offsets of items, [n_items]; learned with the vectors.
        """
        items, starts, rows = self.rated.gather(users)
        side, offsets = (part.detach() for part in (self.target.item_vectors(), self.target.item_offsets()))
        within = torch.arange(len(rows), device=users.device) - starts[rows]
        actual = self.rated_values[self.rated.offsets[users][rows] + within]
        offsets = offsets if item_offset is None else offsets + item_offset
        error = (vectors[rows] * side[items]).sum(1) + offsets[items] - actual
        return (
            (1 - absolute) * error.square().mean() + absolute * error.abs().mean()
            if absolute
            else error.square().mean()
        )
