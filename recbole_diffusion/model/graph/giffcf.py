"""GiffCF: a diffusion whose corruption is smoothing on the item graph, and whose reverse sharpens.

Reference:
    Zhu, Wang, Zhang, Xiong: "Graph Signal Diffusion Model for Collaborative Filtering", SIGIR 2024.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_diffusion.data.graph import scaled
from recbole_diffusion.diffusion import sinusoidal_embedding
from recbole_diffusion.model.graph.options import GiffCFOptions
from recbole_diffusion.model.history_model import RowModel, singular_vectors, tell_reproduced
from recbole_diffusion.model.loss import dropout
from recbole_diffusion.model.propagation import SparseMatrix

TIME_SIZE = 20  # sines and cosines of a step
ROWS = 256  # users scored together: a dozen arrays of [ROWS, n_items]


class Mixer(nn.Module):
    """A perceptron of two hidden units that is the same for each cell: cell by cell [...] x n -> [...]."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(n_inputs, 2), nn.Linear(2, 1)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the mixture of arrays that broadcast; none of them is stacked."""
        weights, total = self.first.weight, self.second.bias.view(-1)
        for unit in range(2):
            hidden = self.first.bias[unit] + sum(weights[unit, k] * one for k, one in enumerate(inputs))
            total = total + self.second.weight[0, unit] * F.silu(hidden)
        return total


def step_network() -> nn.Sequential:
    """Return a network from a step's sines and cosines [batch, TIME_SIZE] to a number, [batch, 1]."""
    return nn.Sequential(nn.Linear(TIME_SIZE, TIME_SIZE), nn.SiLU(), nn.Linear(TIME_SIZE, 1))


def _as_keras(model: nn.Module) -> None:
    """Begin all linear layers as those of the authors' code, in Keras: uniform by Glorot, without biases."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class GiffCF(RowModel):
    """A user's row x is smoothed, F_t x = x + alpha (t / T) (S x - x), and restored by a denoiser.

    S x = (x A + w x V V^T) / (1 + w), A = G^T G over its largest eigenvalue, G = D_U^-1/4 R D_I^-1/2 and V
    its first right singular vectors. The denoiser f(z, c, S c, t) mixes z and the history c in an embedding
    of the items, and then item by item the result with c and S c. Training: |x - f(F_t x, c, S c, t)|^2 with
    dropout in c. Scoring begins with z = F_T x and takes, for t = T..1,

        x^ = f(z, x, S x, t),   z <- F_t-1 x^ + gamma (z - F_t x^)

    Differences from the authors' code:
        * No Gaussian noise beside the smoothing, which all their settings switch off.
        * One Adam instead of two of the same step size.
    """

    options: GiffCFOptions

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o = self.options
        G = scaled(self.interactions, 0.25, 0.5)
        vectors = singular_vectors(G, max(o.ideal_rank if o.ideal_weight else 1, 1))
        largest = float(np.linalg.norm(G @ vectors[:, 0].astype(np.float64)))  # sigma_1
        self.graph = SparseMatrix((G / largest).astype(np.float32))
        kept = vectors[:, : o.ideal_rank if o.ideal_weight else 0]
        tell_reproduced(config["model"], o.ideal_rank, G, kept)
        # V, [n_items, rank], in checkpoints: those of equal singular values could be others another time.
        self.register_buffer("ideal", torch.from_numpy(np.ascontiguousarray(kept)))
        self.table = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.n_items, o.embedding_size)))
        nn.init.zeros_(self.table.data[0])  # padding
        self.of_vectors, self.of_items = Mixer(3), Mixer(4)
        self.step_of_vectors, self.step_of_items = step_network(), step_network()
        _as_keras(self)
        # Of the steps 0..T, [T + 1, TIME_SIZE].
        table = sinusoidal_embedding(torch.arange(o.steps + 1), TIME_SIZE)
        self.register_buffer("step_table", table, persistent=False)

    @torch.no_grad()
    def smooth(self, x: Tensor) -> Tensor:
        """Return S x of rows, [batch, n_items]; A and V V^T are their own transposes."""
        w = self.options.ideal_weight
        found = self.graph.back(self.graph(x.T.contiguous())).T
        return (found + w * (x @ self.ideal) @ self.ideal.T) / (1 + w) if w else found

    def denoised(self, z: Tensor, c: Tensor, smooth_c: Tensor, t: Tensor) -> Tensor:
        """Return the denoiser's estimate of x, [batch, n_items].

        Args:
            z: smoothed rows, [batch, n_items].
            c: histories, [batch, n_items].
            smooth_c: S c, [batch, n_items].
            t: steps, long [batch] or [1].
        """
        steps = self.step_table[t]
        e_z = (z / (self.n_items - 1)) @ self.table  # [batch, d]
        e_c = (c / c.sum(1, keepdim=True).clamp(min=1)) @ self.table
        e_x = self.of_vectors([e_z, e_c, self.step_of_vectors(steps)])
        return self.of_items([e_x @ self.table.T, c, smooth_c, self.step_of_items(steps)])

    def _rows(self, rows: sp.csr_matrix) -> Tensor:
        return torch.from_numpy(rows.toarray()).to(self.device)

    def calculate_loss(self, interaction: Any) -> Tensor:
        """Return the squared error over all items, a mean over rows."""
        o = self.options
        x = self._rows(self.interactions[interaction[self.USER_ID].cpu().numpy()])
        t = torch.randint(1, o.steps + 1, (len(x),), device=x.device)
        c = dropout(x, o.dropout_prob)
        smooth_x, smooth_c = self.smooth(torch.cat([x, c])).chunk(2)
        z = torch.lerp(x, smooth_x, (o.alpha / o.steps) * t[:, None].to(x.dtype))  # F_t x
        error = self.denoised(z, c, smooth_c, t) - x
        return error[:, 1:].square().sum() / len(x)

    def row_scores(self, rows: sp.csr_matrix) -> Tensor:
        """Return scores of all items, the end of the chain, [batch, n_items]."""
        parts = [self._chain(self._rows(rows[k : k + ROWS])) for k in range(0, rows.shape[0], ROWS)]
        return torch.cat(parts) if parts else torch.zeros(0, self.n_items, device=self.device)

    def _chain(self, x: Tensor) -> Tensor:
        o, smooth_x = self.options, self.smooth(x)
        share = o.alpha / o.steps
        z = torch.lerp(x, smooth_x, share * o.steps)  # F_T x
        for t in range(o.steps, 0, -1):
            found = self.denoised(z, x, smooth_x, torch.full((1,), t, device=x.device))
            if t == 1 and not o.noise_decay:
                return found
            sharp = self.smooth(found) - found  # F_t x^ = x^ + share t (S x^ - x^)
            residual = z - found - share * t * sharp
            z = found + share * (t - 1) * sharp + o.noise_decay * residual
        return z
