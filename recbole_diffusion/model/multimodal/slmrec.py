"""SLMRec: LightGCN on ids and on each modality, fused, trained by contrast and a self-supervised task.

Reference:
    Tao, Liu, Xia, Wang, Yang, Huang, Chua: "Self-supervised Learning for Multimedia Recommendation". IEEE
    Transactions on Multimedia 25, 2022.

The algorithm. P and Q are the free vectors of users and items, F_m the features at length 1, W_m and b_m a
projection, and the channels c are the ids and the modalities::

    P^c, Q^c = LightGCN of P and v^c;  v^id = Q,  v^m = F_m W_m + b_m
    u = W_U [P^id; P^1; ..] + b_U,  i = W_I [Q^id; Q^1; ..] + b_I
    L = -log softmax over the batch of cos(u, i) / temperature + alpha L_ssl

LightGCN is linear. With M its matrix in blocks, Q^m = M_IU P + (M_II F_m) W_m + (M_II 1) b_m, and P^m alike:
the products in brackets are computed once (``precompute``), and a batch multiplies its own rows alone.
"""

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.model.base import InnerProductModel
from recbole_diffusion.model.encoder import Layer, LightGCNEncoder
from recbole_diffusion.model.layers import log_sum_exp
from recbole_diffusion.model.multimodal.options import SLMRecOptions
from recbole_diffusion.model.multimodal.projections import Projections
from recbole_diffusion.model.propagation import mean_of_layers

COLUMNS = 512  # of the features, propagated at once


