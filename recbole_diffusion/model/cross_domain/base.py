"""Base class of the models for cold users of a target domain.

A rating is ``offset_i + user vector . item vector``. A subclass of :class:`ColdStartRecommender` provides

- ``item_side()``, the item vectors and offsets;
- ``known(users)``, the vectors of users with target ratings;
- ``transfer(users)``, the vectors of users without target ratings;
- ``stages()``, the training stages in order; none for the trivial baselines. TGT and CMF define theirs
  (``factorization_stage`` makes one of ratings).

Mappings between two factorisations inherit ``mapping.MappingRecommender``, which does most of this. EMCDR is
the smallest example.

Longer than most files: vectors, warm start and read-out of cold users share one object.
"""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.cold_start import first_records
from recbole_diffusion.data.cross_domain import Ratings, describe, ratings_of
from recbole_diffusion.model.base import InnerProducts, Recommender
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixShape, derived_seed
from recbole_diffusion.model.cross_domain.rating_negatives import with_negatives
from recbole_diffusion.model.cross_domain.readout import (
    SHRINKAGE,
    OrdinalReadout,
    levels_of,
    median_and_mean,
    source_style,
    standardised_style,
)
from recbole_diffusion.model.cross_domain.warm_start import WarmStart
from recbole_diffusion.model.stage import TrainingStage


