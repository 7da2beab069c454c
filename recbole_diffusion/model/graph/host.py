"""An encoder of users and items with a loss of its own: the base of the pairwise models of this folder."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.data.sampling import require_negatives
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.encoder import FactorEncoder, LightGCNEncoder
from recbole_diffusion.model.layers import pair_scores
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

_DENSE_RATIO = 100  # a candidate pair by pair costs as much as about this many cells of a whole product
_BLOCK_CELLS = 2**22  # scores at once, 16 MiB


def candidate_scores(rows: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """Return the inner products of each row with its own candidates, [rows, N].

    Args:
        rows: [rows, d].
        table: [n, d].
        candidates: rows of ``table``, long [rows, N].
    """
    many = candidates.shape[1]
    if many * _DENSE_RATIO < len(table):
        numbers = torch.arange(len(rows), device=rows.device).repeat_interleave(many)
        return pair_scores(rows, table, numbers, candidates.flatten()).view_as(candidates)
    # All scores of a few rows at once, then those of the candidates: three times faster than by pairs.
    size = max(1, _BLOCK_CELLS // len(table))
    blocks = zip(rows.split(size), candidates.split(size), strict=True)
    return torch.cat([(some @ table.T).gather(1, places) for some, places in blocks])


def squared_length(table: Tensor, ids: Tensor) -> Tensor:
    """Return the sum of the squared lengths of rows of a table, each as often as its id is given."""
    counts = ids.flatten().bincount(minlength=len(table)).to(table.dtype)
    return counts @ table.square().sum(1)


class EncoderModel(WholeGraphModel):
    """LightGCN or matrix factorisation, over which a subclass takes its loss of positive pairs.

    A batch has positives alone; the model draws its negatives among what ``positives`` lacks. Scores are
    inner products of the encoder's vectors, unless a subclass has other :meth:`vectors`.

    Attributes:
        interactions: R, scipy CSR [n_users, n_items], 1 for the training pairs.
        positives: the same as an index on the model's device.
        encoder: the free vectors, and the vectors made of them.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options = config.options  # a HostOptions
        self.interactions = binary_interactions(dataset)
        require_negatives(dataset, self.interactions, False, "")
        self.positives = InteractionCSR.from_scipy(self.interactions)
        self.encoder = self.new_encoder()
        self._forget()

    def new_encoder(self) -> FactorEncoder:
        """Return an encoder with new free vectors, as ``backbone`` and the options beside it say."""
        o = self.options
        if o.backbone == "lightgcn":
            return LightGCNEncoder(self.interactions, o.embedding_size, o.n_layers, o.init_std)
        return FactorEncoder(self.n_users, self.n_items, o.embedding_size, o.init_std)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return user vectors [n_users, d] and item vectors [n_items, d]."""
        return self.encoder.vectors()

    def counted_penalty(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the encoder's penalty of many items with repeats, in the time of the tables."""
        of_users = squared_length(self.encoder.users, users)
        return (of_users + squared_length(self.encoder.items, items)) / (2 * len(users))

    def drawn_pairs(self, interaction: Any) -> tuple[Tensor, Tensor]:
        """Return users and positives, long [batch], as ``positives_by`` says: of the batch, or drawn anew.

        ``user`` draws a user, then one of the user's items, so that users count alike, whatever they have.
        """
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        if self.options.positives_by == "interaction":
            return users, items
        known = (self.positives.offsets.diff() > 0).nonzero().squeeze(1)
        users = known[torch.randint(len(known), users.shape, device=users.device)]
        counts = self.positives.counts(users)
        drawn = (torch.rand(len(users), dtype=torch.float64, device=users.device) * counts).long()
        return users, self.positives.items[self.positives.offsets[users] + drawn]