class SLMRec(InnerProductModel):
    """Channels side by side, mapped to one vector for users and one for items.

    Differences from the authors' code:
        * Scores are of the present weights; MMRec keeps vectors from before the last step of an epoch.
        * FM masks one of the channels that there are; theirs may choose an audio that is not there.
        * With ``ssl_task: fd+fm`` both tasks are added.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "multimodal"
    spread_users: Tensor | None
    spread_items: Tensor | None

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: SLMRecOptions = config.options
        o, d = self.options, self.options.embedding_size
        self.encoder = LightGCNEncoder(binary_interactions(dataset), d, o.n_layers)
        self.projections = Projections(dataset.modalities.values(), d)  # W_m and b_m
        self.channels = 1 + len(self.projections)
        self.of_users, self.of_items = (nn.Linear(self.channels * d, d) for _ in range(2))
        self.loss_names = ("contrast", "ssl") if o.ssl_task != "none" else ("contrast",)
        if o.ssl_task == "fac":
            # From ids on, one modality after the other, the last in half the width.
            widths = [d] * (self.channels - 1)
            if self.channels > 2:
                widths[-1] = d // 2
            self.coarse = nn.ModuleList(nn.Linear(d, width) for width in widths)
            self.fine = nn.ModuleList(nn.Linear(d, width) for width in widths)
            # With two modalities their map has two layers: the one that another modality would have is kept.
            self.between = nn.Linear(d, d) if self.channels == 3 else None
        for name in ("spread_users", "spread_items"):
            self.register_buffer(name, None, persistent=False)
        if o.precompute:
            self.propagate_features()
        self._forget()

    @torch.no_grad()
    def propagate_features(self) -> None:
        """Compute M_UI [F, 1] and M_II [F, 1], F the features of all modalities side by side."""
        like = self.encoder.items
        ids = torch.arange(self.n_items, device=like.device)
        columns = torch.cat([self._features(ids), torch.ones_like(like[:, :1])], 1)
        graph, layers = self.encoder.graph, self.options.n_layers
        found = [
            mean_of_layers(graph, layers, block.new_zeros(self.n_users, block.shape[1]), block)
            for block in columns.split(COLUMNS, 1)
        ]
        self.spread_users, self.spread_items = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        megabytes = 4 * (self.n_users + self.n_items) * columns.shape[1] / 1e6
        logging.getLogger().info("precompute: propagated features take %.0f MB", megabytes)

    def _widths(self) -> list[int]:
        """Return the widths of the modalities' features."""
        return [one.linear.in_features for one in self.projections.each()]

    def _features(self, items: Tensor) -> Tensor:
        """Return the features of items at length 1, modalities side by side, [n, widths]."""
        return torch.cat([F.normalize(one.features(items), dim=1) for one in self.projections.each()], 1)

    def _projected(self, spread: Tensor) -> list[Tensor]:
        """Return rows [n, widths + 1] of propagated features and ones times W_m and b_m, each [n, d]."""
        *parts, ones = spread.split([*self._widths(), 1], 1)
        linear = [one.linear for one in self.projections.each()]
        return [F.linear(part, of.weight) + ones * of.bias for part, of in zip(parts, linear, strict=True)]

    def of_channels(
        self, some: Layer | None = None, *, own: bool = False, dropped: bool = False
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return P^c and Q^c of each channel, [n, d] each, of some users and items or of all.

        Args:
            some: long [m] and [n].
            own: one channel more, whose items are zeros.
            dropped: propagate in the plain form, with dropout after each propagation (FD).
        """
        e, d, zeros = self.encoder, self.options.embedding_size, torch.zeros_like(self.encoder.items)
        of_users, of_items = self.spread_users, self.spread_items
        if dropped or of_users is None or of_items is None:
            parts = self._features(torch.arange(self.n_items, device=zeros.device)).split(self._widths(), 1)
            modal = [one.linear(part) for one, part in zip(self.projections.each(), parts, strict=True)]
            # Channels side by side: one product for all of them, [n_items, channels d].
            items = torch.cat([e.items, *modal, *([zeros] if own else [])], 1)
            found = self._propagated(items, some, dropped)
            return list(found[0].split(d, 1)), list(found[1].split(d, 1))
        # Of the ids, and of users alone, which all modalities share.
        found = self._propagated(torch.cat([e.items, zeros], 1), some, False)
        channels = []
        for both, table, ids in zip(found, (of_users, of_items), some or (None, None), strict=True):
            of_ids, alone = both.chunk(2, 1)
            rows = table if ids is None else table.index_select(0, ids)
            modal = [alone + part for part in self._projected(rows)]
            channels.append([of_ids, *modal, *([alone] if own else [])])
        return channels[0], channels[1]

    def _propagated(self, items: Tensor, some: Layer | None, dropped: bool) -> Layer:
        """Return the mean over layers of items [n_items, k d], and of as many copies of the users."""
        e = self.encoder
        users = e.users.repeat(1, items.shape[1] // e.users.shape[1])
        if not dropped:
            return mean_of_layers(e.graph, e.n_layers, users, items, some)
        layers = [(users, items)]
        for _ in range(e.n_layers):
            forth, back = e.graph(layers[-1][1]), e.graph.back(layers[-1][0])
            layers.append(
                (F.dropout(forth, self.options.dropout_prob), F.dropout(back, self.options.dropout_prob))
            )
        found = e.pooled(layers)
        return (
            found if some is None else (found[0].index_select(0, some[0]), found[1].index_select(0, some[1]))
        )

    def fused(self, users: list[Tensor], items: list[Tensor]) -> Layer:
        """Return u and i of the channels, [n, d] each."""
        C = self.channels
        return self.of_users(torch.cat(users[:C], 1)), self.of_items(torch.cat(items[:C], 1))

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]; lengths count in scores."""
        return self.fused(*self.of_channels())

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the contrast of users with the items of the batch, and the self-supervised loss."""
        o = self.options
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        some_users, of_user = torch.unique(users, return_inverse=True)
        some_items, of_item = torch.unique(items, return_inverse=True)

        def rows(**how: bool) -> tuple[list[Tensor], list[Tensor]]:
            of_users, of_items = self.of_channels((some_users, some_items), **how)
            return [one[of_user] for one in of_users], [one[of_item] for one in of_items]

        channels = rows(own="fm" in o.ssl_task)
        u, i = (F.normalize(one, dim=1) for one in self.fused(*channels))
        scores = u @ i.T / o.temperature  # [batch, batch], the pairs on the diagonal
        if o.mask_repeats:
            repeats = (items[:, None] == items).fill_diagonal_(False)
            scores = scores.masked_fill(repeats, -torch.inf)
        tasks = [self._granular(channels[1])] if o.ssl_task == "fac" else []
        if "fd" in o.ssl_task:
            tasks.append(self._agreement(*(self.fused(*rows(dropped=True)) for _ in range(2))))
        if "fm" in o.ssl_task:
            tasks.append(self._agreement(*(self.fused(*self._masked(*channels)) for _ in range(2))))
        parts = [_diagonal(scores)]
        return tuple(parts + ([o.ssl_weight * torch.stack(tasks).sum()] if tasks else []))

    def _granular(self, items: list[Tensor]) -> Tensor:
        """Return the contrast of ids with the first modality, of what they give with the next, .. (FAC)."""
        found, x = [], items[0]
        for k, (coarse, fine) in enumerate(zip(self.coarse, self.fine, strict=True)):
            x = coarse(self.between(x) if k and self.between is not None else x)
            # Inner products, not cosines.
            found.append(_contrast(x / self.options.ssl_temperature, fine(items[k + 1])))
        return torch.stack(found).sum()

    def _masked(self, users: list[Tensor], items: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the channels, of one of which, drawn at random, the items are zeros (FM)."""
        which = int(torch.randint(self.channels, (1,)))
        masked = ([*one[:which], one[-1], *one[which + 1 : -1]] for one in (users, items))
        return next(masked), next(masked)

    def _agreement(self, first: Layer, second: Layer) -> Tensor:
        """Return the contrast of two views, of users with users and of items with items."""
        pairs = [(F.normalize(a, dim=1), F.normalize(b, dim=1)) for a, b in zip(first, second, strict=True)]
        return torch.stack([_contrast(a / self.options.ssl_temperature, b) for a, b in pairs]).sum()


def _diagonal(scores: Tensor) -> Tensor:
    """Return the cross entropy of rows of scores [batch, batch] whose class is on the diagonal."""
    return F.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def _contrast(left: Tensor, right: Tensor) -> Tensor:
    """Return that of ``left @ right.T`` for rows [batch, d], which is not made."""
    return (log_sum_exp(left, right) - (left * right).sum(1)).mean()
