"""Adapter of RecBole's NeuMF: the scores of all items, which RecBole computes pair by pair."""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.base import ModelInterface

PAIRS = 4096  # taken through the layers at once: their inputs stay in the cache


class NeuMF(ModelInterface):
    """NeuMF, whose first layer is taken apart: what a pair needs of it is one sum of two vectors.

    With ``W = [W_u | W_i]`` the first layer of the pair (u, i) is ``W_u p_u + (W_i q_i + b)``: the first
    term is computed once for a user and the second once for an item. Only the layers after it see each pair.
    Scores are those of ``predict`` up to rounding.
    """

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items].

        Raises:
            NotImplementedError: as RecBole's other models of pairs do, in training, where dropout draws
                numbers for each pair.
        """
        if self.training and self.dropout_prob:
            raise NotImplementedError
        users = interaction[self.USER_ID]
        weight = self.predict_layer.weight[0]  # of the factors, then of the last layer
        scores = self.predict_layer.bias.expand(len(users), self.n_items)
        if self.mf_train:
            # sum_k w_k p_uk q_ik = (w * p_u) . q_i, [users, n_items]
            factors = self.user_mf_embedding(users) * weight[: self.mf_embedding_size]
            scores = scores + factors @ self.item_mf_embedding.weight.T
        if self.mlp_train:
            scores = scores + self._of_layers(users, weight[-self.mlp_hidden_size[-1] :])
        return self.sigmoid(scores)

    def _of_layers(self: Any, users: Tensor, weight: Tensor) -> Tensor:
        """Return the share of the layers in the scores, [users, n_items]; ``weight`` is the last one's."""
        layers = [one for one in self.mlp_layers.mlp_layers if not isinstance(one, nn.Dropout)]
        first, rest = layers[0], nn.Sequential(*layers[1:])
        size = self.mlp_embedding_size
        of_users = self.user_mlp_embedding(users) @ first.weight[:, :size].T  # [users, hidden]
        of_items = self.item_mlp_embedding.weight @ first.weight[:, size:].T + first.bias  # [n_items, hidden]
        blocks = []
        for some in of_users.split(max(1, PAIRS // self.n_items)):
            # [some users, items of a block, hidden] -> [some users, items of a block]
            found = [rest(some[:, None] + block) @ weight for block in of_items.split(PAIRS)]
            blocks.append(torch.cat(found, dim=1))
        return torch.cat(blocks)
