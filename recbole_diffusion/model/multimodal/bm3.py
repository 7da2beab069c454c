"""BM3: user, item and modality vectors learned without negatives, each from a dropped-out copy of another.

Reference:
    Zhou, Zhou, Liu, Zeng, Miao, Wang, You, Jiang: "Bootstrap Latent Representations for Multi-modal
    Recommendation". WWW 2023.

The algorithm. u and v are user and item vectors, h^m projected features, phi a linear predictor, C one minus
the mean cosine over a batch of pairs, and a' is a after dropout and without gradient::

    P, Q = LightGCN of the free vectors;  u = P_u;  v = Q_i + e_i
    L = C(phi(u), v') + C(phi(v), u') + reg (|P| + |Q + e|) / items
        + cl sum over m of [C(phi(h^m), v') + C(phi(h^m), h^m')]
    score = phi(u) . phi(v)

As a backbone it is FREEDOM without the graphs of similar items: h_hat is e itself.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.multimodal.backbone import Backbone


class BM3(Backbone):
    """LightGCN with a residual of the free item vectors, trained by bootstrapped cosines.

    Differences from the authors' code:
        * Features are frozen, unless ``train_features``.
        * Wrapped by a model that diffuses items, the penalty is on the free vectors, not on the propagated.
    """

    trains_projections = True
    takes_negatives = False
    loss_names = other_loss_names = ("graph", "modal", "penalty")

    def __init__(self, config: Any, dataset: Any, wrapped: bool = False) -> None:
        super().__init__(config, dataset, wrapped)
        size = self.options.embedding_size
        self.predictor = nn.Linear(size, size)  # phi, one for everything
        nn.init.xavier_normal_(self.predictor.weight)

    def high_order(self) -> Tensor:
        """Return the residual of the items, e itself, [n_items, d]."""
        return self.encoder.items

    def scored(self, vectors: Tensor) -> Tensor:
        """Return phi of user or item vectors, [..., d]."""
        return self.predictor(vectors)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the losses of a batch, in the order of ``loss_names``."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        U, V = self.unscored_from(self.high_order())  # whole, for the penalty
        distinct, where = torch.unique(items, return_inverse=True)
        modal = self.modal_items(distinct).index_select(0, where)  # h^m, [batch, modalities, d]
        v = V.index_select(0, items)
        parts = self.bootstrapped(U.index_select(0, users), v, modal, v)
        return tuple((parts | self._penalty(U, V)).values())

    def other_losses(
        self,
        u: Tensor,
        users: Tensor,  # noqa: ARG002
        items: Tensor,
        negatives: Tensor,  # noqa: ARG002
        modal: Tensor | None = None,
        v: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return all losses of BM3, for a model that wraps it; it takes no part of the negatives."""
        assert v is not None  # a wrapping model has the vectors of its positives
        of_items = self.modal_items(items) if modal is None else modal[0]  # [batch, modalities, d]
        parts = self.bootstrapped(u, v, of_items, self.modal_target(v, items))
        return parts | self._penalty(self.encoder.users, self.encoder.items)

    def modal_target(self, v: Tensor, items: Tensor) -> Tensor:  # noqa: ARG002
        """Return what projected features of the positives are aligned with, [batch, d], before dropout."""
        return v

    def bootstrapped(self, u: Tensor, v: Tensor, modal: Tensor, aligned: Tensor) -> dict[str, Tensor]:
        """Return the losses of a batch of pairs, each a scalar.

        Args:
            u: user vectors, [batch, d].
            v: item vectors, [batch, d].
            modal: projected features of the items, [batch, modalities, d].
            aligned: what these are aligned with, [batch, d].
        """
        p = self.options.dropout_prob
        to_u, to_v = losses.dropout(u.detach(), p), losses.dropout(v.detach(), p)
        to_modal = losses.dropout(modal.detach(), p)
        target = to_v if aligned is v else losses.dropout(aligned.detach(), p)
        pairs = self._distance(u, to_v) + self._distance(v, to_u)
        of_modal = [
            self._distance(one, target) + self._distance(one, own)
            for one, own in zip(modal.unbind(1), to_modal.unbind(1), strict=True)
        ]
        return {"graph": pairs, "modal": self.options.cl_weight * torch.stack(of_modal).sum()}

    def _distance(self, online: Tensor, target: Tensor) -> Tensor:
        """Return C(phi(online), target) of rows [batch, d], a scalar from 0 to 2."""
        found = F.normalize(self.predictor(online), dim=1) * F.normalize(target, dim=1)
        return 1 - found.sum(1).mean()

    def _penalty(self, users: Tensor, items: Tensor) -> dict[str, Tensor]:
        """Return the lengths of whole tables as vectors, not squared, by the number of items."""
        return {"penalty": self.options.reg_weight * (users.norm() + items.norm()) / (self.n_items - 1)}

    @torch.no_grad()
    def epoch_diagnostics(self) -> dict[str, float]:
        """Return the mean cosine of two items by the vectors that score: near 1 all are one direction."""
        unit = F.normalize(self.vectors()[1][1:], dim=1)
        pairs = len(unit) * (len(unit) - 1)
        return {"item_cosine": float((unit.sum(0).square().sum() - len(unit)) / max(pairs, 1))}
