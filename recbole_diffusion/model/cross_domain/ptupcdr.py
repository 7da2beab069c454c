"""PTUPCDR: each user has a bridge of the own, made by a meta network from the user's source history.

Paper: Zhu, Tang, Liu, Zhuang, Xie, Zhang, Lin, He, "Personalized Transfer of User Preferences for
Cross-domain Recommendation", WSDM 2022.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_diffusion.model.base import FoldInHistories
from recbole_diffusion.model.cross_domain.mapping import MappingRecommender
from recbole_diffusion.model.cross_domain.source_history import history_of, liked, softmax_by_row
from recbole_diffusion.model.cross_domain.stage import UpdateStep


class PTUPCDR(MappingRecommender):
    """A personal matrix maps each user's source vector to the target vector.

    Attention over the rated source items gives a user's characteristics p, and the meta network makes the
    matrix of p. Both learn from the training ratings of shared users (task-oriented).

    Differences from the paper:

    - The latent factors are those of ``model/factors.py``, as for every mapping model here. With ``bias`` an
      item enters as [v, b_i] and the bridge maps [u, b_u].
    - A batch is a set of shared users with all of their training ratings; the paper's is a set of ratings.
    - The history is every source item that the user has rated, without a limit of its length;
      ``history_floor: 4`` takes liked ones alone.
    - ``task_absolute`` and ``item_offset_reg_weight`` are DiffCDR's here (see there), so that the two task losses
      can be compared.
    """

    renamed_weights: ClassVar = {"shift": "item_offset"}

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, width = self.options, self.width
        self.attention = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1, bias=False))
        self.meta = nn.Sequential(
            nn.Linear(width, o.meta_size), nn.ReLU(), nn.Linear(o.meta_size, width * width)
        )
        if o.item_offset_reg_weight is not None:
            self.item_offset = nn.Parameter(torch.zeros(self.n_items))
        self.history = history_of(self.source_ratings, self.source_shape, o.history_floor)

    def mapping_updates(self) -> tuple[UpdateStep, ...]:
        """Return the one update of attention, meta network and shift."""
        parameters = [*self.attention.parameters(), *self.meta.parameters()]
        parameters += [self.item_offset] if self.options.item_offset_reg_weight is not None else []
        return (UpdateStep(self.task_loss, parameters, self.general["learning_rate"]),)

    def task_loss(self, users: Tensor) -> Tensor:
        """Return the error of the users' training ratings, a scalar."""
        return self.task_loss_of(users, self.transfer(users), getattr(self, "item_offset", None))

    def item_side(self) -> tuple[Tensor, Tensor]:
        """Return item vectors and offsets of the target factors, with the shift of the offsets."""
        vectors, offsets = super().item_side()
        return vectors, offsets if self.options.item_offset_reg_weight is None else offsets + self.item_offset

    def characteristics(self, users: Tensor) -> Tensor:
        """Return p, the weighted mean of the source items of each user, [batch, width]; zeros without history."""
        items, _, rows = self.history.gather(self.source_of[users])
        return self._characteristics(items, rows, len(users))

    def _characteristics(self, items: Tensor, rows: Tensor, many: int) -> Tensor:
        vectors = self.source_items(items)
        weights = softmax_by_row(self.attention(vectors).squeeze(1), rows, many)
        return vectors.new_zeros(many, self.width).index_add(0, rows, weights[:, None] * vectors)

    def transfer(self, users: Tensor) -> Tensor:
        """Return the source vectors through each user's own bridge, [batch, width]."""
        return self._bridged(self.source_vectors(users), self.characteristics(users))

    def transfer_new(self, vectors: Tensor, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002
        """Return the source vectors through each user's own bridge, [batch, width]."""
        items, rows = liked(histories, self.options.history_floor)
        return self._bridged(vectors, self._characteristics(items, rows, len(vectors)))

    def _bridged(self, vectors: Tensor, characteristics: Tensor) -> Tensor:
        bridges = self.meta(characteristics).view(-1, self.width, self.width)
        return torch.einsum("bi,bij->bj", vectors, bridges)