class ColdStartRecommender(Recommender):
    """A model that predicts ratings of target items, also for users without any target rating in training.

    Attributes:
        options: the model's options.
        ratings: the training ratings of the target domain, with the negatives of ``negatives_per_rating``.
        source_ratings: the ratings of the source domain, all of them.
        source_trained: the same with negatives, what factors of the source are trained on.
        warm: whether the next scores are those after the warm start.
        shared: target ids of the shared users in training, long [n].
        valid_users: target ids of the validation users, long [n].
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
    items_are_fitted = True  # whether an item's own ratings move its predictions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options, self.seed = config.options, config.general.seed
        self.general = {
            name: config[name] for name in ("epochs", "learning_rate", "train_batch_size", "stopping_step")
        }
        low, high = map(float, config.rating.rating_scale)
        self.scale = (low, high)
        self.source_ratings = ratings_of(dataset.source)
        self.source_shape = MatrixShape(dataset.source.user_num, dataset.source.item_num)
        self.ratings = self._with_negatives(ratings_of(dataset), self.n_items, "target")
        self.source_trained = self._with_negatives(self.source_ratings, self.source_shape.n_items, "source")
        self.shared, self.valid_users = dataset.train_users, dataset.valid_users
        # The source id by target id; 0, the padding id, for a user of the target alone.
        source_of = torch.zeros(self.n_users, dtype=torch.long)
        source_of[dataset.shared[:, 0]] = dataset.shared[:, 1]
        self.register_buffer("source_of", source_of, persistent=False)
        # Training ratings of each target user, [n_users].
        counts = torch.bincount(self.ratings.users, minlength=self.n_users)
        self.register_buffer("is_cold", counts == 0, persistent=False)
        self.reads_out = self.options.readout == "ordinal"
        if self.reads_out:
            self.levels = levels_of(self.ratings.ratings)
        self.warm = False
        self._warm_start = (
            WarmStart(
                self._with_negatives(dataset.warm_rows, self.n_items, "warm start"),
                dataset.warm_valid,
                self.options.warm_start_l2,
                self.scale,
            )
            if dataset.warm_rows
            else None
        )
        self._sizes = describe(dataset)

    def _with_negatives(self, ratings: Ratings, n_items: int, name: str) -> Ratings:
        o = self.options
        seed = derived_seed(self.seed, name, "negatives")  # of run and domain alone: the same for all models
        return with_negatives(ratings, n_items, o.negatives_per_rating, o.negative_rating, seed)

    # Provided by a subclass.

    def stages(self) -> list[TrainingStage]:
        """Return the training stages, in order."""
        return []

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors [n_items, width] and offsets [n_items]."""
        raise NotImplementedError

    def known(self, users: Tensor) -> Tensor:
        """Return the vectors of users who have target ratings in training, [batch, width]."""
        raise NotImplementedError

    def transfer(self, users: Tensor) -> Tensor:
        """Return the vectors of users without target ratings, [batch, width], from their source ratings.

        Args:
            users: target ids, long [batch].
        """
        raise NotImplementedError

    def cold_vectors(self, users: Tensor) -> Tensor:
        """Return the vectors that cold users are scored with, [batch, width]."""
        return self.calibrated(self.transfer(users))

    def calibrated(self, vectors: Tensor) -> Tensor:
        """Return transferred vectors as they are scored, [batch, width]."""
        return vectors

    # Scores.

    def _forget(self) -> None:
        self._item_side: tuple[Tensor, Tensor] | None = None
        self._warm_vectors: tuple[Tensor, Tensor] | None = None
        self._readouts: dict[bool, OrdinalReadout] = {}  # by whether it is for warm-started users

    def _items(self) -> tuple[Tensor, Tensor]:
        """Return :meth:`item_side` without gradient; in evaluation it is computed once."""
        if self._item_side is None or self.training:
            vectors, offsets = self.item_side()
            self._item_side = vectors.detach(), offsets.detach()
        return self._item_side

    @torch.no_grad()
    def vectors_of(self, users: Tensor) -> Tensor:
        """Return the vectors of distinct users for scoring, [batch, width].

        Known users have their own vectors; those of cold users are transferred and, if ``warm``, fine-tuned.
        """
        cold = self.is_cold[users]
        # Rows of cold users have no meaning yet, and are overwritten.
        found = self.known(users)
        if cold.any():
            found[cold] = self.cold_vectors(users[cold])
        if not self.warm or self._warm_start is None:
            return found
        # A few target ratings move the transferred vectors (DiffCDR, section 4.1).
        return self._warmed(self._warm_start, users, found)

    def _warmed(self, start: WarmStart, users: Tensor, vectors: Tensor) -> Tensor:
        """Return the vectors with those of warm-started users in their place, [batch, width]."""
        if self._warm_vectors is None:
            device = users.device
            self._warm_vectors = start.vectors(
                lambda some: self.cold_vectors(some.to(device)), *self._items()
            )
        warm, values = self._warm_vectors
        # ``warm`` ascends: the place that a user has in it, or would have.
        place = torch.searchsorted(warm, users).clamp(max=len(warm) - 1)
        return torch.where((warm[place] == users)[:, None], values[place], vectors)

    @staticmethod
    def append_ones(vectors: Tensor) -> Tensor:
        """Return vectors with a last coordinate of 1, which meets the items' offsets, [batch, width + 1]."""
        return torch.cat([vectors, torch.ones_like(vectors[:, :1])], 1)

    def inner_products(self) -> InnerProducts:
        """Return user vectors with a last coordinate of 1, and item vectors whose last one is the offset."""
        items, offsets = self._items()

        def of(users: Tensor) -> Tensor:
            # Each user is transferred once, however many rows ask for the user.
            distinct, rows = torch.unique(users, return_inverse=True)
            return self.append_ones(self.vectors_of(distinct))[rows]

        # [n_items, width + 1]: w . v_i + offset_i is one inner product with [w, 1].
        return InnerProducts(of, torch.cat([items, offsets[:, None]], 1))

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]."""
        users, rows = torch.unique(interaction[self.USER_ID], return_inverse=True)
        items, offsets = self._items()
        # [distinct, n_items], then one row for each that asks.
        return (self.vectors_of(users) @ items.T + offsets)[rows]

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of pairs, [batch]; one transfer for each distinct user."""
        users, rows = torch.unique(interaction[self.USER_ID], return_inverse=True)
        items, offsets = self._items()
        chosen = interaction[self.ITEM_ID]
        # w_u . v_i + offset_i of each pair, [batch].
        return (self.vectors_of(users)[rows] * items[chosen]).sum(1) + offsets[chosen]

    # The ordinal read-out.

    def read_out(self, users: Tensor, items: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the median and the mean of the level probabilities of pairs, see ``readout.py``."""
        found = self.level_probabilities(users, items, scores)
        return median_and_mean(found, self.levels.to(found.device, found.dtype))

    def level_probabilities(self, users: Tensor, items: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002
        """Return the probabilities of the rating levels, float64 [pairs, levels].

        Args:
            users: target ids, long [pairs].
            items: target item ids, long [pairs].
            scores: predicted ratings, [pairs].
        """
        warm = self.warm and self._warm_start is not None
        if warm not in self._readouts:
            self._readouts[warm] = self._fitted_readout(warm)
        return self._readouts[warm].probabilities(users, scores)

    def as_cold(self, users: Tensor) -> Tensor:
        """Return the vectors that training users would have if they were cold, [batch, width]."""
        return self.cold_vectors(users)

    @torch.no_grad()
    def _fitted_readout(self, warm: bool) -> OrdinalReadout:
        """Return the read-out, fitted on the target ratings of training users as if these were cold.

        Args:
            warm: whether it is for users after a warm start, whose predictions know their bias already.
                Training users are then warm-started too, by the same share of their ratings, and it is
                fitted on the others.
        """
        device = self.source_of.device
        style = source_style(self.source_ratings, self.source_shape.n_users, self.source_shape.n_items)
        users = self.shared.to(device)
        readout = OrdinalReadout(
            self.levels.to(device), standardised_style(style.to(device), self.source_of, users)
        )
        of_shared = torch.isin(self.ratings.users, self.shared)
        who, which, ratings = (
            column[of_shared].to(device)
            for column in (self.ratings.users, self.ratings.items, self.ratings.ratings)
        )
        items, offsets = self._items()
        vectors = self.as_cold(users)
        if warm:
            draw = derived_seed(self.seed, "read-out", "warm start")
            first = torch.from_numpy(
                first_records(who.cpu().numpy(), None, self.options.warm_start_share, draw)
            ).to(device)
            learned, others = (Ratings(who[rows], which[rows], ratings[rows]) for rows in (first, ~first))
            assert self._warm_start is not None
            start = WarmStart(learned, others, self._warm_start.l2, self.scale)
            cold = vectors
            _, vectors = start.vectors(lambda some: cold[torch.searchsorted(users, some)], items, offsets)
            users, (who, which, ratings) = start.users, (others.users, others.items, others.ratings)
        # ``users`` ascend, so that a user's place among them is a row of the vectors.
        scores = (vectors[torch.searchsorted(users, who)] * items[which]).sum(1) + offsets[which]
        counts = torch.bincount(self.ratings.items, minlength=self.n_items).to(device)[which]
        # An item's offset is held by a penalty of about SHRINKAGE more ratings.
        leverage = 1 / (counts + SHRINKAGE) if self.items_are_fitted else torch.zeros_like(scores)
        readout.fit(who, scores, ratings, leverage)
        return readout

    def list_note(self) -> str | None:
        """Return a warning where lists are by predicted rating: nobody rates most of their items."""
        if self.options.negatives_per_rating:
            return None
        return (
            "warning: these lists rank items by the rating predicted for them, and are worse than by item "
            "popularity (NDCG@20 0.007 against 0.065 on Douban, docs/models/cold_users.md); for lists, train "
            "with --negatives_per_rating=4 --valid_metric=NDCG@20"
        )

    def final_diagnostics(self) -> dict[str, Any]:
        """Return the sizes of both domains and, with a warm start, the weight of its penalty."""
        found: dict[str, Any] = {"domains": self._sizes}
        return found | ({"warm_start_l2": self._warm_start.l2} if self._warm_start else {})
