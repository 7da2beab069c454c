"""ItemRidge: biases and EASE on rating residuals, the baseline that models of ratings have to pass."""

from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.ratings import rating_rows
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.base import FoldInHistories, Recommender, pairs_of_rows
from recbole_diffusion.model.rows.options import ItemRidgeOptions
from recbole_diffusion.model.rows.popularity_term import popularity_term
from recbole_diffusion.model.rows.ridge_fit import RatedFit, csr_of


class ItemRidge(Recommender):
    """:class:`RatedFit` as a model: nothing is trained, and new users are scored as trained ones are.

    With ``stretch: False`` it is the baseline "item-item ridge on residuals" as tables usually have it.
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    loader_class = "positives"
    protocol = "rated"
    takes_histories = True
    computed_when_made = True
    popularity: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: ItemRidgeOptions = config.options
        scale = config.rating.rating_scale
        if scale is None:
            raise UsageError("rating_scale is None; ItemRidge needs [lowest, highest] rating, such as [1, 5]")
        self.rows = rating_rows(dataset, *scale)
        self.fit = RatedFit(self.rows, self.options)
        counts = torch.from_numpy(self.fit.of_items)
        # Added to the ratings of all items, [n_items].
        self.register_buffer(
            "popularity", popularity_term(counts, self.options.popularity_weight), persistent=False
        )
        self.untrained = nn.Parameter(torch.zeros(1))  # RecBole's trainers ask for a parameter

    def calculate_loss(self, interaction: Any) -> Tensor:  # noqa: ARG002
        """Return a constant: there is nothing to train."""
        return self.untrained.sum()

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]."""
        scores = self.fit.scores(self.rows[interaction[self.USER_ID].cpu().numpy()])
        return scores.to(self.device) + self.popularity

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        return pairs_of_rows(self, interaction)

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return predicted ratings of all items for users by their ratings, [batch, n_items]."""
        items, starts = histories.items, histories.starts
        scores = self.fit.scores(csr_of(items, starts, histories.known_ratings, self.n_items))
        return scores.to(self.device) + self.popularity
