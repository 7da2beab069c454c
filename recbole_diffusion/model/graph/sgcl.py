"""SGCL: LightGCN with two views of the graph, contrasted by a loss that tolerates wrong positive pairs.

Reference:
    Zhao, Yang, Liang, Zhao, Guo, Wang: "Symmetric Graph Contrastive Learning against Noisy Views for
    Recommendation", ACM TOIS 43(3), 2025.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_diffusion.compat import InputType
from recbole_diffusion.data.graph import binary_interactions, scaled
from recbole_diffusion.model.base import WholeGraphModel
from recbole_diffusion.model.encoder import Layer, LightGCNEncoder
from recbole_diffusion.model.graph.options import SGCLOptions
from recbole_diffusion.model.layers import log_sum_exp
from recbole_diffusion.model.propagation import SparseMatrix
from recbole_diffusion.sampler.interaction_csr import InteractionCSR
from recbole_diffusion.sampler.uniform import uniform_negatives

CELLS = 2**22  # coefficients of mixed negatives drawn at once
IN_THE_LOGARITHM = 1e-5  # of the authors' BPR


class SGCL(WholeGraphModel):
    """BPR with mixed negatives over LightGCN, plus a symmetric contrast of two views with dropped edges.

    Each epoch draws two views, the graph without a share rho of its edges. With cosines s of the two views'
    vectors of a batch's distinct users and items together, p_a = exp(s_aa / tau) and n_a = sum_b exp(s_ab /
    tau), the contrast is the mean over a of [-p_a^q + (lambda (p_a + n_a))^q] / q. Negatives are mixed with
    the positive in each layer, coordinate by coordinate, and the hardest of ``candidate_items`` is kept.

    As in the authors' code, the positive is in n_a and added once more, users and items share a denominator,
    and the first view is held against the second alone.

    Differences from the authors' code:
        * q and lambda are options.
        * The power is written by expm1: of two numbers near 1 / q in float32, half the digits would go.
    """

    input_type = InputType.POINTWISE
    loader_class = "positives"
    loss_names = ("bpr", "penalty", "contrast")

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        o: SGCLOptions = config.options
        self.options, self.seed = o, config.general.seed
        self.interactions = binary_interactions(dataset)
        self.positives = InteractionCSR.from_scipy(self.interactions)
        self.encoder = LightGCNEncoder(self.interactions, o.embedding_size, o.n_layers)
        self.begin_epoch(0)
        self._forget()

    def begin_epoch(self, epoch: int) -> None:
        """Draw the epoch's two views: each keeps floor((1 - rho) E) edges and has degrees of its own."""
        draw = np.random.default_rng([self.seed, epoch])
        many = math.floor((1 - self.options.edge_dropout_prob) * self.interactions.nnz)
        self.first_view, self.second_view = (self._view(draw, many) for _ in range(2))

    def _view(self, draw: np.random.Generator, many: int) -> SparseMatrix:
        kept = self.interactions.copy()
        kept.data[draw.permutation(kept.nnz)[many:]] = 0.0
        kept.eliminate_zeros()
        return SparseMatrix(scaled(kept, 0.5, 0.5)).to(self.device)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return LightGCN's vectors on the whole graph."""
        return self.encoder.vectors()

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return BPR, the weighted penalty and the weighted contrast, a scalar each."""
        o, users, items = self.options, interaction[self.USER_ID], interaction[self.ITEM_ID]
        layers = self.noisy_layers()
        U, V = self.encoder.pooled(layers)
        u, v = F.embedding(users, U), F.embedding(items, V)
        negative = self.mixed_negatives(layers, u.detach(), users, items)
        score = (u * v).sum(1) - (u * negative).sum(1)
        bpr = -torch.log(IN_THE_LOGARITHM + torch.sigmoid(score)).mean()
        # Norms of the three blocks, not squared.
        penalty = sum(block.norm() for block in (u, v, negative)) / len(users)
        some = torch.unique(users), torch.unique(items)
        first, second = (
            torch.cat(self.encoder.vectors(some, graph=view)) for view in (self.first_view, self.second_view)
        )
        contrast = symmetric_contrast(first, second, o.temperature, o.q, o.contrast_lambda)
        return bpr, o.reg_weight * penalty, o.contrast_weight * contrast

    def noisy_layers(self) -> list[Layer]:
        """Return the vectors of each layer on the whole graph, with dropout on each propagated layer."""
        graph = self.encoder.graph
        found: list[Layer] = [(self.encoder.users, self.encoder.items)]
        for _ in range(self.options.n_layers):
            of_users, of_items = found[-1]
            users, items = (
                F.dropout(one, self.options.dropout_prob, self.training)
                for one in (graph(of_items), graph.back(of_users))
            )
            found.append((users, items))
        return found

    def mixed_negatives(self, layers: list[Layer], u: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Return the mean over layers of each row's hardest mixed negative, [batch, d].

        In a layer e' = a * positive + (1 - a) * negative with a ~ U(0, 1) for each coordinate of each
        candidate; the one of the largest inner product with the user's pooled vector wins.
        """
        many, width = self.options.candidate_items, u.shape[1]
        candidates = uniform_negatives(self.positives, users.repeat_interleave(many)).view(-1, many)
        pooled = []
        for _, table in layers:
            parts = []
            for rows in torch.arange(len(users), device=u.device).split(max(1, CELLS // (many * width))):
                # u . e' = u . negative + sum_k a_k u_k (positive_k - negative_k), [rows, many].
                a = torch.rand(len(rows), many, width, device=u.device)
                with torch.no_grad():
                    others = table[candidates[rows]]  # [rows, many, d]
                    mixed = torch.lerp(others, table[items[rows], None], a)
                    best = torch.einsum("bd,bnd->bn", u[rows], mixed).argmax(1)
                places = torch.arange(len(rows), device=u.device)
                chosen = F.embedding(candidates[rows, best], table)
                parts.append(torch.lerp(chosen, F.embedding(items[rows], table), a[places, best]))
            pooled.append(torch.cat(parts))
        return torch.stack(pooled).mean(0)


def symmetric_contrast(
    first: Tensor, second: Tensor, temperature: float, q: float, contrast_lambda: float
) -> Tensor:
    """Return mean_a [-p_a^q + (lambda (p_a + n_a))^q] / q of two views, a scalar.

    For q towards 0 it is InfoNCE with the positive counted twice, up to log(lambda); q = 1 is a difference
    of exponentials, the fully symmetric loss.

    Args:
        first: vectors of one view, [n, d]; ``second`` those of the other.
        second: [n, d].
        temperature: tau.
        q: power, above 0.
        contrast_lambda: lambda.
    """
    first, second = F.normalize(first) / temperature, F.normalize(second)
    log_p = (first * second).sum(1)  # s_aa / tau, [n]
    # log lambda (p_a + n_a), [n].
    log_n = torch.logaddexp(log_p, log_sum_exp(first, second)) + math.log(contrast_lambda)
    # (x^q - 1) / q by its logarithm; the ones cancel.
    return (torch.expm1(q * log_n) - torch.expm1(q * log_p)).mean() / q
