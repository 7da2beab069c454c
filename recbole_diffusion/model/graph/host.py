"""An encoder of users and items with a loss of its own: the base of the pairwise models of this folder."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.data.sampling import require_negatives
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.encoder import FactorEncoder, LightGCNEncoder
from recbole_diffusion.sampler.interaction_csr import InteractionCSR


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

    def of_batch(
        self, users: Tensor, items: Tensor, encoder: FactorEncoder | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return an encoder's vectors of a batch with gradient; each distinct id is encoded once.

        Args:
            users: ids, long of any shape.
            items: ids, long of any shape, such as [batch] or [batch, N].
            encoder: the model's own if None.

        Returns:
            [*users.shape, d] and [*items.shape, d].
        """
        some_users, of_user = torch.unique(users, return_inverse=True)
        some_items, of_item = torch.unique(items, return_inverse=True)
        U, V = (self.encoder if encoder is None else encoder).vectors((some_users, some_items))
        # Unlike U[of_user], with a gradient that threads cannot reorder.
        return F.embedding(of_user, U), F.embedding(of_item, V)

    def penalty(self, users: Tensor, items: Tensor, encoder: FactorEncoder | None = None) -> Tensor:
        """Return half the squared length of the free vectors of some users and items, over the users' number.

        Args:
            users: long [batch].
            items: long [batch] or more, such as positives and negatives one after the other.
            encoder: the model's own if None.
        """
        of_users, of_items = (self.encoder if encoder is None else encoder).ego(users, items)
        return (of_users.square().sum() + of_items.square().sum()) / (2 * len(users))
