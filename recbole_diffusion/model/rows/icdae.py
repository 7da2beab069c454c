"""ICDAE: a denoising autoencoder of ratings whose hidden layer does not saturate for active users.

References:
    Liu, Wang, Luo, Ma: "An improved autoencoder for recommendation to alleviate the vanishing gradient
    problem", Knowledge-Based Systems 263, 2023.
    Wu, DuBois, Zheng, Ester: "Collaborative Denoising Auto-Encoders for Top-N Recommender Systems", WSDM 2016
    (CDAE).

This is our reading of the paper's abstract, whose text we could not get: it says that an autoencoder trained
on active users has vanishing gradients, and that an improved one alleviates this.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import FoldInHistories, Recommender
from recbole_diffusion.model.layers import pair_scores
from recbole_diffusion.model.rows.adversarial import RatingRows
from recbole_diffusion.model.rows.options import ICDAEOptions


class ICDAE(Recommender):
    """A rating is low + (high - low) sigmoid(W'_i . h_u + b'_i), with h_u of the user's n ratings.

    With x = r / high::

        h_u = sigmoid(n^-rho sum_i x_ui W_i + V_u + b)

    In CDAE (``activity_power`` rho = 0) the sum grows with n, the sigmoid is flat there, and little of an
    active user's gradient reaches W: with inputs of 0.05 each, its slope is 0.235, 0.007 and 0.000 for 10,
    100 and 1,000 items. With rho = 1/2 it is 0.248, 0.235 and 0.142. Trained by the mean squared error of
    rated cells, in units of the highest rating, under dropout of the input.
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    loader_class = "positives"
    protocol = "rated"
    takes_histories = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options: ICDAEOptions = config.options
        d = self.options.embedding_size
        self.ratings = RatingRows(dataset, config.rating.rating_scale)
        low, high = self.ratings.low, self.ratings.high
        share = min(max((self.ratings.mean - low) / (high - low), 0.01), 0.99)
        self.W = losses.xavier(self.n_items, d)
        self.bias = nn.Parameter(torch.zeros(d))
        # V, [n_users, d]: what the ratings do not say; 0 for a user whom nothing has trained.
        self.V = nn.Parameter(torch.zeros(self.n_users, d)) if self.options.user_vectors else None
        self.output = losses.xavier(self.n_items, d)  # W'
        # b' at the mean rating, where training begins.
        self.output_bias = nn.Parameter(torch.full((self.n_items,), math.log(share / (1 - share))))

    def hidden(self, items: Tensor, starts: Tensor, values: Tensor, users: Tensor | None) -> Tensor:
        """Return h, [batch, d].

        Args:
            items: long [cells], the items of one user after the other.
            starts: long [batch], where each user's begin.
            values: their ratings in 0..1, [cells].
            users: long [batch]; None for users without a vector of their own.
        """
        counts = torch.diff(starts, append=starts.new_tensor([len(items)]))  # n, [batch]
        scale = counts.clamp(min=1).to(values.dtype) ** -self.options.activity_power
        summed = losses.sum_by_row(self.W, items, starts, values) * scale[:, None] + self.bias
        return torch.sigmoid(summed if users is None or self.V is None else summed + self.V[users])

    def _rating(self, logits: Tensor) -> Tensor:
        return self.ratings.low + (self.ratings.high - self.ratings.low) * torch.sigmoid(logits)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the mean squared error of the rated cells of a batch of users, a scalar."""
        users = interaction[self.USER_ID]
        cells = self.ratings.gather(users)
        corrupted = losses.dropout(cells.ratings, self.options.dropout_prob if self.training else 0.0)
        h = self.hidden(cells.items, cells.starts, corrupted, users)
        # The rated cells alone, [cells]; no row of all items.
        logits = pair_scores(h, self.output, cells.rows, cells.items) + self.output_bias[cells.items]
        return (self._rating(logits) / self.ratings.high - cells.ratings).square().mean()

    def _all(self, h: Tensor) -> Tensor:
        """Return ratings of all items, [batch, n_items]."""
        return self._rating(torch.addmm(self.output_bias, h, self.output.T))

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]; without corruption."""
        users = interaction[self.USER_ID]
        cells = self.ratings.gather(users)
        return self._all(self.hidden(cells.items, cells.starts, cells.ratings, users))

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        cells = self.ratings.gather(users)
        h = self.hidden(cells.items, cells.starts, cells.ratings, users)
        return self._rating((h * self.output[items]).sum(1) + self.output_bias[items])

    @torch.no_grad()
    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return predicted ratings of all items for users by their ratings, [batch, n_items]; V_u is 0."""
        values = histories.known_ratings / self.ratings.high
        return self._all(self.hidden(histories.items, histories.starts, values, None))
