"""Models that map a user's source vector to a target vector, on two trained factorisations.

Training has three stages: the factorisation of the source, that of the target (both shared by all such models
through the stage cache), and the mapping. A subclass of :class:`MappingRecommender` provides

- ``mapping_updates()``, the updates of a batch in the third stage: each a loss of target user ids and its
  parameters;
- ``transfer(users)``, the mapped vectors of cold users;
- ``transfer_new(vectors, histories, seed)``, the same for users without an id, see
  ``source_history.SourceFoldIn``;
- ``begin_transfer()``, if something is computed from the final factors; store it in persistent buffers, so
  that a resumed run has it.

It inherits ``source_vectors(users)`` and ``target_vectors(users)`` of shared users by target id, and
``task_loss_of(users, vectors, item_offset)``, the task loss (DiffCDR, Eq. 2) on all training ratings of the
users. With ``CalibratedOptions`` and ``task_absolute``, one more update calibrates the mapped vectors on
ratings.

Longer than most files: stages, task loss and vectors of both domains are one object's.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.base import ColdStartRecommender
from recbole_diffusion.model.cross_domain.calibration import Calibration
from recbole_diffusion.model.cross_domain.matrix_factorization import (
    MatrixFactorization,
    MatrixShape,
    derived_seed,
    factorization_stage,
)
from recbole_diffusion.model.cross_domain.profile import SourceProfile
from recbole_diffusion.model.cross_domain.source_history import SourceFoldIn
from recbole_diffusion.model.stage import TrainingStage, UpdateStep
from recbole_diffusion.options.cross_domain import CalibratedOptions
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


class MappingRecommender(SourceFoldIn, ColdStartRecommender):
    """A model that maps the source vectors of shared users to target vectors.

    Attributes:
        source: factors of the source domain.
        target: factors of the target domain.
        width: of a user vector.
        profile: how users rate in the source domain, None where the model does not read it.
        shared_ratings: number of training ratings of the shared users.
    """

    renamed_weights: ClassVar = {"calibration.shift": "calibration.item_offset"}

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        mean = [one.ratings.double().mean().item() for one in (self.source_trained, self.ratings)]
        # One factorisation for each domain, with a seed of its own: equal for all mapping models.
        self.source = MatrixFactorization(self.source_shape, o, mean[0], derived_seed(self.seed, "source"))
        self.target = MatrixFactorization(
            MatrixShape(self.n_users, self.n_items), o, mean[1], derived_seed(self.seed, "target")
        )
        self.width = self.target.width
        self.profile: SourceProfile | None = None
        # The training ratings by user, for the task loss.
        # One order for items and values, so that place k of both is one rating.
        order = torch.argsort(self.ratings.users, stable=True)
        counts = torch.bincount(self.ratings.users, minlength=self.n_users)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self.rated = InteractionCSR(offsets, self.ratings.items[order], self.n_items)
        self.register_buffer("rated_values", self.ratings.ratings[order], persistent=False)
        self.shared_ratings = int(torch.isin(self.ratings.users, self.shared).sum())
        self.calibration = None
        if isinstance(o, CalibratedOptions) and o.task_absolute is not None:
            with_offsets = o.item_offset_reg_weight is not None
            self.calibration = Calibration(self.width, self.n_items if with_offsets else None)

    # Training.

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the updates of each batch of target user ids, in order."""
        raise NotImplementedError

    def transfer_updates(self) -> tuple[UpdateStep, ...]:
        """Return the mapping's updates and, with a calibration, that of the calibration."""
        if self.calibration is None:
            return self.mapping_updates()
        rate = self.options.calibration_learning_rate
        return (
            *self.mapping_updates(),
            UpdateStep(self.calibration_loss, list(self.calibration.parameters()), rate, weight_decay=0.0),
        )

    def transfer_rows(self, users: Tensor) -> Tensor:
        """Return the rows that the mapping learns from for training users: the users, long [n]."""
        return users

    def begin_transfer(self) -> None:
        """Compute statistics of the trained factors, once before the first epoch of the mapping."""

    def stages(self) -> list[TrainingStage]:
        """Return the stages ``source``, ``target`` and ``transfer``."""
        o, general = self.options, self.general
        return [
            factorization_stage("source", self.source, self.source_trained, o, self.seed),
            factorization_stage("target", self.target, self.ratings, o, self.seed),
            TrainingStage(
                name="transfer",
                steps=self.transfer_updates(),
                rows=self.transfer_rows(self.shared),
                batch_size=general["train_batch_size"],
                epochs=general["epochs"],
                stopping_step=general["stopping_step"],
                begin=self.begin_transfer,
                min_updates=o.min_updates,
                patience_in_updates=o.patience_in_updates,
            ),
        ]

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the mapping's losses on a batch's shared users; training itself follows :meth:`stages`."""
        # Users without a source vector have nothing to map.
        users = torch.unique(interaction[self.USER_ID])
        users = users[torch.isin(users, self.shared.to(users.device))]
        rows = self.transfer_rows(users)
        return tuple(step.loss(rows) for step in self.transfer_updates())

    def calibration_loss(self, users: Tensor) -> Tensor:
        """Return the task loss of the calibrated vectors, a scalar; the mapping gets no gradient."""
        if self.calibration is None:
            raise TypeError("the model has no calibration; set task_absolute")
        # The mapping is fixed: the calibration alone learns from this loss.
        with torch.no_grad():
            vectors = self.transfer(users)
        return self.task_loss_of(users, self.calibration(vectors), self.calibration.item_offset)

    def task_loss_of(
        self, users: Tensor, vectors: Tensor, item_offset: Tensor | None, common: Tensor | float = 0.0
    ) -> Tensor:
        """Return the task loss with learned item offsets and their penalty, a scalar.

        The penalty counts as ``item_offset_reg_weight`` ratings of each item that ask for an offset of 0: its
        weight is divided by the number of ratings of all shared users, of which a batch has a part.

        Args:
            users: distinct target ids, long [batch].
            vectors: of the users, [batch, width].
            item_offset: added to the items' offsets, [n_items], or None.
            common: added to the offsets of all items alike, not penalised.
        """
        places, rows = self.places_of(users)
        return self.task_loss_at(places, vectors[rows], item_offset, common)

    def task_loss_at(
        self, places: Tensor, vectors: Tensor, item_offset: Tensor | None, common: Tensor | float = 0.0
    ) -> Tensor:
        """Return :meth:`task_loss_of` for single ratings, a scalar.

        Args:
            places: of training ratings in ``rated``, long [total].
            vectors: of each rating's user, [total, width].
            item_offset: as in :meth:`task_loss_of`.
            common: as in :meth:`task_loss_of`.
        """
        o = self.options
        # On the factors' own offsets here, with learned ones added below.
        if item_offset is None:
            return self._error_at(places, vectors, o.task_absolute)
        error = self._error_at(places, vectors, o.task_absolute, item_offset + common)
        return error + o.item_offset_reg_weight * item_offset.square().sum() / self.shared_ratings

    def places_of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the places of users' training ratings in ``rated`` and the row of each's user, [total]."""
        places, _, rows = self.rated.places(users)
        return places, rows

    def _error_at(
        self, places: Tensor, vectors: Tensor, absolute: float, item_offset: Tensor | None = None
    ) -> Tensor:
        """Return the mean error of the ratings at some places by the vectors of their users, a scalar."""
        items, actual = self.rated.items[places], self.rated_values[places]  # [total] each
        # v_i and offset_i are fixed, [n_items, width] and [n_items]; gradients go to ``vectors`` and offsets.
        side, offsets = (part.detach() for part in (self.target.item_vectors(), self.target.item_offsets()))
        offsets = offsets if item_offset is None else offsets + item_offset
        # w_u . v_i + offset_i - r for each rating.
        error = (vectors * side[items]).sum(1) + offsets[items] - actual  # [total]
        if not absolute:
            return error.square().mean()
        return (1 - absolute) * error.square().mean() + absolute * error.abs().mean()

    # Vectors of the two domains.

    def source_factors(self) -> MatrixFactorization:
        """Return the factors of the source domain."""
        return self.source

    def source_vectors(self, users: Tensor) -> Tensor:
        """Return the source vectors of shared users, by target id, without gradient, [batch, width]."""
        # By source id; detached, since this stage leaves the factors as they are.
        return self.source.user_vectors(self.source_of[users]).detach()

    def source_items(self, items: Tensor) -> Tensor:
        """Return source items as points among users, v or [v, b_i], without gradient, [n, width]."""
        return self.source.item_points(items).detach()

    def target_vectors(self, users: Tensor) -> Tensor:
        """Return the target vectors of training users, without gradient, [batch, width]."""
        return self.target.user_vectors(users).detach()

    def drawn_users(self, count: int) -> Tensor:
        """Return at most ``count`` training users, drawn with the run's seed, ascending, long [n]."""
        generator = torch.Generator().manual_seed(derived_seed(self.seed, "figure 4"))
        order = torch.randperm(len(self.shared), generator=generator)
        return self.shared[order[:count]].sort().values.to(self.target.users.device)

    def known(self, users: Tensor) -> Tensor:
        """Return the target factors' own vectors, [batch, width]."""
        return self.target.user_vectors(users)

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, with the calibration's item offsets."""
        vectors, offsets = self.target.item_vectors(), self.target.item_offsets()
        learned = None if self.calibration is None else self.calibration.item_offset
        return vectors, offsets if learned is None else offsets + learned

    def calibrated(self, vectors: Tensor) -> Tensor:
        """Return transferred vectors, calibrated where there is a calibration, [batch, width]."""
        return vectors if self.calibration is None else self.calibration(vectors)

    # Profiles of models that set ``profile``.

    def _forget(self) -> None:
        super()._forget()
        self._all_profiles: Tensor | None = None

    def learned_profiles(self, users: Tensor) -> Tensor:
        """Fit the profile's statistics to all source ratings and training users; return all profiles.

        Args:
            users: target ids of the training users, long [n].

        Returns:
            [n source users, SIZE], standardised.
        """
        if self.profile is None:
            raise TypeError(f"{type(self).__name__} reads no profile with these options")
        return self.profile.learn(
            self.source_ratings, self.source, self.source_of[users], self.source_shape.n_users
        )

    def profiles_of(self, users: Tensor) -> Tensor | None:
        """Return the profiles of users by target id, [batch, SIZE]; kept until the mode changes."""
        if self.profile is None:
            return None
        if self._all_profiles is None:
            rows, device = self.source_ratings, users.device
            columns = (column.to(device) for column in (rows.items, rows.users, rows.ratings))
            # Of all source users at once, [source users, SIZE].
            self._all_profiles = self.profile(*columns, self.source, self.source_shape.n_users)
        return self._all_profiles[self.source_of[users]]

    def new_profiles(self, histories: FoldInHistories, many: int) -> Tensor | None:
        """Return the profiles of ``many`` users by their source ratings, [many, SIZE]."""
        if self.profile is None:
            return None
        return self.profile(histories.items, histories.rows, histories.known_ratings, self.source, many)
