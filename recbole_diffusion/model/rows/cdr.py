"""CDR: a variational autoencoder over the chronological environments of a user's history.

Reference:
    Wang, Lin, Wang, Feng, Ma, Chua: "Causal Disentangled Recommendation Against User Preference Shifts", ACM
    TOIS 42(1), 2023.

A user's items, in order of time, are cut into T environments of equal counts. With x_t the row of 0 and 1 of
environment t, C categories of preference and K factors::

    h = tanh(W_1 x_t / |x_t| + b_1),   a_t ~ N(mu(h), sigma(h))        unobserved factors of environment t
    z_t ~ N([a_t; z_{t-1}] W + b),     z_0 = 0                         preference, carried on
    M1 [C, K], M2 [C, n_items]         softmax over C of the gates     what belongs to which category
    y_ti = (sum_c M2_ci V_i . (z_t * M1_c) + beta_i) / tau             scores
    L = mean_t [CE(x_t, softmax(y_t)) + lambda_1 KL(a_t)]
        + lambda_2 (expected number of open gates) + lambda_3 sum_t |dL_t/dV - mean over t|^2

Two identities keep it small. The sum over c is an inner product with V_i * G_i, G_i = sum_c M2_ci M1_c / tau,
so that no [C, batch, n_items] array exists and scores are inner products. And dL_t/dV is known in closed
form, G * (residuals^T z_t) / batch, so that its variance needs no second derivative.

Longer than most files: the equations above in their order.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.dataset import TIME_RANK
from recbole_diffusion.data.graph import binary_interactions
from recbole_diffusion.data.valid_part import place_in_group
from recbole_diffusion.model import loss as losses
from recbole_diffusion.model.base import FoldInHistories, InnerProductModel
from recbole_diffusion.model.rows.options import CDROptions
from recbole_diffusion.model.user_blocks import USER_BLOCK
from recbole_diffusion.sampler.interaction_csr import InteractionCSR

Cells = tuple[Tensor, Tensor]  # rows and columns of a table, long [cells] each


class CDR(InnerProductModel):
    """Preference that moves from one part of a history to the next, and what of it holds in all of them.

    Training cuts the training rows into ``environments``, scoring the same rows into ``environments`` plus
    ``more_environments``; the last preference scores. With one environment and none more no times are
    needed: it is a variational autoencoder with gates, and takes new users by their histories.

    Differences from the authors' code are on the model's page.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    dataset_class = "ordered"
    places: Tensor

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: CDROptions = config.options
        self.options = o
        self.positives = InteractionCSR.from_scipy(binary_interactions(dataset))
        # Of each of these interactions, its place in its user's order of time, from 0.
        self.register_buffer("places", places_in_time(dataset), persistent=False)
        self.takes_histories = o.reads_order is None  # histories of new users have no times
        self.varies = o.variance_weight > 0 and o.environments > 1
        self.loss_names = ("likelihood", "kl", "gates") + (("variance",) if self.varies else ())
        self.first = losses.xavier(self.n_items, o.hidden_size)  # W_1
        self.first_bias = nn.Parameter(torch.zeros(o.hidden_size))
        self.encoder = nn.Linear(o.hidden_size, 2 * o.factor_size)
        self.transition = nn.Linear(o.factor_size + o.latent_dimension, 2 * o.latent_dimension)
        self.V = losses.xavier(self.n_items, o.latent_dimension)
        self.offsets = nn.Parameter(torch.zeros(self.n_items))  # beta
        # Raw gates of factors, [C, K], and of items, [C, n_items].
        self.factor_gates, self.item_gates = (
            nn.Parameter(torch.empty(o.categories, width).normal_(0.5, o.gate_std).clamp_(0, 1))
            for width in (o.latent_dimension, self.n_items)
        )
        self._forget()

    # Preference of users.

    def bags(self, users: Tensor, environments: int) -> tuple[Tensor, Tensor, Tensor]:
        """Cut the histories of a batch into environments of equal counts; the last has the rest.

        Args:
            users: long [batch].
            environments: T.

        Returns:
            items, long [total]; the bag of each, t * batch + row, ascending; the size of each bag,
            [T * batch].
        """
        found, _, rows = self.positives.places(users)
        items, places = self.positives.items[found], self.places[found]
        each = self.positives.counts(users)[rows] // environments
        # A history shorter than T is all in the last environment.
        number = torch.where(each > 0, places // each.clamp(min=1), environments).clamp(max=environments - 1)
        bags = number * len(users) + rows
        order = torch.argsort(bags, stable=True)
        return items[order], bags[order], torch.bincount(bags, minlength=environments * len(users))

    def preferences(
        self, items: Tensor, bags: Tensor, sizes: Tensor, environments: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return z_t [T, batch, K], and mean and log variance of a_t, [T, batch, A] each.

        Args:
            items: as :meth:`bags` returns them.
            bags: likewise.
            sizes: likewise.
            environments: T.
        """
        o = self.options
        # x_t / |x_t|, with dropout while training.
        weights = sizes.to(self.V.dtype).rsqrt()[bags]
        if self.training:
            weights = losses.dropout(weights, o.dropout_prob)
        h = torch.tanh(
            losses.sum_by_row(self.first, items, sizes.cumsum(0) - sizes, weights) + self.first_bias
        )
        # [T, batch, A] each.
        mean, log_variance = self.encoder(h).view(environments, -1, 2 * o.factor_size).chunk(2, -1)
        z = mean.new_zeros(mean.shape[1], o.latent_dimension)
        found = []
        for factors in self._drawn(mean, log_variance):
            z = self._drawn(*self.transition(torch.cat([factors, z.detach()], 1)).chunk(2, 1))
            found.append(z)
        return torch.stack(found), mean, log_variance

    def _drawn(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return a draw of N(mean, variance), its deviation times ``noise_std``; the mean when scoring."""
        if not self.training:
            return mean
        return mean + self.options.noise_std * torch.randn_like(mean) * (log_variance / 2).exp()

    # Scores.

    def gates(self) -> Tensor:
        """Return G, sum_c M2_ci M1_c / tau, [n_items, K]."""
        of_factors, of_items = map(self._shares, (self.factor_gates, self.item_gates))
        return of_items.T @ of_factors / self.options.temperature

    def _shares(self, raw: Tensor) -> Tensor:
        """Return a mask whose columns sum to 1, of raw gates [C, n]; with noise while training."""
        if self.training:
            raw = raw + self.options.gate_noise * torch.randn_like(raw)
        return torch.softmax(raw.clamp(0, 1) / self.options.temperature, 0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return [z, 1] of users and [V * G, beta / tau] of items, [n_users, K + 1] and [n_items, K + 1]."""
        o = self.options
        environments = o.environments + o.more_environments
        everyone = torch.arange(self.n_users, device=self.V.device)
        # The last preference of each user, by blocks of users.
        last = [
            self.preferences(*self.bags(users, environments), environments)[0][-1]
            for users in everyone.split(USER_BLOCK)
        ]
        offsets = self.offsets[:, None] / o.temperature
        return _with_one(torch.cat(last)), torch.cat([self.V * self.gates(), offsets], 1)

    @torch.no_grad()
    def fold_in_vectors(self, histories: FoldInHistories, seed: int) -> Tensor:
        """Return the vectors of users by their histories, as of one environment, [batch, K + 1]."""
        if not self.takes_histories:
            return super().fold_in_vectors(histories, seed)  # refuses
        sizes = torch.bincount(histories.rows, minlength=len(histories.starts))
        return _with_one(self.preferences(histories.items, histories.rows, sizes, 1)[0][-1])

    # Training.

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the parts of L that are switched on, each a scalar, in the order of ``loss_names``."""
        o, users = self.options, interaction[self.USER_ID]
        items, bags, sizes = self.bags(users, o.environments)
        z, mean, log_variance = self.preferences(items, bags, sizes, o.environments)
        gates = self.gates()
        # The padding item is in no softmax: columns are items from 1 on.
        vectors, offsets = (self.V * gates)[1:], self.offsets[1:] / o.temperature
        of_environment = sizes.view(o.environments, -1).sum(1).tolist()
        cells = zip(bags.split(of_environment), (items - 1).split(of_environment), strict=True)
        likelihood: Any = 0
        gradients = []
        for preference, (rows, columns) in zip(z, cells, strict=True):
            rows = rows % len(users)
            log_shares = torch.log_softmax(preference @ vectors.T + offsets, 1)  # [batch, n_items - 1]
            likelihood = likelihood - log_shares[rows, columns].sum() / len(users)
            if self.varies:
                gradients.append(
                    decoder_gradient(log_shares, (rows, columns), preference, gates[1:], o.variance_users)
                )
        # Of N(mu, e^s) from N(0, 1), the sum over factors and environments, mean over users.
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / (2 * len(users))
        raw = torch.cat([self.factor_gates, self.item_gates[:, 1:]], 1)
        parts = [
            likelihood / o.environments,
            o.kl_weight * kl / o.environments,
            o.gate_weight * open_gates(raw, o.gate_noise),
        ]
        if self.varies:
            G = torch.stack(gradients)  # [T, n_items - 1, K]
            parts.append(o.variance_weight * (G - G.mean(0)).square().sum())
        return tuple(parts)


def _with_one(z: Tensor) -> Tensor:
    """Return preferences with a one behind, which meets the items' offsets, [rows, K + 1]."""
    return torch.cat([z, torch.ones_like(z[:, :1])], 1)


def places_in_time(dataset: Any) -> Tensor:
    """Return the place of each pair in its user's order of time, long [pairs], by user and then by item.

    A pair that is there twice counts once, at its first time. Zeros where the training rows have no order.

    Args:
        dataset: the training part, perhaps with the column ``TIME_RANK``.
    """
    users, items = (dataset.inter_feat[name].numpy() for name in (dataset.uid_field, dataset.iid_field))
    keys = users.astype(np.int64) * dataset.item_num + items
    if TIME_RANK not in dataset.inter_feat:
        return torch.zeros(len(np.unique(keys)), dtype=torch.long)
    by_time = np.argsort(dataset.inter_feat[TIME_RANK].numpy())
    pairs, first = np.unique(keys[by_time], return_index=True)
    users = pairs // dataset.item_num
    places = np.empty(len(pairs), np.int64)
    places[np.lexsort((first, users))] = place_in_group(np.bincount(users))
    return torch.from_numpy(places)


def open_gates(raw: Tensor, noise: float) -> Tensor:
    """Return the expected number of gates above 0 under noise, the sum of Phi(raw / noise), a scalar."""
    if noise == 0:  # without noise a gate is open or not, and has no gradient
        return (raw > 0).sum() + 0 * raw.sum()
    return (0.5 * (1 + torch.erf(raw / (noise * math.sqrt(2))))).sum()


def decoder_gradient(
    log_shares: Tensor, cells: Cells, preference: Tensor, gates: Tensor, users: int | None
) -> Tensor:
    """Return dL_t/dV of the cross entropy of one environment, [n_items, K], differentiable itself.

    Args:
        log_shares: log softmax of the scores, [batch, n_items].
        cells: of the items that the users have, rows and columns.
        preference: z_t, [batch, K].
        gates: G, [n_items, K].
        users: how many of the batch it is estimated by, the first ones; None for all.
    """
    some = len(log_shares) if users is None else min(users, len(log_shares))
    rows, columns = cells
    rows, columns = rows[rows < some], columns[rows < some]
    counts = torch.bincount(rows, minlength=some)[:, None]
    # n_b softmax(y_b)_i - x_bi, [some, n_items].
    residuals = counts * log_shares[:some].exp()
    residuals = residuals.index_put((rows, columns), -residuals.new_ones(len(rows)), accumulate=True)
    return gates * (residuals.T @ preference[:some]) / some
