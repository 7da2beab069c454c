"""VBPR: matrix factorisation with a second inner product, of user vectors and projected item features.

Reference:
    He and McAuley: "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback". AAAI 2016.
"""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import InnerProductModel
from recbole_diffusion.model.multimodal.options import VBPROptions
from recbole_diffusion.model.multimodal.projections import Projections
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives


class VBPR(InnerProductModel):
    """x_ui = p_u . q_i + t_u . (W f_i + b), with ``biases`` plus b_i + w . f_i, trained on pairs.

    f_i are the features of all modalities side by side, so that W f_i is a sum of projections. User vectors
    are [p_u, t_u], item vectors [q_i, W f_i + b]; with ``biases`` both have one number more, 1 and the bias.

    Differences from the paper: MMRec's, which has no biases, several modalities and a penalty of unsquared
    norms; ``biases`` and ``penalty: squared`` are the paper's.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "multimodal"
    loss_names = ("bpr", "penalty")

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: VBPROptions = config.options
        o = self.options
        self.positives = InteractionCSR.from_scipy(binary_interactions(dataset))
        # [p, t] and q; row 0 is the padding id.
        self.users = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_users, 2 * o.embedding_size)))
        self.items = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_items, o.embedding_size)))
        # W, and behind it a row w for the bias that features give.
        self.projections = Projections(dataset.modalities.values(), o.embedding_size + o.biases)
        self.item_bias = nn.Parameter(torch.zeros(self.n_items)) if o.biases else None
        for table in (self.users, self.items):
            nn.init.zeros_(table.data[0])
        self._forget()

    def _of_users(self, users: Tensor) -> Tensor:
        """Return user vectors of ids [n], [n, 2 d] or [n, 2 d + 1]."""
        found = self.users.index_select(0, users)
        return torch.cat([found, torch.ones_like(found[:, :1])], 1) if self.options.biases else found

    def _of_items(self, items: Tensor, projected: Tensor) -> Tensor:
        """Return item vectors of ids [n] and the sum of their projections [n, d or d + 1]."""
        if self.item_bias is not None:
            bias = projected[:, -1:] + self.item_bias.index_select(0, items)[:, None]
            projected = torch.cat([projected[:, :-1], bias], 1)
        return torch.cat([self.items.index_select(0, items), projected], 1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, 2 d] and item vectors [n_items, 2 d], one more with ``biases``."""
        users, items = (torch.arange(n, device=self.users.device) for n in (self.n_users, self.n_items))
        return self._of_users(users), self._of_items(items, self.projections.project_all().sum(1))

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the pairwise loss and the penalty, each a scalar."""
        o = self.options
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        drawn = uniform_negatives(self.positives, users.repeat(o.n_negatives))
        # Features of each item of the batch are projected once.
        distinct, where = torch.unique(torch.cat([items, drawn]), return_inverse=True)
        V = self._of_items(distinct, self.projections.project(distinct).sum(1))
        u, v = self._of_users(users), V.index_select(0, where).view(1 + o.n_negatives, len(users), -1)
        scores = (u * v).sum(2)  # of positive and negatives, [1 + n_negatives, batch]
        # A bias is no part of a user's vector, and the 1 that it stands beside none of its length.
        tables = [u[:, : 2 * o.embedding_size], *v.unbind(0)]
        if o.penalty == "norm":
            penalty = torch.stack([table.norm() for table in tables]).sum() / len(users)
        else:
            penalty = torch.stack([table.square().sum() for table in tables]).sum() / (2 * len(users))
        return losses.bpr(scores[0], scores[1:]), o.reg_weight * penalty
