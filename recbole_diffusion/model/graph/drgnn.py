"""DR-GNN: LightGCN whose neighbours weigh by what a robust optimisation makes of them.

Reference:
    Wang, Chen, Li, Zhou, Shi, Gao, Feng, Chen, Wang: "Distributionally Robust Graph-based Recommendation
    System", WWW 2024.

LightGCN smooths: it pulls a user u to the items i in N(u), all alike. With |e_u / sqrt(d_u) - e_i /
sqrt(d_i)|^2 as the loss of a neighbour, the worst distribution of neighbours within a Kullback-Leibler ball
around the uniform one is proportional to exp(loss / alpha): distant neighbours count more. For unit vectors,
and with what a user's neighbours have in common left out::

    f_ui = exp(-cos(e_u, e_i) / (alpha sqrt(d_u d_i)))
    w_ui = f_ui / m_u,   m_u = mean of f_ui over N(u)

and training propagates over R~_ui w_ui in both directions; scoring over R~ as it is. So that the ball is
wider than the neighbours, each user also has an edge to the nearest of some drawn items, with a share c of
the distribution: old edges get (1 - c) f_ui / m'_u and the new one c d_u f_uj / m'_u, with m'_u such that the
weights of a user still sum to d_u. With ``normalise_by: receiver`` the users of an item weigh by the item's
own mean of f.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.data.graph import degree_powers
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.encoder import LightGCNEncoder
from recbole_diffusion.model.graph.host import EncoderModel
from recbole_diffusion.model.graph.options import DRGNNOptions
from recbole_diffusion.model.layers import pair_scores
from recbole_diffusion.model.propagation import VaryingMatrix
from recbole_diffusion.sampler.uniform import uniform_negatives

USER_BLOCK = 2048  # users whose distances to the drawn items are computed together


class DRGNN(EncoderModel):
    """LightGCN with reweighted neighbours and added edges while training.

    Attributes:
        added: the item that each user is joined to, long [n_users]; 0 for none. In checkpoints, since a
            resumed epoch needs the edges of an earlier one.
    """

    options: DRGNNOptions
    encoder: LightGCNEncoder
    graph: VaryingMatrix
    added: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.loss_names = ("bpr", "penalty") if self.options.reg_weight else ("bpr",)
        self.register_buffer("added", torch.zeros(self.n_users, dtype=torch.long))
        degrees = (torch.from_numpy(self.interactions.getnnz(axis=axis)).float() for axis in (1, 0))
        for name, of_side in zip(("user_degrees", "item_degrees"), degrees, strict=True):
            self.register_buffer(name, of_side, persistent=False)
        self._join()

    def new_encoder(self) -> LightGCNEncoder:
        """Return LightGCN with new free vectors."""
        o = self.options
        return LightGCNEncoder(self.interactions, o.embedding_size, o.n_layers, o.init_std)

    # Edges.

    def begin_epoch(self, epoch: int) -> None:
        """Choose the added edges, in the epochs that have their turn."""
        o = self.options
        if not o.edge_weight or epoch < o.edge_start:  # weights of another run may have brought edges
            self.added.zero_()
        elif (epoch - o.edge_start) % o.edge_every == 0:
            self.added.copy_(self.nearest_items(self._drawn_items()))
        if not torch.equal(self.added.cpu(), self._joined):  # also after a resume
            self._join()

    def _drawn_items(self) -> Tensor:
        """Return a share rho of the items that have interactions, long [drawn]."""
        items = (self.item_degrees > 0).nonzero().squeeze(1)
        many = max(1, round(self.options.edge_share * len(items)))
        return items[torch.randperm(len(items), device=items.device)[:many]]

    @torch.no_grad()
    def nearest_items(self, drawn: Tensor) -> Tensor:
        """Return the nearest of some items for each user who lacks one of them, long [n_users]; else 0.

        Args:
            drawn: distinct items with interactions, long [drawn].
        """
        # e / sqrt(d) of unit vectors; a user without interactions has none.
        users, items = (
            F.normalize(table) * side.clamp(min=1).rsqrt()[:, None]
            for table, side in (
                (self.encoder.users, self.user_degrees),
                (self.encoder.items[drawn], self.item_degrees[drawn]),
            )
        )
        nearest = torch.zeros_like(self.added)
        for block in self.user_degrees.nonzero().squeeze(1).split(USER_BLOCK):
            # |a - b|^2 less |a|^2, [block, drawn].
            distance = items.square().sum(1) - 2 * users[block] @ items.T
            distance = distance.masked_fill(~self.positives.lacks(block, drawn), torch.inf)
            least, place = distance.min(1)
            nearest[block] = torch.where(least < torch.inf, drawn[place], 0)
        return nearest

    def _join(self) -> None:
        """Make the graph of the training pairs and the added edges."""
        self._joined = self.added.cpu().clone()
        added, o = self._joined.numpy(), self.options
        joined = np.flatnonzero(added)
        shape = self.interactions.shape
        edges = sp.csr_matrix((np.full(len(joined), 2.0, np.float32), (joined, added[joined])), shape)
        both = (self.interactions + edges).tocsr()  # 1 where there was an edge, 2 where there is a new one
        both.sort_indices()
        of_user = np.repeat(np.arange(shape[0]), np.diff(both.indptr))
        users, items = (self.interactions.getnnz(axis=axis) for axis in (1, 0))
        # Share of the distribution of a user's neighbours: 1 - c, and c d_u of an added one.
        share = np.where(both.data == 1, 1 - o.edge_weight, o.edge_weight * users[of_user])
        scale = degree_powers(users, -0.5)[of_user] * degree_powers(items, -0.5)[both.indices]
        both.data = scale.astype(np.float32)
        self.graph = VaryingMatrix(both).to(self.device)
        for name, values in (
            ("of_user", of_user),
            ("of_item", both.indices),
            ("share_of_user", share),
            ("scale", scale),
        ):
            values = torch.from_numpy(values.astype(np.int64 if name.startswith("of") else np.float32))
            self.register_buffer(name, values.to(self.device), persistent=False)

    @torch.no_grad()
    def neighbour_weights(self, of_items: bool = False) -> Tensor:
        """Return w of each edge, [edges] by users and then by items; those of a user sum to d_u.

        Args:
            of_items: normalise by items instead: those of an item sum to d_i.
        """
        users, items = F.normalize(self.encoder.users), F.normalize(self.encoder.items)
        # log f = -cos / (alpha sqrt(d_u d_i)), [edges].
        log_f = -pair_scores(users, items, self.of_user, self.of_item) * self.scale / self.options.alpha
        side = (self.of_item, self.item_degrees) if of_items else (self.of_user, self.user_degrees)
        node, degrees = side
        # Less the node's largest, which w does not feel: exp stays within (0, 1] for any alpha.
        largest = log_f.new_full((len(degrees),), -torch.inf)
        largest.scatter_reduce_(0, node, log_f, "amax")
        f = (log_f - largest[node]).exp() * self.share_of_user
        sums = f.new_zeros(len(degrees)).index_add_(0, node, f)
        return f * (degrees / sums.clamp(min=torch.finfo(f.dtype).tiny))[node]

    # Training.

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the ranking loss and the penalty, a scalar each."""
        o, users, items = self.options, interaction[self.USER_ID], interaction[self.ITEM_ID]
        negatives = uniform_negatives(self.positives, users)
        back = self.scale * self.neighbour_weights(of_items=True) if o.normalise_by == "receiver" else None
        self.graph.put(self.scale * self.neighbour_weights(), back)
        u, (v, n) = self.encoder.of_batch(users, torch.stack([items, negatives]), graph=self.graph)
        ranking = losses.bpr((u * v).sum(1) / o.temperature, (u * n).sum(1) / o.temperature)
        if not o.reg_weight:
            return (ranking,)
        return ranking, o.reg_weight * self.encoder.penalty(users, torch.cat([items, negatives]))
