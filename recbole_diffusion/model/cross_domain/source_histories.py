"""Users without a number who are known by their ratings in the source domain."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.model.base import Histories
from recbole_diffusion.model.cross_domain.factors import Factors


class SourceHistories:
    """What a model of cold users adds to score people whom no training has seen, from their source ratings.

    The trained source factors stay as they are; the user's source vector is the one that they give the new
    ratings (:meth:`Factors.fold_in`), and the model transfers it as it does those of its cold users.
    """

    history_domain = "source"
    history_weight = 1.0  # of source ratings in the loss of the source factors

    def source_factors(self) -> Factors:
        """Return the factorisation that knows the source items."""
        raise NotImplementedError

    def source_history(self, histories: Histories) -> Histories:
        """Return the histories in the item numbers and on the scale of :meth:`source_factors`."""
        return histories

    def transfer_new(self, vectors: Tensor, histories: Histories, seed: int) -> Tensor:
        """Return the vectors of users by their source vectors [batch, width] and source ratings, [batch, width].

        Args:
            vectors: folded in.
            histories: in the item numbers of the source domain.
            seed: of the model's noise, where it has some.
        """
        raise NotImplementedError

    @torch.no_grad()
    def history_vectors(self: Any, histories: Histories, seed: int) -> Tensor:
        """Return the vectors of users by their source ratings, as ``inner_products`` scores them, [batch, width + 1]."""
        vectors = self.source_factors().fold_in(self.source_history(histories), self.history_weight)
        return self.with_one(self.calibrated(self.transfer_new(vectors, histories, seed)))
