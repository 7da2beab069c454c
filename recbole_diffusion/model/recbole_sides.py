"""Adapters of models of pairs: what is of the user or of the item alone is computed once for each.

RecBole computes it anew for each pair.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import Interaction
from recbole_diffusion.data.graph import binary, scaled
from recbole_diffusion.model.base import ModelInterface

PAIRS = 4096  # taken through the layers at once, and users or items: their inputs stay in the cache

Sides = tuple[Tensor, ...]


def by_blocks(predict: Callable[[Interaction], Tensor], interaction: Interaction, size: int) -> Tensor:
    """Return the scores of pairs, [batch], some at a time."""
    starts = range(0, len(interaction), size)
    return torch.cat([predict(interaction[start : start + size]) for start in starts])


class _Sides(ModelInterface):
    """Models whose score is a function of what is known of the user and what is known of the item.

    A subclass has ``_user_side`` and ``_item_side``, from long [n] to tensors with a row each, and
    ``_of_sides``, from two such tuples to scores, of all shapes that broadcast.
    """

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items].

        Raises:
            NotImplementedError: as RecBole's other models of pairs do, in training, where dropout draws
                numbers for each pair.
        """
        if self.training:
            raise NotImplementedError
        users = interaction[self.USER_ID]
        of_users = _in_blocks(self._user_side, users)
        of_items = _in_blocks(self._item_side, torch.arange(self.n_items, device=users.device))
        size = max(1, PAIRS // self.n_items)
        rows = []
        for start in range(0, len(users), size):
            mine = [side[start : start + size, None] for side in of_users]
            # [some users, items of a block]
            found = [self._of_sides(mine, block) for block in _split(of_items)]
            rows.append(torch.cat(found, 1))
        return torch.cat(rows)

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of pairs, [batch]."""
        if self.training:
            return super().predict(interaction)  # type: ignore[misc]
        of_users, user_rows = self._distinct(interaction[self.USER_ID], self._user_side)
        of_items, item_rows = self._distinct(interaction[self.ITEM_ID], self._item_side)
        found = []
        for mine, theirs in zip(user_rows.split(PAIRS), item_rows.split(PAIRS), strict=True):
            pair = [side[mine] for side in of_users], [side[theirs] for side in of_items]
            found.append(self._of_sides(*pair))
        return torch.cat(found)

    @staticmethod
    def _distinct(ids: Tensor, side: Callable[[Tensor], Sides]) -> tuple[Sides, Tensor]:
        distinct, where = ids.unique(return_inverse=True)
        return _in_blocks(side, distinct), where


def _in_blocks(side: Callable[[Tensor], Sides], ids: Tensor) -> Sides:
    """Return a side of ids, long [n], computed in blocks: layers before it may be wide."""
    return tuple(torch.cat(parts) for parts in zip(*map(side, ids.split(PAIRS)), strict=True))


def _split(sides: Sides) -> list[Sides]:
    """Return the sides in blocks of rows."""
    return list(zip(*(side.split(PAIRS) for side in sides), strict=True))


class NNCF(_Sides):
    """NNCF, whose convolutions over neighbours are those of the user and of the item.

    With the first layer W = [W_p | W_u | W_i] taken apart, the pair has W_p (p * q) + (W_u c_u) +
    (W_i c_i + b): the last two are computed once for a user and for an item.
    """

    def get_neigh_knn(self: Any) -> tuple[Tensor, Tensor]:
        """Return the neighbours of users and of items, long [n_users, neigh_num] and [n_items, neigh_num].

        Those of a user are items of theirs, and where these are fewer, the items most similar to one of
        them by the cosine of their users follow. RecBole's own ends in an error: it gives the name of a side
        to an argument that has become a number.
        """
        R = binary(self.interaction_matrix)
        draw = np.random.default_rng(int(torch.randint(2**31, ())))  # of the run's seed
        found = (_neighbours(side, self.neigh_num, draw) for side in (R, R.T.tocsr()))
        users, items = (torch.from_numpy(table).to(self.device) for table in found)
        return users, items

    def _layers(self: Any) -> list[nn.Module]:
        return [one for one in self.mlp_layers.mlp_layers if not isinstance(one, nn.Dropout)]

    def _weights(self: Any) -> tuple[Tensor, Tensor, Tensor]:
        weight = self._layers()[0].weight  # [hidden, d + 2 wide]
        size = self.ui_embedding_size
        return weight[:, :size], *weight[:, size:].chunk(2, 1)

    def _user_side(self: Any, users: Tensor) -> Sides:
        around = self.user_conv(self.user_neigh_embedding(self.u_neigh[users]).transpose(1, 2))
        return self.user_embedding(users), around.flatten(1) @ self._weights()[1].T

    def _item_side(self: Any, items: Tensor) -> Sides:
        around = self.item_conv(self.item_neigh_embedding(self.i_neigh[items]).transpose(1, 2))
        hidden = around.flatten(1) @ self._weights()[2].T + self._layers()[0].bias
        return self.item_embedding(items), hidden

    def _of_sides(self: Any, of_users: Sides, of_items: Sides) -> Tensor:
        hidden = (of_users[0] * of_items[0]) @ self._weights()[0].T + of_users[1] + of_items[1]
        for layer in (*self._layers()[1:], self.out_layer):
            hidden = layer(hidden)
        return torch.sigmoid(hidden.squeeze(-1))


def _neighbours(R: sp.csr_matrix, k: int, draw: np.random.Generator) -> np.ndarray:
    """Return k columns for each row of a binary R, [rows, k]; 0, the padding, where there are no more."""
    unit = scaled(R, 0.0, 0.5)  # whose columns have length 1: their products are cosines
    by_column = unit.tocsc()
    found = np.zeros((R.shape[0], k), np.int64)
    for row in np.diff(R.indptr).nonzero()[0]:
        own = R.indices[R.indptr[row] : R.indptr[row + 1]]
        if len(own) >= k:
            found[row] = draw.choice(own, k)  # with replacement, as RecBole draws
            continue
        one = draw.choice(own)
        column = by_column[:, [one]]
        # Cosines with all columns, [columns]; rows without this one add nothing.
        cosines = unit[column.indices].T @ column.data
        cosines[one] = 0
        nearest = np.argsort(-cosines, kind="stable")[: k - len(own)]
        nearest = nearest[cosines[nearest] > 0]
        found[row, : len(own) + len(nearest)] = [*own, *nearest]
    return found


class MKR(_Sides):
    """MKR, whose units cross an item with its entity, and know no user."""

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        if self.training or not self.use_inner_product:
            return super().full_sort_predict(interaction)
        items = torch.arange(self.n_items, device=interaction[self.USER_ID].device)
        return self._user_side(interaction[self.USER_ID])[0] @ _in_blocks(self._item_side, items)[0].T

    def _user_side(self: Any, users: Tensor) -> Sides:
        return (self.user_mlp(self.user_embeddings_lookup(users)),)

    def _item_side(self: Any, items: Tensor) -> Sides:
        crossed = self.cc_unit([self.item_embeddings_lookup(items), self.entity_embeddings_lookup(items)])
        return (crossed[0],)

    def _of_sides(self: Any, of_users: Sides, of_items: Sides) -> Tensor:
        pair = torch.broadcast_tensors(of_users[0], of_items[0])
        if self.use_inner_product:
            return (pair[0] * pair[1]).sum(-1)
        return self.rs_pred_mlp(self.rs_mlp(torch.cat(pair, -1))).squeeze(-1)


class ENMF(ModelInterface):
    """ENMF, whose scores sum_k h_k p_uk q_ik are (h * p_u) . q_i: no table [users, items, d] is made."""

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        users = self.user_embedding(interaction[self.USER_ID])
        return (users * self.H_i.weight[0]) @ self.item_embedding.weight.T


class CFKG(ModelInterface):
    """CFKG, whose relation of buying moves all users alike."""

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        users = self.user_embedding(interaction[self.USER_ID]) + self.relation_embedding.weight[-1]
        items = self.entity_embedding.weight[: self.n_items]
        if self.loss_function == "transe":
            # Not by products, which lose the digits of small distances.
            return -torch.cdist(users, items, compute_mode="donot_use_mm_for_euclid_dist")
        return users @ items.T


class ConvNCF(ModelInterface):
    """ConvNCF, whose maps of a pair, [channels, d / 4, d / 4] and more, are made for some pairs at a time."""

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of pairs, [batch]."""
        return by_blocks(super().predict, interaction, PAIRS)  # type: ignore[misc]


SIDES: dict[str, type[ModelInterface]] = {
    "NNCF": NNCF,
    "MKR": MKR,
    "ENMF": ENMF,
    "CFKG": CFKG,
    "ConvNCF": ConvNCF,
}
