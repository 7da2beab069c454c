"""NeuMF and DiffRec on ratings, as systems for ratings are compared with them.

RecBole's NeuMF learns labels of 0 and 1 with sampled negatives, and its DiffRec rows of 0 and 1. What they
predict, which rows they draw and how they are judged belong to a model, not to an option of one: so these
are models of their own, with RecBole's names and defaults of options.
"""

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.diffusion import (
    GaussianDiffusion,
    ImportanceSteps,
    sinusoidal_embedding,
    uniform_steps,
)
from recbole_diffusion.model.base import FoldInHistories, Recommender, pairs_of_rows
from recbole_diffusion.model.rows.adversarial import RatingRows
from recbole_diffusion.model.rows.options import RatedDiffRecOptions, RatedNeuMFOptions

NUMBERS = 2**22  # of the widest layer of RatedNeuMF at once, while all items are scored
FIRST_BETA = 1e-5  # DiffRec's, against overfitting at the first step


class _OfRatings(Recommender):
    """What both share: training ratings in 0..1."""

    input_type = InputType.POINTWISE
    predicts_ratings = True
    loader_class = "positives"
    protocol = "rated"

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.options = config.options
        self.ratings = RatingRows(dataset, config.rating.rating_scale)


class RatedNeuMF(_OfRatings):
    """A rating is low + (high - low) sigmoid(a . [p_u * q_i, MLP([s_u, t_i])]), with squared errors.

    He, Liao, Zhang, Nie, Hu, Chua: "Neural Collaborative Filtering", WWW 2017, Eq. 12, whose sigmoid and
    cross entropy are for labels of 0 and 1.
    """

    options: RatedNeuMFOptions
    layers: Any  # of linear layers

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o, sizes = self.options, (self.n_users, self.n_items)
        widths = (o.mf_embedding_size, o.mlp_embedding_size)
        # p and q, then s and t.
        self.p, self.q, self.s, self.t = (
            nn.Parameter(torch.randn(size, width) * 0.01) for width in widths for size in sizes
        )
        layers = [2 * o.mlp_embedding_size, *o.mlp_hidden_size]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(layers))
        self.last = nn.Linear(o.mf_embedding_size + layers[-1], 1)
        low, high = self.ratings.low, self.ratings.high
        share = min(max((self.ratings.mean - low) / (high - low), 0.01), 0.99)
        nn.init.constant_(self.last.bias, math.log(share / (1 - share)))  # the mean rating

    def _dropped(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.options.dropout_prob, self.training)

    def _first(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the first layer of vectors s and t, whose shapes broadcast: a part of each, summed."""
        layer: Any = self.layers[0]
        weight, bias, width = layer.weight, layer.bias, users.shape[-1]
        return F.linear(users, weight[:, :width]) + F.linear(items, weight[:, width:], bias)

    def _rating(self, product: Tensor, first: Tensor) -> Tensor:
        """Return ratings of the products p * q, [..., mf width], and the first layer, [..., width]."""
        x = torch.relu(first)
        for layer in self.layers[1:]:
            x = torch.relu(layer(self._dropped(x)))
        logits = self.last(torch.cat([product, x], -1)).squeeze(-1)
        return self.ratings.low + (self.ratings.high - self.ratings.low) * torch.sigmoid(logits)

    def _pairs(self, users: Tensor, items: Tensor) -> Tensor:
        """Return the ratings of pairs, [pairs]."""
        first = self._first(self._dropped(self.s[users]), self._dropped(self.t[items]))
        return self._rating(self.p[users] * self.q[items], first)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the mean squared error of a batch of rated pairs, a scalar."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        wanted = self.ratings.high * self.ratings.values[self.ratings.places(users, items)]
        return (self._pairs(users, items) - wanted).square().mean()

    @torch.no_grad()
    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]; some users at a time."""
        widest = max(self.options.mf_embedding_size, *self.options.mlp_hidden_size)
        blocks = interaction[self.USER_ID].split(max(NUMBERS // (self.n_items * widest), 1))
        # [block, 1, width] with [n_items, width].
        return torch.cat(
            [
                self._rating(self.p[some][:, None] * self.q, self._first(self.s[some][:, None], self.t))
                for some in blocks
            ]
        )

    @torch.no_grad()
    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        return self._pairs(interaction[self.USER_ID], interaction[self.ITEM_ID])


class RatedDiffRec(_OfRatings):
    """DiffRec on rows of ratings: x_0 is a user's ratings divided by the highest, 0 where nothing is rated.

    Wang, Xu, Feng, Lin, He, Chua: "Diffusion Recommender Model", SIGIR 2023. The noised row x_t and the
    step's embedding go through a perceptron, which predicts x_0; its error is that of the rated cells
    (``reconstruct: rated``), or of all as in the paper. Prediction starts from the row itself and takes all
    steps back without noise, as the authors' code does.
    """

    options: RatedDiffRecOptions
    layers: Any  # of linear layers
    takes_histories = True

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        self.diffusion = GaussianDiffusion(o.betas(), FIRST_BETA)
        self.importance = ImportanceSteps(o.steps) if o.reweight else None
        table = sinusoidal_embedding(torch.arange(o.steps), o.embedding_size)
        self.register_buffer("step_table", table, persistent=False)  # [steps, embedding]
        self.step = nn.Linear(o.embedding_size, o.embedding_size)
        # There and back: items and step to the first width, ..., and the same widths to the items.
        there = [self.n_items + o.embedding_size, *o.dims_dnn]
        back = [*o.dims_dnn[::-1], self.n_items]
        pairs = [*pairwise(there), *pairwise(back)]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        for layer in (self.step, *self.layers):
            nn.init.xavier_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.001)
        # Predictions begin at the mean rating of rated cells, or at 0 where most of what counts is unrated.
        if o.reconstruct == "rated":
            last: Any = self.layers[-1]
            nn.init.constant_(last.bias, self.ratings.mean / self.ratings.high)

    def predicted(self, xt: Tensor, t: Tensor) -> Tensor:
        """Return x_0 as predicted from x_t [batch, n_items] and the steps [batch], [batch, n_items]."""
        seen = F.dropout(xt, self.options.dropout_prob, self.training)
        x = torch.cat([seen, self.step(self.step_table[t])], 1)
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the weighted squared error of the predicted rows of a batch of users, a scalar."""
        o, users = self.options, interaction[self.USER_ID]
        items, _, rows, values = self.ratings.gather(users)[:4]
        x0 = self.ratings.dense(len(users), rows, items, values)
        if self.importance is None:
            t, weight = uniform_steps(o.steps, len(users), device=x0.device), x0.new_ones(len(users))
        else:
            t, weight = self.importance.sample(len(users))
        noise = torch.randn_like(x0)
        noise[:, 0] = 0  # the padding item
        error = (self.predicted(self.diffusion.q_sample(x0, t, noise), t) - x0).square()
        # The mean of each row over its rated cells, or over all items, [batch].
        mask = self.ratings.dense(len(users), rows, items, torch.ones_like(values))
        if o.reconstruct == "all":
            mask = torch.ones_like(mask)
        by_row = (error * mask).sum(1) / mask.sum(1)
        if self.importance is not None:
            by_row = by_row * self.diffusion.snr_weight(t)
            self.importance.update(t, by_row)
        return (by_row * weight).mean()

    @torch.no_grad()
    def denoised(self, x: Tensor) -> Tensor:
        """Return ratings of all items for rows in 0..1, [batch, n_items]: all steps back, without noise.

        Where the rated cells are reconstructed, the steps between keep to them: training has 0 elsewhere, and
        would take a rating that is only predicted for one that was given.
        """
        kept = (x != 0) if self.options.reconstruct == "rated" else torch.ones_like(x)
        for step in range(self.options.steps - 1, 0, -1):
            t = torch.full((len(x),), step, device=x.device)
            x = self.diffusion.posterior_mean(self.predicted(x, t), x, t) * kept
        # The posterior of the first step is the prediction itself, of all items.
        return self.ratings.high * self.predicted(x, torch.zeros(len(x), device=x.device).long())

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return predicted ratings of all items, [batch, n_items]."""
        items, starts, rows, values = self.ratings.gather(interaction[self.USER_ID])[:4]
        return self.denoised(self.ratings.dense(len(starts), rows, items, values))

    def predict(self, interaction: Any) -> Tensor:
        """Return the predicted ratings of user-item pairs, [batch]."""
        return pairs_of_rows(self, interaction)

    def fold_in_scores(self, histories: FoldInHistories, seed: int) -> Tensor:  # noqa: ARG002 there is no noise
        """Return predicted ratings of all items for users by their ratings, [batch, n_items]."""
        values = histories.known_ratings / self.ratings.high
        return self.denoised(
            self.ratings.dense(len(histories.starts), histories.rows, histories.items, values)
        )
