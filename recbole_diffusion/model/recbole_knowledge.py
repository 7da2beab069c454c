"""Adapters of KGCN, KGNNLS and RippleNet: full rankings by blocks of users, without what pairs repeat."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.base import ModelInterface, pairs_of_rows

CELLS = 2**14  # users times entities that are computed at once


class Neighbours(ModelInterface):
    """KGCN and KGNNLS, whose vector of an entity for a user is the same wherever the entity is met.

    With x_t the vector of entity t, its neighbours t_k by relations r_k (k of K) and a user's logits of
    relations, softmax over k, w_k = softmax(u . r_k / d), a layer gives act(W (x_e + sum_k w_k x_{t_k} / K) +
    b). RecBole computes that for each pair and each place in a tree of K^n neighbours. Here

    - the logits are computed once for a user and a relation;
    - W comes before the sum over neighbours: the first layer multiplies the table of entities, once for all
      users;
    - a layer is computed once for each entity within reach of the layers after it.
    """

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, [users, n_items]."""
        users = self.user_embedding(interaction[self.USER_ID])
        reach = [torch.arange(self.n_items, device=users.device)]  # of the last layer, of that before, ...
        for _ in range(self.n_iter - 1):
            reach.append(torch.cat([reach[-1], self.adj_entity[reach[-1]].flatten()]).unique())
        first = self._of_weights(0, self.entity_embedding.weight)
        size = max(1, CELLS // len(reach[-1]))
        return torch.cat([self._of_users(some, reach[::-1], first) for some in users.split(size)])

    def _of_users(
        self: Any, users: Tensor, reach: list[Tensor], first: tuple[Tensor | None, Tensor]
    ) -> Tensor:
        """Return the scores of users by their vectors, [users, n_items]; ``first`` is of the first layer."""
        logits = users @ self.relation_embedding.weight.T / self.embedding_size  # [users, relations]
        own, others = first
        order = torch.arange(self.n_entities, device=users.device)
        place = order  # of an entity among those whose vectors are known
        for layer, entities in enumerate(reach):
            shares = logits[:, self.adj_relation[entities]].softmax(-1) / self.neighbor_sample_size
            around = others[..., place[self.adj_entity[entities]], :]  # [(users,) entities, K, d]
            terms = "uek,ekd->ued" if layer == 0 else "uek,uekd->ued"
            found = torch.einsum(terms, shares, around) + self.linear_layers[layer].bias
            if own is not None:
                found = found + own[..., place[entities], :]
            last = layer == len(reach) - 1
            found = found.tanh() if last else found.relu()
            if not last:
                own, others = self._of_weights(layer + 1, found)
                place = torch.zeros_like(order).index_put_((entities,), order[: len(entities)])
        return torch.einsum("ued,ud->ue", found, users)

    def _of_weights(self: Any, layer: int, vectors: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return W x of entities as themselves, None for none of it, and as neighbours, [..., d] each."""
        weight = self.linear_layers[layer].weight
        if self.aggregator_class == "concat":
            own, others = weight.chunk(2, 1)
            return vectors @ own.T, vectors @ others.T
        found = vectors @ weight.T
        return (found if self.aggregator_class == "sum" else None), found


class RippleNet(ModelInterface):
    """RippleNet by blocks of users, whose memories hold a matrix for each triple.

    Drawn items have the scores of a full ranking: RecBole gathers a user's memories for each pair. A user
    without a training row has the memories of one whose items have no triple, the padding.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        none = torch.zeros(self.n_memory, dtype=torch.long, device=self.device)
        for user in range(self.n_users):
            self.ripple_set.setdefault(user, [(none, none, none)] * self.n_hop)

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of all items, one user after the other, [users * n_items]."""
        users = interaction[self.USER_ID]
        blocks = users.split(max(1, CELLS // self.n_items))
        asked = (Interaction({self.USER_ID: some}) for some in blocks)
        whole = super().full_sort_predict  # type: ignore[misc]
        return torch.cat([whole(some) for some in asked])

    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of pairs, [batch], from each user's scores, computed once."""
        return pairs_of_rows(self, interaction)


KNOWLEDGE: dict[str, type[ModelInterface]] = {
    **dict.fromkeys(("KGCN", "KGNNLS"), Neighbours),
    "RippleNet": RippleNet,
}
