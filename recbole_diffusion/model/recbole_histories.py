"""Adapters of FISM and NAIS: scores of all items by sums over histories, which RecBole makes user by user."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.base import ModelInterface, pairs_of_rows
from recbole_diffusion.model.recbole_sides import by_blocks
from recbole_diffusion.model.user_blocks import KEPT, checksum

PAIRS = 2**14  # of two items, whose attention is computed at once
COLUMNS = 128  # items whose scores are computed at once


class _Histories(ModelInterface):
    """Models that know a user by the items of a table, ``history_item_matrix``."""

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.alpha = float(self.alpha)  # torch has no negative whole powers of whole numbers

    def _bags(self: Any, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the items of users one after the other, long [total], and where they begin, [users + 1]."""
        items = self.history_item_matrix[users][self.mask_mat[users].bool()]
        return items, F.pad(self.history_lens[users].cumsum(0), (1, 0))

    def _discount(self: Any, users: Tensor) -> Tensor:
        """Return n^-alpha of users with n items, 1 of those without any, whose sums are 0, [users, 1]."""
        return self.history_lens[users].clamp(min=1).pow(-self.alpha).float()[:, None]


class FISM(_Histories):
    """FISM, whose users are vectors: sum_j p_j . q_i over a history is (sum_j p_j) . q_i.

    RecBole multiplies each item of the history, and its padding, with each item that is scored or trained on.
    A full ranking has its logits, and drawn items the sigmoid of a sigmoid, as RecBole's do.
    """

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        users = interaction[self.USER_ID]
        scores = self._vectors(users) @ self.item_dst_embedding.weight.T
        return scores + self.user_bias[users, None] + self.item_bias

    def forward(self: Any, user: Tensor, item: Tensor) -> Tensor:
        """Return the sigmoid of the logits of pairs, [batch], in training and for drawn items."""
        distinct, where = user.unique(return_inverse=True)
        products = (self._vectors(distinct)[where] * self.item_dst_embedding(item)).sum(1)
        return torch.sigmoid(products + self.user_bias[user] + self.item_bias[item])

    def _vectors(self: Any, users: Tensor) -> Tensor:
        """Return n^-alpha sum_j p_j over the n items of each user, [users, d]."""
        items, starts = self._bags(users)
        sums = F.embedding_bag(
            items, self.item_src_embedding.weight, starts, mode="sum", include_last_offset=True
        )
        return sums * self._discount(users)


class NAIS(_Histories):
    """NAIS, whose attention is computed once for two items, not for each user who has the first of them.

    With e_ji = exp(a_ji), where the attention a_ji knows the items j and i alone, the score is

        n^-alpha  sum_j e_ji (p_j . q_i) / (sum_j e_ji)^beta  + b_i,

    two sums over the history of rows of tables [items, items]. RecBole computes a_ji for each user and j.
    """

    _kept: tuple[Any, list[Tensor]] = (None, [])  # where and of which weights the tables are, and they

    def forward(self: Any, user: Tensor, item: Tensor) -> Tensor:
        """Return the logits of pairs, [batch], in training and for few drawn items.

        RecBole's take the padding of histories through the layers too, and mask it afterwards.
        """
        items = self._bags(user)[0]
        # A row for each item j of the history of a pair's user, [total].
        pair = torch.arange(len(user), device=user.device).repeat_interleave(self.history_lens[user])
        sources, targets = self.item_src_embedding(items), self.item_dst_embedding(item)[pair]
        products = sources * targets
        inputs = products if self.algorithm == "prod" else torch.cat([sources, targets], 1)
        weights = (self.mlp_layers(inputs) @ self.weight_layer).exp()  # e_ji, [total, 1]
        both = torch.cat([weights, weights * products.sum(1, keepdim=True)], 1)
        sums = both.new_zeros(len(user), 2).index_add(0, pair, both)
        return self._normalised(sums[:, 1], sums[:, 0]) * self._discount(user)[:, 0] + self.bias[item]

    def _normalised(self: Any, products: Tensor, weights: Tensor) -> Tensor:
        """Return sums of products over those of weights to the power beta; 0 of users without items."""
        return products / weights.where(weights > 0, 1).pow(self.beta)

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        users = interaction[self.USER_ID]
        items, starts = self._bags(users)
        blocks = []
        rows, tables = self._tables(items)
        for table in tables:
            found = F.embedding_bag(rows, table, starts, mode="sum", include_last_offset=True)
            weights, products = found.chunk(2, 1)  # [users, block] each
            blocks.append(self._normalised(products, weights))
        return torch.sigmoid(self._discount(users) * torch.cat(blocks, 1) + self.bias)

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of pairs, [batch], by the cheaper of the two ways."""
        users, width = interaction[self.USER_ID], self.history_item_matrix.shape[1]
        seen = min(int(self.history_lens[users.unique()].sum()), self.n_items)
        if len(users) * width > seen * self.n_items:
            return pairs_of_rows(self, interaction)
        # Each pair has a table, [width, d].
        return by_blocks(super().predict, interaction, max(1, PAIRS // width))  # type: ignore[misc]

    def _tables(self: Any, items: Tensor) -> tuple[Tensor, Iterable[Tensor]]:
        """Return the rows of items, long [total], in tables of :meth:`_attended`, and one for each block.

        Tables of all items are kept until the weights change, where there is room and most are needed.
        """
        seen, rows = items.unique(return_inverse=True)
        blocks = torch.arange(self.n_items, device=items.device).split(COLUMNS)
        few = 2 * len(seen) < self.n_items or 2 * self.n_items**2 > KEPT
        if few or torch.is_grad_enabled():
            return rows, (self._attended(seen, some) for some in blocks)
        weights = items.device, checksum(self.parameters())
        if self._kept[0] != weights:
            whole = torch.arange(self.n_items, device=items.device)
            self._kept = weights, [self._attended(whole, some) for some in blocks]
        return items, self._kept[1]

    def _attended(self: Any, seen: Tensor, some: Tensor) -> Tensor:
        """Return e_ji, and beside it e_ji (p_j . q_i), of seen items j and some items i, [seen, 2 some]."""
        targets = self.item_dst_embedding(some)
        tables = []
        for sources in self.item_src_embedding(seen).split(max(1, PAIRS // len(some))):
            weights = self._logits(sources, targets).exp()
            tables.append(torch.cat([weights, weights * (sources @ targets.T)], 1))
        return torch.cat(tables) if tables else targets.new_zeros(0, 2 * len(some))

    def _logits(self: Any, sources: Tensor, targets: Tensor) -> Tensor:
        """Return the attention a_ji, [j, i], with h the last weight and (W, b) the layer before it."""
        layer = next(one for one in self.mlp_layers.mlp_layers if isinstance(one, nn.Linear))
        if self.algorithm == "prod":
            # W (p_j * q_i) = (W * q_i) p_j: no table of products. [d, i, hidden]
            turned = (targets[:, None] * layer.weight).permute(2, 0, 1)
            hidden = (sources @ turned.flatten(1)).view(len(sources), *turned.shape[1:]) + layer.bias
        else:
            # W = [W_j | W_i]: one sum of two vectors.
            of_sources, of_targets = layer.weight.chunk(2, 1)
            hidden = (sources @ of_sources.T)[:, None] + (targets @ of_targets.T + layer.bias)
        return (hidden.relu() @ self.weight_layer).squeeze(2)


HISTORIES: dict[str, type[ModelInterface]] = {"FISM": FISM, "NAIS": NAIS}
