"""RecBole's sequential models: a history is encoded once for all items that are asked for, not for each."""

from typing import Any

import torch
from torch import Tensor

from recbole_diffusion.compat import Interaction
from recbole_diffusion.model.base import ModelInterface, pairs_of

LEAST = 4  # pairs for each history, below which the scores of all items cost more than the pairs
# Those whose encoder is most of the cost of a score.
ENCODERS = (
    *("BERT4Rec", "Caser", "FDSA", "FEARec", "GCSAN", "GRU4Rec", "GRU4RecF", "GRU4RecKG", "LightSANs"),
    *("NARM", "NextItNet", "RepeatNet", "S3Rec", "SASRec", "SASRecF", "SINE", "SRGNN", "STAMP"),
)


class EncodedHistories(ModelInterface):
    """Models that score all items by one pass over a history; RecBole makes a pass for each pair."""

    @torch.no_grad()
    def predict(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of histories' pairs with items, [batch], from each history's scores."""
        # A user and a history, [batch, 1 + length].
        rows = torch.cat([interaction[self.USER_ID][:, None], interaction[self.ITEM_SEQ]], 1)
        distinct, where = rows.unique(dim=0, return_inverse=True)
        if len(distinct) * LEAST > len(where):
            return self.predict_pairs(interaction)
        # The first of the pairs of each history, [histories].
        order = torch.arange(len(where), device=where.device)
        first = torch.full_like(order[: len(distinct)], len(where))
        first.scatter_reduce_(0, where, order, "amin")

        def scores_of(block: slice) -> Tensor:
            some = first[block]
            # Not n_items in width: S3Rec counts its mask among them.
            return self.full_sort_predict(interaction[some]).view(len(some), -1)

        return pairs_of(where, interaction[self.ITEM_ID], len(first), self.n_items, scores_of)

    def predict_pairs(self: Any, interaction: Interaction) -> Tensor:
        """Return RecBole's scores of pairs, [batch], of which few have one history."""
        return super().predict(interaction)  # type: ignore[misc]


class CORE(EncodedHistories):
    """CORE, which divides items by their lengths in training and in a full ranking.

    RecBole's ``predict`` does not: drawn items have the scores of the full ranking here.
    """

    def predict_pairs(self: Any, interaction: Interaction) -> Tensor:
        """Return the scores of pairs, [batch]."""
        history = self.forward(interaction[self.ITEM_SEQ])
        items = torch.nn.functional.normalize(self.item_embedding(interaction[self.ITEM_ID]), dim=-1)
        return (history * items).sum(1) / self.temperature


class KSR(EncodedHistories):
    """KSR, whose vectors of relations are as precise as its weights.

    RecBole reads them in double precision and multiplies them by single ones, which torch refuses.
    """

    def __init__(self: Any, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)  # type: ignore[call-arg]
        self.relation_Matrix = self.relation_Matrix.float()


class SHAN(ModelInterface):
    """SHAN, whose full ranking reads the newest items where the training has them, at the end of a row.

    RecBole's reads the history as it is, where the last places are padding.
    """

    def full_sort_predict(self: Any, interaction: Interaction) -> Tensor:
        """Return scores of all items, [batch, n_items]."""
        history, lengths = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        # [1, 2, 3, 0, 0] becomes [0, 0, 1, 2, 3]; [batch, length].
        places = torch.arange(history.shape[1], device=history.device) + lengths[:, None]
        turned = history.gather(1, places % history.shape[1])
        return super().full_sort_predict(  # type: ignore[misc]
            Interaction({self.USER_ID: interaction[self.USER_ID], self.ITEM_SEQ: turned})
        )


SEQUENTIAL: dict[str, type[ModelInterface]] = {
    **dict.fromkeys(ENCODERS, EncodedHistories),
    "CORE": CORE,
    "KSR": KSR,
    "SHAN": SHAN,
}
